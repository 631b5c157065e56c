//! What can go wrong in a store.

use std::error::Error;
use std::sync::Arc;

use crate::{Key, Revision};

/// Why a store did not do what was asked. Nothing of it happened, unless the variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The document is there, or is not, or has another revision than the commit requires.
    #[error("another change to {0} came first")]
    Conflict(Key),
    /// The message was settled, released, or claimed again after the lease had run out.
    #[error("the lease on the message is lost")]
    LeaseLost,
    /// The history that the follower asks for is not kept any more; it must load the documents again.
    #[error("changes after revision {from} are not kept, the oldest kept follow revision {oldest}")]
    Gone {
        /// What the follower asked for.
        from: Revision,
        /// The earliest revision that can be watched from.
        oldest: Revision,
    },
    /// A key, body, record or the whole request is larger than `base::limits` allows.
    #[error("{what} of {bytes} bytes, at most {limit} are stored")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The storage answered something that was never written.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The storage refused. Whether a commit or append happened is not known.
    #[error("{doing}")]
    Io {
        /// What was being done, as a noun phrase.
        doing: &'static str,
        /// What the storage said.
        source: Arc<dyn Error + Send + std::marker::Sync>,
    },
    /// The store is closed, or a part of it has stopped.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// An [`StoreError::Io`] from what the storage said.
    pub fn io(doing: &'static str, source: impl Error + Send + std::marker::Sync + 'static) -> Self {
        Self::Io { doing, source: Arc::new(source) }
    }
}

/// Refuses what is larger than its limit.
pub(crate) fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), StoreError> {
    if bytes > limit { Err(StoreError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
