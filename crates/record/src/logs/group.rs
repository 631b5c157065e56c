//! One group: what waits to be appended to its log, and its index.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::limits::{LOG_BATCH_BYTES, LOG_CHECKPOINT_BYTES, LOG_LINGER};
use bytes::Bytes;
use store::{
    Commit, Document, Key, LogName, LogPosition, LogRecord, Require, Revision, Store, StoreError, Sync,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use super::LogEvent;
use super::entry::{Encoder, Mark, StreamId};
use super::index::{Changed, Index};
use super::stored::{self, GroupForm};

/// The name of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey {
    /// Its owner.
    pub scope: Scope,
    /// Its name.
    pub name: Arc<str>,
}

impl GroupKey {
    pub(super) fn new(scope: &Scope, name: &str) -> Self {
        Self { scope: scope.clone(), name: name.into() }
    }
}

/// A group. A group of the same name that is made after it is another one.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name.
    pub key: GroupKey,
    /// Its number, part of event ids.
    pub id: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Where its events are.
    pub log: LogName,
    state: Mutex<State>,
    /// How many batches have left the queue, appended or not.
    done: watch::Sender<u64>,
    /// What waits is to be appended now.
    hurry: Notify,
    /// Held while the index is loaded or stored.
    pub(super) storing: tokio::sync::Mutex<()>,
}

/// What changes about a group.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What is in the log. Only what the group's document says, until `loaded`.
    pub index: Index,
    /// Whether the index is complete.
    pub loaded: bool,
    /// How far the log is in stored indexes.
    pub stored: LogPosition,
    /// The last change of the group's document.
    pub revision: Revision,
    /// Whether an append failed, so that the log may hold records that the index does not.
    pub unsure: bool,
    waiting: VecDeque<Batch>,
    waiting_bytes: usize,
    accepted: u64,
    appending: bool,
    closed: bool,
}

/// Events that wait.
#[derive(Debug)]
struct Batch {
    records: Vec<LogRecord>,
    events: Vec<Mark>,
    begins: Vec<StreamId>,
    bytes: usize,
    /// Freed when the events are in the log.
    room: Vec<Room>,
}

/// Space taken until the events are appended: of the writer's share, and of all writers'.
#[derive(Debug)]
#[expect(dead_code, reason = "permits are held, and given back when dropped")]
pub(super) struct Room(pub OwnedSemaphorePermit, pub OwnedSemaphorePermit);

/// The group was deleted; one of its name may have to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

impl Group {
    /// A group without anything in it.
    pub(super) fn new(key: GroupKey, id: u64, created: Timestamp) -> Self {
        let log = stored::log_name(&key.scope, id);
        let state = Mutex::new(State { loaded: true, ..State::default() });
        Self {
            key,
            id,
            created,
            log,
            state,
            done: watch::Sender::new(0),
            hurry: Notify::new(),
            storing: tokio::sync::Mutex::default(),
        }
    }

    /// The group of a document; its index is not loaded.
    pub(super) fn stored(document: &Document) -> Result<Self, StoreError> {
        let form: GroupForm = stored::decode(&document.key, &document.body)?;
        let group = Self::new(stored::read_group_key(&document.key)?, form.id()?, form.created);
        {
            let mut state = group.state();
            (state.loaded, state.stored, state.revision) = (false, form.indexed, document.revision);
            state.index.stored_bytes = form.stored_bytes;
        }
        Ok(group)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding a group's state")
    }

    /// The group's own document.
    pub(super) fn document(&self) -> (Key, Bytes) {
        let state = self.state();
        let form = GroupForm::new(self.id, self.created, state.index.end, state.index.stored_bytes);
        (stored::group_key(&self.key), stored::encode(&form))
    }

