//! A store whose appends fail or wait when a test says so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::clock::Timestamp;
use store::memory::MemoryStore;
use store::{
    Claimed, Commit, Disk, Document, Key, LeaseToken, LogName, LogPage, LogPosition, LogRecord, LogSpace,
    LogUsage, Revision, Store, StoreError, Sync, Watch,
};
use tokio::sync::watch;

/// How an append fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Without doing anything.
    Before,
    /// Although it was done.
    After,
}

/// The store in memory, with such appends.
pub(super) struct Flaky {
    inner: MemoryStore,
    next: Mutex<Option<Failure>>,
    held: watch::Sender<bool>,
    synced: AtomicUsize,
    disk: Mutex<Option<Disk>>,
    damaged: Mutex<Option<LogName>>,
}

impl Flaky {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            next: Mutex::default(),
            held: watch::Sender::new(false),
            synced: AtomicUsize::new(0),
            disk: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// The next append fails.
    pub(super) fn fail_next(&self, failure: Failure) {
        *self.next.lock().unwrap() = Some(failure);
    }

    /// How many appends were to be durable when they answered.
    pub(super) fn synced(&self) -> usize {
        self.synced.load(Ordering::Relaxed)
    }

    /// The disk that the store claims to be on.
    pub(super) fn set_disk(&self, disk: Disk) {
        *self.disk.lock().unwrap() = Some(disk);
    }

    /// Nothing can be told of this log.
    pub(super) fn damage(&self, log: LogName) {
        *self.damaged.lock().unwrap() = Some(log);
    }

    /// Appends wait until they are let go.
    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

#[async_trait]
impl Store for Flaky {
    async fn append(
        &self,
        log: &LogName,
        records: Vec<LogRecord>,
        sync: Sync,
    ) -> Result<LogPosition, StoreError> {
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let failure = self.next.lock().unwrap().take();
        if failure == Some(Failure::Before) {
            return Err(StoreError::Closed);
        }
        self.synced.fetch_add(usize::from(sync == Sync::Now), Ordering::Relaxed);
        let end = self.inner.append(log, records, sync).await?;
        if failure.is_some() { Err(StoreError::Closed) } else { Ok(end) }
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        self.inner.commit(commit).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.scan(prefix, after, limit).await
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(from).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.inner.revision().await
    }

    async fn claim(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.inner.claim(queue, max, lease, now).await
    }

    async fn release(&self, token: LeaseToken, not_before: Timestamp) -> Result<(), StoreError> {
        self.inner.release(token, not_before).await
    }

    async fn extend(&self, token: LeaseToken, deadline: Timestamp) -> Result<(), StoreError> {
        self.inner.extend(token, deadline).await
    }

    async fn queue_depth(&self, queue: &str) -> Result<u64, StoreError> {
        self.inner.queue_depth(queue).await
    }

    async fn queues(&self, prefix: &str) -> Result<Vec<Arc<str>>, StoreError> {
        self.inner.queues(prefix).await
    }

    async fn queue_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        self.inner.queue_due(queue).await
    }

    async fn read(&self, log: &LogName, from: LogPosition, max_bytes: usize) -> Result<LogPage, StoreError> {
        self.inner.read(log, from, max_bytes).await
    }

    async fn read_back(
        &self,
        log: &LogName,
        before: LogPosition,
        max_bytes: usize,
    ) -> Result<LogPage, StoreError> {
        self.inner.read_back(log, before, max_bytes).await
    }

    async fn log_end(&self, log: &LogName) -> Result<LogPosition, StoreError> {
        self.inner.log_end(log).await
    }

    async fn trim_log(&self, log: &LogName, before: LogPosition) -> Result<LogUsage, StoreError> {
        self.inner.trim_log(log, before).await
    }

    async fn log_usage(&self, log: &LogName) -> Result<LogUsage, StoreError> {
        if self.damaged.lock().unwrap().as_ref() == Some(log) {
            return Err(StoreError::Corrupt("a sealed log segment".into()));
        }
        self.inner.log_usage(log).await
    }

    async fn log_space(&self) -> Result<LogSpace, StoreError> {
        let disk = *self.disk.lock().unwrap();
        Ok(LogSpace { disk, ..self.inner.log_space().await? })
    }

    async fn drop_log(&self, log: &LogName) -> Result<(), StoreError> {
        self.inner.drop_log(log).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.inner.clear().await
    }
}
