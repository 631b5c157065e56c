//! A backend that forgets everything with the process, for tests.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use base::clock::{Clock, Timestamp};
use base::limits::{STORE_HISTORY_BYTES, STORE_HISTORY_CHANGES};
use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    Change, Claimed, Commit, Document, Enqueue, History, Key, LeaseToken, LogEntry, LogName, LogPage,
    LogPosition, LogRecord, LogSpace, LogUsage, Require, Revision, Store, StoreError, Sync, Watch,
};

/// What a record takes of a log's positions beside its bytes. Any number would do; nobody may rely on it.
const RECORD_OVERHEAD: u64 = 24;

/// Documents, queues and logs in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

impl MemoryStore {
    /// An empty store. `clock` stamps what is appended to logs.
    pub fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the state")
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        commit.check()?;
        self.state().commit(commit)
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        Ok(self.state().documents.get(key).cloned())
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let from = after.map_or(prefix, |after| after.as_str().max(prefix));
        let state = self.state();
        let documents = state
            .documents
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .map(|(_, document)| document);
        let past = documents.skip_while(|document| Some(&document.key) == after);
        let mine = past.take_while(|document| document.key.as_str().starts_with(prefix));
        Ok(mine.take(limit).cloned().collect())
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        let state = self.state();
        state.reachable(from)?;
        Ok(Watch::new(Arc::new(self.clone()), state.current.subscribe(), from))
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(*self.state().current.borrow())
    }

    async fn claim(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        Ok(self.state().claim(queue, max, now, now + lease))
    }

    async fn release(&self, token: LeaseToken, not_before: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let message = state.held(token)?;
        message.due = not_before;
        message.fence += 1;
        Ok(())
    }

    async fn extend(&self, token: LeaseToken, deadline: Timestamp) -> Result<(), StoreError> {
        self.state().held(token)?.due = deadline;
        Ok(())
    }

    async fn queue_depth(&self, queue: &str) -> Result<u64, StoreError> {
        Ok(self.state().messages.values().filter(|message| &*message.queue == queue).count() as u64)
    }

    async fn queues(&self, prefix: &str) -> Result<Vec<Arc<str>>, StoreError> {
        let state = self.state();
        let names: BTreeSet<_> = state.messages.values().map(|message| &message.queue).collect();
        Ok(names.into_iter().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn queue_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        let state = self.state();
        let messages = state.messages.values().filter(|message| &*message.queue == queue);
        Ok(messages.map(|message| message.due).min())
    }

    async fn append(
        &self,
        log: &LogName,
        records: Vec<LogRecord>,
        _sync: Sync,
    ) -> Result<LogPosition, StoreError> {
        LogRecord::check(log, &records)?;
        let ingested = self.clock.now();
        let mut state = self.state();
        if records.is_empty() {
            return Ok(state.logs.get(log).map_or(LogPosition::START, |log| log.end));
        }
        let log = state.logs.entry(log.clone()).or_default();
        for LogRecord { timestamp, bytes } in records {
            let position = log.end;
            log.end.0 += RECORD_OVERHEAD + bytes.len() as u64;
            log.entries.insert(position, LogEntry { position, timestamp, ingested, bytes });
        }
        Ok(log.end)
    }

    async fn read(&self, log: &LogName, from: LogPosition, max_bytes: usize) -> Result<LogPage, StoreError> {
        let state = self.state();
        let Some(log) = state.logs.get(log) else {
            return Ok(LogPage::default());
        };
        let entries = fitting(log.entries.range(from..).map(|(_, entry)| entry), max_bytes);
        let next = entries.last().and_then(|last| {
            let after = (Bound::Excluded(last.position), Bound::Unbounded);
            log.entries.range(after).next().map(|(&position, _)| position)
        });
        Ok(LogPage { next: next.unwrap_or(log.end), entries })
    }

    async fn read_back(
        &self,
        log: &LogName,
        before: LogPosition,
        max_bytes: usize,
    ) -> Result<LogPage, StoreError> {
        let state = self.state();
        let Some(log) = state.logs.get(log) else {
            return Ok(LogPage::default());
        };
        let mut entries = fitting(log.entries.range(..before).rev().map(|(_, entry)| entry), max_bytes);
        entries.reverse();
        Ok(LogPage { next: entries.first().map_or(LogPosition::START, |first| first.position), entries })
    }

    async fn log_end(&self, log: &LogName) -> Result<LogPosition, StoreError> {
        Ok(self.state().logs.get(log).map_or(LogPosition::START, |log| log.end))
    }

    async fn trim_log(&self, log: &LogName, before: LogPosition) -> Result<LogUsage, StoreError> {
        let mut state = self.state();
        let Some(log) = state.logs.get_mut(log) else {
            return Ok(LogUsage::default());
        };
        while log.second().is_some_and(|second| second <= before) {
            log.entries.pop_first();
        }
        Ok(log.usage())
    }

    async fn log_usage(&self, log: &LogName) -> Result<LogUsage, StoreError> {
        Ok(self.state().logs.get(log).map(Log::usage).unwrap_or_default())
    }

    async fn log_space(&self) -> Result<LogSpace, StoreError> {
        let logs = self.state().logs.values().map(|log| log.usage().bytes).sum();
        Ok(LogSpace { logs, disk: None })
    }

    async fn drop_log(&self, log: &LogName) -> Result<(), StoreError> {
        self.state().logs.remove(log);
        Ok(())
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.messages.clear();
        state.logs.clear();
        let delete = state.documents.keys().cloned().collect();
        state.apply(Commit { delete, ..Commit::default() });
        Ok(())
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        let state = self.state();
        state.reachable(after)?;
        let first = state.history.partition_point(|change| change.revision <= after);
        let mut changes: Vec<Change> = Vec::new();
        for change in state.history.range(first..) {
            if changes.len() >= limit && changes.last().is_some_and(|last| last.last) {
                break;
            }
            changes.push(change.clone());
        }
        Ok(changes)
    }
}

