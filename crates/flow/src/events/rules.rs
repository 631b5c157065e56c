//! What becomes of an event, as pure decisions: whether it may run, whether it runs again, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::units::Concurrency;
use catalogue::{EventInvokeConfig, Version};

/// Attempts after the first, unless configured. Source: Lambda API reference, PutFunctionEventInvokeConfig.
const RETRIES: u8 = 2;

/// Age at which an event is given up, unless configured. Source: Lambda API reference, PutFunctionEventInvokeConfig.
const AGE: Duration = Duration::from_secs(6 * 60 * 60);

/// Time between an attempt that failed and the next, for the first and for later ones.
///
/// Source: Lambda Developer Guide, "Understanding retry behavior"; recorded as about 60 s and 114 s.
const GAPS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// Shortest and longest time until an event that found no place is tried again.
///
/// Source: Lambda Developer Guide, "Asynchronous invocation error handling".
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));

/// How one qualifier of a function wants its events to be treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Attempts after the first.
    pub retries: u8,
    /// Age at which an event is given up.
    pub age: Duration,
    /// ARN of who is told of events that were handled.
    pub on_success: Option<Arc<str>>,
    /// ARN of who is told of events that were given up.
    pub on_failure: Option<Arc<str>>,
    /// ARN of the queue or topic that gets events that were given up.
    pub dead_letter: Option<Arc<str>>,
    /// ARN of the execution role, under which all of them are told.
    pub role: Arc<str>,
}

impl Settings {
    /// What is configured for the qualifier that was invoked, and what belongs to the version that runs.
    pub fn of(config: Option<&EventInvokeConfig>, version: &Version) -> Self {
        Self {
            retries: config.and_then(|config| config.maximum_retry_attempts).unwrap_or(RETRIES),
            age: config.and_then(|config| config.maximum_event_age).unwrap_or(AGE),
            on_success: config.and_then(|config| config.on_success.clone()),
            on_failure: config.and_then(|config| config.on_failure.clone()),
            dead_letter: version.configuration.dead_letter.clone(),
            role: Arc::clone(&version.configuration.role),
        }
    }
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When the attempt that is to come was due first; it may have found no place since.
    pub due: Timestamp,
    /// Attempts that counted.
    pub attempts: u32,
}

/// What came of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// The function answered.
    Succeeded,
    /// The function failed, or there is none.
    Failed,
    /// It found no place, or Samovar failed: the attempt does not count.
    Hindered,
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The function answered.
    Success,
    /// It failed as often as it may.
    RetriesExhausted,
    /// It could not be done before it was too old.
    EventAgeExceeded,
    /// The function may not run.
    ZeroReservedConcurrency,
}

impl Condition {
    /// Whether time was what it lacked.
    pub const fn is_of_age(self) -> bool {
        matches!(self, Self::EventAgeExceeded)
    }

    /// As records say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

/// What is to be done with an event after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt at this moment; the one that was counts.
    Retry(Timestamp),
    /// The same attempt again at this moment.
    Wait(Timestamp),
    /// It is over.
    End {
        /// How it ended.
        condition: Condition,
        /// Attempts that counted.
        attempts: u32,
    },
}

/// What ends an event before it is tried. What runs already is never cut by its event's age. Source: recorded in 2026.
pub fn stopped(
    progress: &Progress,
    settings: &Settings,
    reserved: Option<Concurrency>,
    now: Timestamp,
) -> Option<Condition> {
    if reserved == Some(Concurrency(0)) {
        Some(Condition::ZeroReservedConcurrency)
    } else {
        (now >= expiry(progress, settings)).then_some(Condition::EventAgeExceeded)
    }
}

/// What follows an attempt that ended at `now`. An event whose next attempt could not start in time ends at once.
pub fn after(progress: &Progress, settings: &Settings, tried: Tried, now: Timestamp) -> Next {
    let counted = progress.attempts.saturating_add(1);
    let end = |condition, attempts| Next::End { condition, attempts };
    match tried {
        Tried::Succeeded => end(Condition::Success, counted),
        Tried::Failed if counted > u32::from(settings.retries) => end(Condition::RetriesExhausted, counted),
        Tried::Failed => match now + gap(progress.attempts) {
            at if at < expiry(progress, settings) => Next::Retry(at),
            _ => end(Condition::EventAgeExceeded, counted),
        },
        Tried::Hindered => match now + backoff(now.since(progress.due)) {
            at if at < expiry(progress, settings) => Next::Wait(at),
            _ => end(Condition::EventAgeExceeded, progress.attempts),
        },
    }
}

/// The count that records show: of attempts that failed all, and 1 of a success whatever went before. Source: recorded
/// in 2026.
pub const fn shown_count(condition: Condition, attempts: u32) -> u32 {
    match condition {
        Condition::Success => 1,
        _ => attempts,
    }
}

fn expiry(progress: &Progress, settings: &Settings) -> Timestamp {
    progress.accepted + settings.age
}

/// After so many attempts that counted before.
fn gap(attempts: u32) -> Duration {
    let [first, later] = GAPS;
    if attempts == 0 { first } else { later }
}

/// A little longer than it has waited already, so that waits double.
fn backoff(waited: Duration) -> Duration {
    let (shortest, longest) = BACKOFF;
    (waited + shortest).min(longest)
}

#[cfg(test)]
mod tests;
