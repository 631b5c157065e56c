//! One group: what waits to be appended to its log, and its index.

mod batch;
mod storing;

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::limits::{LOG_BATCH_BYTES, LOG_CHECKPOINT_BYTES, LOG_GROUP_ROOM_BYTES, LOG_LINGER};
use bytes::Bytes;
use store::{Document, Key, LogName, LogPosition, Revision, Store, StoreError, Sync};
use tokio::sync::{Notify, Semaphore, watch};

use super::entry::{Encoder, StreamId};
use super::follow::Follows;
use super::index::{Gone, Index};
use super::keeper::Growth;
use super::settings::GroupSettings;
use super::stored::{self, GroupForm};
use super::{LogEvent, Shared};

use batch::Batch;
pub(super) use batch::{Durable, Room};

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
    /// Held while the index is loaded or stored, or the log trimmed.
    pub(super) storing: tokio::sync::Mutex<()>,
    /// Bytes of all its writers that may wait: a group takes its share of the room, not all.
    pub(super) room: Arc<Semaphore>,
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
    /// What its owner set.
    pub settings: GroupSettings,
    /// Whether the group's document is to be written although the log did not grow.
    pub dirty: bool,
    /// Who uses the loaded index.
    pub users: usize,
    /// Time of the latest event of what would go at once: before that is too old nothing can expire.
    pub kept_until: Option<Timestamp>,
    /// When it was used last.
    pub used: Option<Timestamp>,
    /// As in the group's document, until it is loaded.
    pub next_stream: u32,
    /// As in the group's document, until it is loaded.
    pub gone: Gone,
    /// As in the group's document, until it is loaded.
    pub front: Option<Timestamp>,
    waiting: VecDeque<Batch>,
    waiting_bytes: usize,
    accepted: u64,
    appending: bool,
    closed: bool,
}

/// Why nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unready {
    /// The group was deleted; one of its name may have to be made.
    Closed,
    /// The index is not in memory.
    Unloaded,
    /// There is no such stream, or there is one already.
    Stream,
}

/// A group whose index stays loaded while this is held.
#[derive(Debug)]
pub(super) struct Loaded(Arc<Group>);

impl Deref for Loaded {
    type Target = Arc<Group>;