/// The entries, from the first on, that fit; at least one.
fn fitting<'a>(entries: impl Iterator<Item = &'a LogEntry>, max_bytes: usize) -> Vec<LogEntry> {
    let mut room = max_bytes;
    let mut fit = Vec::new();
    for entry in entries {
        if !fit.is_empty() && entry.bytes.len() > room {
            break;
        }
        room = room.saturating_sub(entry.bytes.len());
        fit.push(entry.clone());
    }
    fit
}

#[derive(Debug)]
struct State {
    documents: BTreeMap<Key, Document>,
    current: watch::Sender<Revision>,
    history: VecDeque<Change>,
    history_bytes: u64,
    /// The earliest revision from which the history is whole.
    oldest: Revision,
    messages: BTreeMap<u64, Message>,
    next_message: u64,
    logs: HashMap<LogName, Log>,
}

#[derive(Debug)]
struct Message {
    queue: Arc<str>,
    body: Bytes,
    due: Timestamp,
    fence: u64,
    attempt: u32,
}

#[derive(Debug, Default)]
struct Log {
    entries: BTreeMap<LogPosition, LogEntry>,
    end: LogPosition,
}

impl Log {
    /// Where the second record begins, or the first one would.
    fn second(&self) -> Option<LogPosition> {
        let after_first = self.entries.keys().nth(1).copied();
        (!self.entries.is_empty()).then(|| after_first.unwrap_or(self.end))
    }

    fn usage(&self) -> LogUsage {
        let start = self.entries.keys().next().copied().unwrap_or(self.end);
        LogUsage { start, next: self.second().unwrap_or(start), bytes: self.end.0 - start.0 }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            documents: BTreeMap::new(),
            current: watch::Sender::new(Revision(0)),
            history: VecDeque::new(),
            history_bytes: 0,
            oldest: Revision(0),
            messages: BTreeMap::new(),
            next_message: 1,
            logs: HashMap::new(),
        }
    }
}

