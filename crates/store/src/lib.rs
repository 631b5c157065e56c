//! Durable documents, queues, logs and blobs: what a backend promises, a backend in memory, and the suite
//! that every backend passes.
//!
//! Each kind of key has one owner and a permanent prefix and begins with account and region.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::clock::Timestamp;

mod blobs;
pub mod conformance;
mod document;
mod error;
mod log;
pub mod memory;
mod queue;
mod watch;

pub use blobs::{BlobError, Blobs};
pub use document::{Commit, Document, Key, Require, Revision};
pub use error::StoreError;
pub use log::{Disk, LogEntry, LogName, LogPage, LogPosition, LogRecord, LogSpace, LogUsage, Sync};
pub use queue::{Claimed, Enqueue, LeaseToken};
pub use watch::{Change, History, Watch};

/// Where everything durable lives.
///
/// Every method may be called from any task; none blocks the thread that polls it. A future that is dropped
/// does not take back what it asked for: the commit may still happen.
#[async_trait]
pub trait Store: Send + std::marker::Sync + 'static {
    /// Does all of `commit` or nothing, and answers when it is on stable storage.
    ///
    /// Requirements and leases are checked against the state before the commit. Then messages are settled,
    /// documents put in order, documents deleted (of a key that is also put, the deletion wins), and
    /// messages enqueued. Answers the revision of the
    /// commit, or the current one when no document changed: queue traffic does not move the revision.
    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError>;

    /// The document under `key`.
    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError>;

    /// At most `limit` documents whose keys start with `prefix` and come after `after`, in byte order of keys.
    async fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError>;

    /// Every change after revision `from`, in the order of commits; those to come as they happen.
    ///
    /// To follow documents: take `revision`, scan, then watch from that revision. [`StoreError::Gone`] when
    /// the store no longer holds that part of its history: the follower loads again.
    async fn watch(&self, from: Revision) -> Result<Watch, StoreError>;

    /// The revision of the last commit that changed a document.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Takes at most `max` messages that are due at `now`, the longest due first, and hides them for `lease`.
    ///
    /// Fewer than are due when together they would be larger than a commit may be.
    /// A claimed message that is not settled comes back when its lease has run out, under a new token.
    async fn claim(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Gives a claimed message back, to be due at `not_before`. Its token is stale afterwards.
    async fn release(&self, token: LeaseToken, not_before: Timestamp) -> Result<(), StoreError>;

    /// Moves the end of a lease to `deadline`, earlier or later; the token stays good.
    async fn extend(&self, token: LeaseToken, deadline: Timestamp) -> Result<(), StoreError>;

    /// Messages in the queue: waiting, delayed and claimed. Costs one lookup, however many there are.
    async fn queue_depth(&self, queue: &str) -> Result<u64, StoreError>;

    /// The queues that have messages and whose names start with `prefix`, in byte order.
    async fn queues(&self, prefix: &str) -> Result<Vec<Arc<str>>, StoreError>;

    /// When the first of a queue's messages is due, of a claimed one when its lease runs out; nothing when there is
    /// none. Costs one lookup, however many there are.
    async fn queue_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Adds records to the end of a log, which exists from its first record on; answers the new end.
    ///
    /// What was answered is there after the process is killed. After a power cut it is there when it was
    /// appended with [`Sync::Now`], or more than a second before.
    async fn append(
        &self,
        log: &LogName,
        records: Vec<LogRecord>,
        sync: Sync,
    ) -> Result<LogPosition, StoreError>;

    /// Records from `from` on, forward: as many as fit `max_bytes`, and at least one unless the end is reached.
    ///
    /// A position between two records reads from the later one; one past the end reads nothing.
    async fn read(&self, log: &LogName, from: LogPosition, max_bytes: usize) -> Result<LogPage, StoreError>;

    /// The last records before `before`, oldest first: as many as fit `max_bytes`, and at least one unless
    /// the start is reached. May answer fewer than would fit; `LogPage::next` is where to read back from next.
    async fn read_back(
        &self,
        log: &LogName,
        before: LogPosition,
        max_bytes: usize,
    ) -> Result<LogPage, StoreError>;

    /// The position that the next record will have; [`LogPosition::START`] for a log that does not exist.
    async fn log_end(&self, log: &LogName) -> Result<LogPosition, StoreError>;

    /// Removes records from the start of a log, as many of those before `before` as can go at once: a backend may
    /// keep some. Positions stay as they are, the end too; what is read from before the start begins at the start.
    async fn trim_log(&self, log: &LogName, before: LogPosition) -> Result<LogUsage, StoreError>;

    /// Where a log starts and what it takes; nothing of a log that does not exist.
    async fn log_usage(&self, log: &LogName) -> Result<LogUsage, StoreError>;

    /// What all logs take. Kept, not counted: cheap enough to ask every second.
    async fn log_space(&self) -> Result<LogSpace, StoreError>;

    /// Removes a log. One made under its name later starts anew.
    async fn drop_log(&self, log: &LogName) -> Result<(), StoreError>;

    /// Removes everything: documents, queues and logs. Followers see each document deleted; revisions go on.
    async fn clear(&self) -> Result<(), StoreError>;
}
