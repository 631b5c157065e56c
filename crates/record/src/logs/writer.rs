//! Writing to one stream.

use std::sync::{Arc, Mutex};

use base::clock::Timestamp;
use base::limits::{
    LOG_BATCH_BYTES, LOG_EVENT_AGE, LOG_EVENT_MESSAGE_BYTES, LOG_EVENT_OVERHEAD, LOG_GROUP_ROOM_BYTES,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::group::{Appender, Group, GroupKey, Room};
use super::{LogError, LogEvent, Shared};

/// Writes events to a stream in order. Clones write to the same stream and share its room.
#[derive(Debug, Clone)]
pub struct LogWriter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    group: GroupKey,
    stream: Arc<str>,
    /// Bytes that may wait.
    room: Arc<Semaphore>,
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    group: Option<Arc<Group>>,
    /// Time of the last event.
    last: Option<Timestamp>,
}

impl LogWriter {
    pub(super) fn new(shared: Arc<Shared>, group: GroupKey, stream: &str, size: usize) -> Self {
        let room = Arc::new(Semaphore::new(size));
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { shared, group, stream: stream.into(), room, size, state }) }
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.inner.group.name
    }

    /// The stream's name.
    pub fn stream(&self) -> &str {
        &self.inner.stream
    }

    /// Queues events. They are found from now on, and durable within a second.
    ///
    /// While the disk is full they are dropped, and the server's own log tells how many.
    /// Waits while too much is queued: a function that floods its log slows itself. Within a stream no event
    /// is earlier than the one before it or later than now; times that say otherwise are moved.
    ///
    /// # Errors
    /// [`LogError::Store`] when the group cannot be made or loaded. An append that fails later is a warning
    /// in the server's own log: nobody waits for it.
    pub async fn write(&self, events: Vec<LogEvent>) -> Result<(), LogError> {
        if self.inner.shared.keeper.is_full() {
            self.inner.shared.keeper.dropped(events.len(), self.inner.shared.clock.now());
            return Ok(());
        }
        let mut events = self.in_order(events);
        while !events.is_empty() {
            let rest = events.split_off(batch_length(&events));
            self.push(&events).await?;
            events = rest;
        }
        Ok(())
    }

    /// Waits until what was written to the group so far is in its log.
    pub async fn flush(&self) {
        let group = self.state().group.clone();
        if let Some(group) = group {
            group.settled().await;
        }
    }

    async fn push(&self, events: &[LogEvent]) -> Result<(), LogError> {
        loop {
            let group = self.group_to_write().await?;
            let room = self.room(&group, events).await;
            match group.push(&self.inner.shared.appender(), &self.inner.stream, events, room) {
                Ok(()) => return Ok(()),
                // The group was deleted or unloaded under our hands; the next round makes or loads one.
                Err(_) => self.state().group = None,
            }
        }
    }

    async fn group_to_write(&self) -> Result<Arc<Group>, LogError> {
        if let Some(group) = self.state().group.clone() {
            return Ok(group);
        }
        let group = self.inner.shared.writable(&self.inner.group).await?;
        self.state().group = Some(group.clone());
        Ok(group)
    }

    async fn room(&self, group: &Group, events: &[LogEvent]) -> Room {
        let wanted: usize = events.iter().map(size).sum();
        let wanted = wanted.min(self.inner.size);
        // Its own share first: who has used that up holds nothing that others wait for.
        let writer = Some(take(&self.inner.room, wanted).await);
        self.inner.shared.room(group, wanted, writer).await
    }

    /// Events with times that rise, without those that are empty.
    fn in_order(&self, mut events: Vec<LogEvent>) -> Vec<LogEvent> {
        let now = self.inner.shared.clock.now();
        let mut state = self.state();
        events.retain(|event| !event.message.is_empty());
        for event in &mut events {
            let too_old = now.since(event.timestamp) > LOG_EVENT_AGE;
            let believed = if too_old { now } else { event.timestamp.min(now) };
            let time = state.last.map_or(believed, |last| last.max(believed));
            event.timestamp = Timestamp::from_millis(time.as_millis());
            event.message.truncate(LOG_EVENT_MESSAGE_BYTES);
            state.last = Some(event.timestamp);
        }
        events
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().expect("nobody panics while holding a writer's state")
    }
}

impl Shared {
    pub(super) fn appender(&self) -> Appender {
        Appender {
            store: self.store.clone(),
            clock: self.clock,
            follows: self.follows.clone(),
            growth: self.keeper.growth.clone(),
        }
    }

    /// Room for so many bytes of a group's events, beside what the writer has of its own.
    pub(super) async fn room(
        &self,
        group: &Group,
        bytes: usize,
        writer: Option<OwnedSemaphorePermit>,
    ) -> Room {
        let group = take(&group.room, bytes.min(LOG_GROUP_ROOM_BYTES)).await;
        Room { writer, group, all: take(&self.room, bytes).await }
    }
}

async fn take(room: &Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    let permits = u32::try_from(bytes).expect("rooms are small");
    room.clone().acquire_many_owned(permits).await.expect("rooms are never closed")
}

/// How many of the events are appended at once: at least one.
fn batch_length(events: &[LogEvent]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take_while(|event| {
        bytes += size(event);
        bytes <= LOG_BATCH_BYTES
    });
    fitting.count().max(1)
}

/// What an event takes of the room.
pub(super) fn size(event: &LogEvent) -> usize {
    event.message.len() + LOG_EVENT_OVERHEAD
}
