//! Documents and the commits that change them.

use std::fmt;
use std::sync::Arc;

use base::limits::{STORE_BODY_BYTES, STORE_COMMIT_BYTES, STORE_KEY_BYTES};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::within;
use crate::{Enqueue, LeaseToken, StoreError};

/// The name of a document: `<owner-prefix>/<account>/<region>/...`. Ordered by bytes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Arc<str>);

impl Key {
    /// A key; the owner of its prefix knows its shape.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The number of a commit that changed documents. Later commits have larger ones; zero is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub key: Key,
    /// The revision of its last change.
    pub revision: Revision,
    /// Its content, which its owner encodes and versions.
    pub body: Bytes,
}

/// What must hold for a commit to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Require {
    /// There is no such document.
    Absent(Key),
    /// The document's last change has this revision.
    At(Key, Revision),
}

impl Require {
    /// The document that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::At(key, _) => key,
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// What must hold, else [`StoreError::Conflict`].
    pub require: Vec<Require>,
    /// Documents to write.
    pub put: Vec<(Key, Bytes)>,
    /// Documents to remove; those that are not there are no error and no change.
    pub delete: Vec<Key>,
    /// Messages to add to queues.
    pub enqueue: Vec<Enqueue>,
    /// Claimed messages to remove, else [`StoreError::LeaseLost`].
    pub settle: Vec<LeaseToken>,
}

impl Commit {
    /// Bytes of all keys, bodies and tokens. Backends bound what waits for them by it.
    pub fn bytes(&self) -> usize {
        let requires = self.require.iter().map(|require| require.key().as_str().len());
        let puts = self.put.iter().map(|(key, body)| key.as_str().len() + body.len());
        let deletes = self.delete.iter().map(|key| key.as_str().len());
        let messages = self.enqueue.iter().map(|message| message.queue.len() + message.body.len());
        let settled = self.settle.len() * size_of::<LeaseToken>();
        requires.chain(puts).chain(deletes).chain(messages).sum::<usize>() + settled
    }

    /// Whether keys, bodies and the whole are within `base::limits`. Backends ask before anything else.
    pub fn check(&self) -> Result<(), StoreError> {
        for (key, body) in &self.put {
            within("a key", key.as_str().len(), STORE_KEY_BYTES)?;
            within("a document", body.len(), STORE_BODY_BYTES)?;
        }
        for message in &self.enqueue {
            within("a queue name", message.queue.len(), STORE_KEY_BYTES)?;
            within("a message", message.body.len(), STORE_BODY_BYTES)?;
        }
        within("a commit", self.bytes(), STORE_COMMIT_BYTES)
    }
}