    /// The group's document was written.
    pub(super) fn committed(&self, revision: Revision) {
        self.state().revision = revision;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Queues events of a stream, which is made when there is none, and sees to it that they are appended.
    ///
    /// The group must be loaded.
    pub(super) fn push(
        self: &Arc<Self>,
        appender: &Appender,
        stream: &str,
        events: &[LogEvent],
        room: Room,
    ) -> Result<(), Closed> {
        let mut state = self.state();
        if state.closed {
            return Err(Closed);
        }
        let batch = state.encode(stream, events, appender.clock.now(), room);
        state.waiting_bytes += batch.bytes;
        state.waiting.push_back(batch);
        state.accepted += 1;
        if state.waiting_bytes >= LOG_BATCH_BYTES {
            self.hurry.notify_one();
        }
        if !std::mem::replace(&mut state.appending, true) {
            tokio::spawn(self.clone().append_all(appender.clone()));
        }
        Ok(())
    }

    /// Waits until everything queued so far is in the log, or was given up.
    pub(super) async fn settled(&self) {
        let accepted = self.state().accepted;
        self.hurry.notify_one();
        let mut done = self.done.subscribe();
        // The sender lives as long as `self`.
        let _ = done.wait_for(|done| *done >= accepted).await;
    }

    /// Takes no more events, gives up those that wait, and waits for an append that is under way.
    pub(super) async fn close(&self) {
        {
            let mut state = self.state();
            state.closed = true;
            let given_up = state.waiting.len() as u64;
            state.waiting.clear();
            state.waiting_bytes = 0;
            self.done.send_modify(|done| *done += given_up);
        }
        self.settled().await;
        // Whoever stores the index has finished, and does not begin again.
        let _storing = self.storing.lock().await;
    }

    /// Appends what waits until nothing does, after a while in which more may come: one append does for all.
    async fn append_all(self: Arc<Self>, appender: Appender) {
        tokio::select! {
            () = appender.clock.sleep(LOG_LINGER) => {}
            () = self.hurry.notified() => {}
        }
        while let Some((batch, merged)) = self.next_batch() {
            let events = batch.events.len();
            if let Err(error) = self.append(&appender, batch).await {
                tracing::warn!(%error, group = %self.key.name, events, "log events are lost");
                self.state().unsure = true;
            }
            self.done.send_modify(|done| *done += merged);
            if self.state().worth_storing() {
                self.checkpoint_or_warn(&*appender.store).await;
            }
        }
    }

    async fn append(&self, appender: &Appender, batch: Batch) -> Result<(), StoreError> {
        if self.state().unsure {
            self.catch_up(&*appender.store).await?;
            self.state().unsure = false;
        }
        let Batch { records, events, begins, room: _room, .. } = batch;
        let end = appender.store.append(&self.log, records, Sync::Background).await?;
        let now = appender.clock.now();
        let mut state = self.state();
        for stream in begins {
            if let Some((name, created)) = state.index.stream(stream).map(|s| (s.name.clone(), s.created)) {
                state.index.begun(stream, &name, created);
            }
        }
        state.index.appended(end, now, &events);
        Ok(())
    }

    /// What waits, as much as is appended at once, and how many batches that was.
    fn next_batch(&self) -> Option<(Batch, u64)> {
        let mut state = self.state();
        let Some(mut batch) = state.waiting.pop_front() else {
            state.appending = false;
            return None;
        };
        let mut merged = 1;
        while let Some(next) = state.waiting.front() {
            if batch.bytes + next.bytes > LOG_BATCH_BYTES {
                break;
            }
            let next = state.waiting.pop_front().expect("the front was there");
            batch.records.extend(next.records);
            batch.events.extend(next.events);
            batch.begins.extend(next.begins);
            batch.bytes += next.bytes;
            batch.room.extend(next.room);
            merged += 1;
        }
        state.waiting_bytes -= batch.bytes;
        Some((batch, merged))
    }

    async fn checkpoint_or_warn(&self, store: &dyn Store) {
        if let Err(error) = self.checkpoint(store).await {
            tracing::warn!(%error, group = %self.key.name, "the log's index is not stored");
        }
    }
}

impl State {
    fn encode(&mut self, stream: &str, events: &[LogEvent], now: Timestamp, room: Room) -> Batch {
        let bytes = events.iter().map(|event| event.message.len()).sum();
        let mut encoder = Encoder::with_capacity(events.len() + 1, bytes + stream.len() + 8);
        let id = self.index.find_or_make(stream, now);
        let mut begins = Vec::new();
        if let Some(stream) = self.index.stream(id).filter(|stream| !stream.begun) {
            encoder.stream(id, stream.created, &stream.name);
            begins.push(id);
        }
        let mut marks = Vec::with_capacity(events.len());
        for LogEvent { timestamp, message } in events {
            encoder.event(id, *timestamp, message);
            marks.push(Mark::new(id, *timestamp, message.len()));
        }
        Batch { records: encoder.into_records(), events: marks, begins, bytes, room: vec![room] }
    }

    fn worth_storing(&self) -> bool {
        !self.closed && self.index.end.0.saturating_sub(self.stored.0) >= LOG_CHECKPOINT_BYTES
    }
}

/// What appending needs.
#[derive(Clone)]
pub(super) struct Appender {
    /// Where to.
    pub store: Arc<dyn Store>,
    /// Tells when.
    pub clock: Clock,
}

impl Group {
    /// Stores the parts of the index that changed. Does nothing for a group that is not loaded or closed.
    pub(super) async fn checkpoint(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _storing = self.storing.lock().await;
        self.store_index(store).await
    }

    /// As [`Group::checkpoint`]; the caller holds `storing`.
    pub(super) async fn store_index(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some((commit, changed, end)) = self.index_commit() else {
            return Ok(());
        };
        match store.commit(commit).await {
            Ok(revision) => {
                let mut state = self.state();
                (state.stored, state.revision) = (end, revision);
                Ok(())
            }
            Err(error) => {
                self.state().index.give_back(changed);
                Err(error)
            }
        }
    }

    /// The commit that stores the index, what it stores, and how far the log is in it.
    fn index_commit(&self) -> Option<(Commit, Changed, LogPosition)> {
        let group = stored::group_key(&self.key);
        let mut state = self.state();
        if state.closed || !state.loaded || state.index.end == state.stored {
            return None;
        }
        let changed = state.index.take_changed();
        let index = &state.index;
        let form = GroupForm::new(self.id, self.created, index.end, index.stored_bytes);
        let mut put = vec![(group.clone(), stored::encode(&form))];
        put.extend(changed.streams.iter().map(|&chunk| {
            (
                stored::streams_key(&self.key.scope, self.id, chunk),
                stored::encode_streams(index.stream_chunk(chunk)),
            )
        }));
        put.extend(changed.blocks.iter().filter_map(|&chunk| {
            let blocks = index.chunks().get(chunk)?;
            Some((stored::blocks_key(&self.key.scope, self.id, chunk), stored::encode_blocks(blocks)))
        }));
        // A group that was deleted or cleared away meanwhile must not come back.
        let require = vec![Require::At(group, state.revision)];
        Some((Commit { require, put, ..Commit::default() }, changed, index.end))
    }
}