impl State {
    fn commit(&mut self, commit: Commit) -> Result<Revision, StoreError> {
        for require in &commit.require {
            self.require(require)?;
        }
        let mut settled = HashSet::new();
        for &token in &commit.settle {
            self.held(token)?;
            if !settled.insert(token) {
                return Err(StoreError::LeaseLost);
            }
        }
        Ok(self.apply(commit))
    }

    fn require(&self, require: &Require) -> Result<(), StoreError> {
        let (key, expected) = match require {
            Require::Absent(key) => (key, None),
            Require::At(key, revision) => (key, Some(*revision)),
        };
        let found = self.documents.get(key).map(|document| document.revision);
        if found == expected { Ok(()) } else { Err(StoreError::Conflict(key.clone())) }
    }

    fn apply(&mut self, commit: Commit) -> Revision {
        for token in commit.settle {
            self.messages.remove(&token.message);
        }
        let revision = Revision(self.current.borrow().0 + 1);
        let mut changes: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        for (key, body) in commit.put {
            changes.insert(key.clone(), Some(body.clone()));
            self.documents.insert(key.clone(), Document { key, revision, body });
        }
        for key in commit.delete {
            if self.documents.remove(&key).is_some() {
                changes.insert(key, None);
            }
        }
        for Enqueue { queue, body, not_before } in commit.enqueue {
            let message = Message { queue, body, due: not_before, fence: 0, attempt: 0 };
            self.messages.insert(self.next_message, message);
            self.next_message += 1;
        }
        self.record(revision, changes)
    }

    /// Adds a commit's changes to the history, forgets the oldest ones, and wakes the followers.
    fn record(&mut self, revision: Revision, changes: BTreeMap<Key, Option<Bytes>>) -> Revision {
        let count = changes.len();
        if count == 0 {
            return *self.current.borrow();
        }
        for (index, (key, body)) in changes.into_iter().enumerate() {
            let change = Change { revision, key, body, last: index + 1 == count };
            self.history_bytes += weight(&change);
            self.history.push_back(change);
        }
        self.forget(revision);
        self.current.send_replace(revision);
        revision
    }

    fn forget(&mut self, newest: Revision) {
        let full = |state: &Self| {
            state.history.len() as u64 > STORE_HISTORY_CHANGES || state.history_bytes > STORE_HISTORY_BYTES
        };
        while full(self) || self.history.front().is_some_and(|first| first.revision == self.oldest) {
            match self.history.pop_front_if(|first| first.revision != newest) {
                Some(first) => {
                    self.history_bytes -= weight(&first);
                    self.oldest = first.revision;
                }
                None => return,
            }
        }
    }

    /// Whether the history after `from` is whole.
    fn reachable(&self, from: Revision) -> Result<(), StoreError> {
        if from < self.oldest || from > *self.current.borrow() {
            return Err(StoreError::Gone { from, oldest: self.oldest });
        }
        Ok(())
    }

    fn claim(&mut self, queue: &str, max: usize, now: Timestamp, deadline: Timestamp) -> Vec<Claimed> {
        let mut due: Vec<_> = self
            .messages
            .iter_mut()
            .filter(|(_, message)| &*message.queue == queue && message.due <= now)
            .collect();
        due.sort_by_key(|(id, message)| (message.due, **id));
        due.truncate(max);
        due.into_iter()
            .map(|(&id, message)| {
                message.fence += 1;
                message.attempt += 1;
                message.due = deadline;
                let token = LeaseToken { message: id, fence: message.fence };
                Claimed { token, attempt: message.attempt, deadline, body: message.body.clone() }
            })
            .collect()
    }

    fn held(&mut self, token: LeaseToken) -> Result<&mut Message, StoreError> {
        let message = self.messages.get_mut(&token.message);
        message
            .filter(|message| message.fence == token.fence && message.attempt > 0)
            .ok_or(StoreError::LeaseLost)
    }
}

/// What a change counts against the bytes of history.
fn weight(change: &Change) -> u64 {
    (change.key.as_str().len() + change.body.as_ref().map_or(0, Bytes::len)) as u64
}
