//! Following the changes of documents.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{Key, Revision, StoreError};

/// Changes that a follower fetches at once, unless one commit has more.
const PAGE: usize = 256;

/// One document's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit it was part of.
    pub revision: Revision,
    /// The document.
    pub key: Key,
    /// Its new content; `None` when it was deleted.
    pub body: Option<Bytes>,
    /// Whether the commit has no further changes: only then has a follower reached `revision`.
    pub last: bool,
}

/// The changes that a backend keeps for followers.
#[async_trait]
pub trait History: Send + std::marker::Sync + 'static {
    /// Changes after a revision in the order of commits: whole commits, until there are `limit` changes.
    ///
    /// [`StoreError::Gone`] when the commits right after `after` are not kept.
    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError>;
}

/// Follows changes in the order of commits.
pub struct Watch {
    history: Arc<dyn History>,
    current: watch::Receiver<Revision>,
    position: Revision,
    fetched: VecDeque<Change>,
}

impl Watch {
    /// For backends: follows `history` from `position` on; `current` tells that there is more.
    pub fn new(history: Arc<dyn History>, current: watch::Receiver<Revision>, position: Revision) -> Self {
        Self { history, current, position, fetched: VecDeque::new() }
    }

    /// The next change; waits for one. Nothing is lost when the future is dropped.
    ///
    /// `None` when there will be none: the store is closed, or this follower is so far behind that the
    /// history is not kept any more. Asking the store to watch again tells which.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.fetched.pop_front() {
                return Some(change);
            }
            let current = *self.current.borrow_and_update();
            if current > self.position {
                self.fetch().await?;
            } else {
                self.current.changed().await.ok()?;
            }
        }
    }

    async fn fetch(&mut self) -> Option<()> {
        match self.history.changes(self.position, PAGE).await {
            Ok(changes) => {
                self.position = changes.last()?.revision;
                self.fetched.extend(changes);
                Some(())
            }
            Err(error) => {
                tracing::debug!(%error, position = %self.position, "a follower stops");
                None
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("position", &self.position).finish_non_exhaustive()
    }
}