    fn deref(&self) -> &Arc<Group> {
        &self.0
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.state().users -= 1;
    }
}

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
            room: Arc::new(Semaphore::new(LOG_GROUP_ROOM_BYTES)),
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
            (state.next_stream, state.front, state.settings) = (form.next_stream, form.front, form.settings);
            state.gone = form.gone.into_iter().map(|(id, end)| (StreamId(id), end)).collect();
        }
        Ok(group)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding a group's state")
    }

    /// The group's own document.
    pub(super) fn document(&self) -> (Key, Bytes) {
        let state = self.state();
        let form = GroupForm::new(self.id, self.created, state.settings.clone(), &state.index);
        (stored::group_key(&self.key), stored::encode(&form))
    }

    /// The group's document was written.
    pub(super) fn committed(&self, revision: Revision) {
        self.state().revision = revision;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Loads the index and keeps it loaded.
    pub(super) async fn loaded(self: &Arc<Self>, shared: &Shared) -> Result<Loaded, StoreError> {
        loop {
            self.load(&*shared.store).await?;
            let mut state = self.state();
            if state.loaded {
                state.users += 1;
                state.used = Some(shared.clock.now());
                return Ok(Loaded(self.clone()));
            }
        }
    }

    /// Queues events of a stream, which is made when there is none, and sees to it that they are appended.
    pub(super) fn push(
        self: &Arc<Self>,
        appender: &Appender,
        stream: &str,
        events: &[LogEvent],
        room: Room,
    ) -> Result<(), Unready> {
        let mut state = self.ready()?;
        let now = appender.clock.now();
        let id = state.index.find_or_make(stream, now);
        let batch = Batch::of_events(&state.index, id, events, room);
        self.enqueue(state, appender, batch);
        appender.follows.tell(&self.key, self.id, stream, events, now);
        Ok(())
    }

    /// Queues events of a stream that there is; answers when they are durable.
    pub(super) fn put(
        self: &Arc<Self>,
        appender: &Appender,
        stream: &str,
        events: &[LogEvent],
        room: Room,
    ) -> Result<Durable, Unready> {
        let state = self.ready()?;
        let id = state.index.find(stream).ok_or(Unready::Stream)?;
        let mut batch = Batch::of_events(&state.index, id, events, room);
        let durable = batch.durable();
        self.enqueue(state, appender, batch);
        appender.follows.tell(&self.key, self.id, stream, events, appender.clock.now());
        Ok(durable)
    }

    /// Makes a stream that there is not; answers when that is durable.
    pub(super) fn begin(
        self: &Arc<Self>,
        appender: &Appender,
        stream: &str,
        room: Room,
    ) -> Result<Durable, Unready> {
        let mut state = self.ready()?;
        if state.index.find(stream).is_some() {
            return Err(Unready::Stream);
        }
        let id = state.index.find_or_make(stream, appender.clock.now());
        let mut batch = Batch::of_events(&state.index, id, &[], room);
        let durable = batch.durable();
        self.enqueue(state, appender, batch);
        Ok(durable)
    }

    /// Deletes a stream; answers when that is durable.
    pub(super) fn end_stream(
        self: &Arc<Self>,
        appender: &Appender,
        stream: &str,
        room: Room,
    ) -> Result<Durable, Unready> {
        let mut state = self.ready()?;
        let id = state.index.find(stream).ok_or(Unready::Stream)?;
        let mut encoder = Encoder::with_capacity(1, 0);
        encoder.deleted(id, appender.clock.now());
        // Its events that wait are appended before this is, wherever that will be.
        state.index.deleted(id, LogPosition(u64::MAX));
        let mut batch = Batch::new(encoder.into_records(), id, room);
        batch.deletes.push(id);
        let durable = batch.durable();
        self.enqueue(state, appender, batch);
        Ok(durable)
    }

    fn ready(&self) -> Result<MutexGuard<'_, State>, Unready> {
        let state = self.state();
        match (state.closed, state.loaded) {
            (true, _) => Err(Unready::Closed),
            (false, false) => Err(Unready::Unloaded),
            (false, true) => Ok(state),
        }
    }

    fn enqueue(self: &Arc<Self>, mut state: MutexGuard<'_, State>, appender: &Appender, batch: Batch) {
        for stream in &batch.streams {
            state.index.leaves(*stream);
        }
        state.used = Some(appender.clock.now());
        state.waiting_bytes += batch.bytes;
        let hurry = state.waiting_bytes >= LOG_BATCH_BYTES || !batch.waiters.is_empty();
        state.waiting.push_back(batch);
        state.accepted += 1;
        if hurry {
            self.hurry.notify_one();
        }
        if !std::mem::replace(&mut state.appending, true) {
            tokio::spawn(self.clone().append_all(appender.clone()));
        }
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
        while let Some((mut batch, merged)) = self.next_batch() {
            let (events, waiters) = (batch.events.len(), std::mem::take(&mut batch.waiters));
            let sync = if waiters.is_empty() { Sync::Background } else { Sync::Now };
            let streams = std::mem::take(&mut batch.streams);
            let appended = self.append(&appender, batch, sync).await;
            if let Err(error) = &appended {
                tracing::warn!(%error, group = %self.key.name, events, "log events are lost");
            }
            {
                let mut state = self.state();
                state.unsure |= appended.is_err();
                streams.iter().for_each(|stream| state.index.arrived(*stream));
            }
            for waiter in waiters {
                // Who waited may have gone.
                let _ = waiter.send(appended.clone());
            }
            self.done.send_modify(|done| *done += merged);
            if self.state().worth_storing() {
                self.checkpoint_or_warn(&*appender.store).await;
            }
        }
    }

    async fn append(&self, appender: &Appender, batch: Batch, sync: Sync) -> Result<(), StoreError> {
        if self.state().unsure {
            self.catch_up(&*appender.store).await?;
            self.state().unsure = false;
        }
        let Batch { records, events, begins, deletes, bytes, room: _room, .. } = batch;
        let end = appender.store.append(&self.log, records, sync).await?;
        let now = appender.clock.now();
        appender.growth.add(bytes);
        let mut state = self.state();
        for stream in begins {
            if let Some((name, created)) = state.index.stream(stream).map(|s| (s.name.clone(), s.created)) {
                state.index.begun(stream, &name, created);
            }
        }
        state.index.appended(end, now, &events);
        for stream in deletes {
            state.index.deleted(stream, end);
        }
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
            batch.absorb(next);
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
    /// Whether the index must stay in memory.
    fn busy(&self) -> bool {
        self.closed
            || !self.loaded
            || self.unsure
            || self.users > 0
            || self.appending
            || !self.waiting.is_empty()
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
    /// Who is told of events.
    pub follows: Arc<Follows>,
    /// Counts what is appended.
    pub growth: Arc<Growth>,
}
