//! What becomes of the events that one qualifier of a function takes asynchronously.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;

/// How often an event is tried again, how old it may get, and who is told how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventInvokeConfig {
    /// When a customer last put or changed it.
    pub last_modified: Timestamp,
    /// Attempts after the first; none was chosen when absent.
    pub maximum_retry_attempts: Option<u8>,
    /// Age at which an event is given up; none was chosen when absent.
    pub maximum_event_age: Option<Duration>,
    /// ARN of who is told of events that a function handled.
    pub on_success: Option<Arc<str>>,
    /// ARN of who is told of events that were given up.
    pub on_failure: Option<Arc<str>>,
}

/// A change of a configuration for events. What is `None` stays; where the outer is `Some` and the inner `None`, it
/// is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventInvokeChange {
    /// See [`EventInvokeConfig::maximum_retry_attempts`].
    pub maximum_retry_attempts: Option<u8>,
    /// See [`EventInvokeConfig::maximum_event_age`].
    pub maximum_event_age: Option<Duration>,
    /// See [`EventInvokeConfig::on_success`].
    pub on_success: Option<Option<Arc<str>>>,
    /// See [`EventInvokeConfig::on_failure`].
    pub on_failure: Option<Option<Arc<str>>>,
}

impl EventInvokeChange {
    /// A configuration of nothing but this.
    pub fn alone(self, now: Timestamp) -> EventInvokeConfig {
        EventInvokeConfig {
            last_modified: now,
            maximum_retry_attempts: self.maximum_retry_attempts,
            maximum_event_age: self.maximum_event_age,
            on_success: self.on_success.flatten(),
            on_failure: self.on_failure.flatten(),
        }
    }

    /// `old` with what this changes.
    pub fn applied_to(self, old: &EventInvokeConfig, now: Timestamp) -> EventInvokeConfig {
        EventInvokeConfig {
            last_modified: now,
            maximum_retry_attempts: self.maximum_retry_attempts.or(old.maximum_retry_attempts),
            maximum_event_age: self.maximum_event_age.or(old.maximum_event_age),
            on_success: self.on_success.unwrap_or_else(|| old.on_success.clone()),
            on_failure: self.on_failure.unwrap_or_else(|| old.on_failure.clone()),
        }
    }
}
