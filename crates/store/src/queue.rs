//! Messages that wait for somebody to do something about them.

use std::sync::Arc;

use base::clock::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A message to add to a queue, which exists as long as it has messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The queue's name.
    pub queue: Arc<str>,
    /// The message, which its owner encodes and versions.
    pub body: Bytes,
    /// Nobody gets it earlier. A moment that has passed orders it among those that are due.
    pub not_before: Timestamp,
}

/// Proves that its holder is the last who claimed a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseToken {
    /// The message. Never used again for another one.
    pub message: u64,
    /// Grows with each claim and release of the message.
    pub fence: u64,
}

/// A message that its claimer alone holds until the deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Settles, releases or extends the claim.
    pub token: LeaseToken,
    /// How often the message has been claimed, this time included.
    pub attempt: u32,
    /// When the message is due again, unless settled.
    pub deadline: Timestamp,
    /// The message.
    pub body: Bytes,
}
