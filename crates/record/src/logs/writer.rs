//! Writing to one stream.

use std::sync::{Arc, Mutex};

use base::clock::Timestamp;
use base::limits::{LOG_BATCH_BYTES, LOG_EVENT_AGE, LOG_EVENT_MESSAGE_BYTES, LOG_EVENT_OVERHEAD};
use tokio::sync::Semaphore;

use super::group::{Appender, Closed, Group, GroupKey, Room};
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
    /// Waits while too much is queued: a function that floods its log slows itself. Within a stream no event
    /// is earlier than the one before it or later than now; times that say otherwise are moved.
    ///
    /// # Errors
    /// [`LogError::Store`] when the group cannot be made or loaded. An append that fails later is a warning
    /// in the server's own log: nobody waits for it.
    pub async fn write(&self, events: Vec<LogEvent>) -> Result<(), LogError> {
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
            let room = self.room(events).await;
            match group.push(&self.inner.shared.appender(), &self.inner.stream, events, room) {
                Ok(()) => return Ok(()),
                // The group was deleted under our hands; the next round makes one.
                Err(Closed) => self.state().group = None,
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

    async fn room(&self, events: &[LogEvent]) -> Room {
        let wanted: usize = events.iter().map(size).sum();
        let permits = u32::try_from(wanted.min(self.inner.size)).expect("a writer's room is small");
        let of = |semaphore: &Arc<Semaphore>| semaphore.clone().acquire_many_owned(permits);
        let writer = of(&self.inner.room).await.expect("a writer's room is never closed");
        let all = of(&self.inner.shared.room).await.expect("the room of all is never closed");
        Room(writer, all)
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
    fn appender(&self) -> Appender {
        Appender { store: self.store.clone(), clock: self.clock }
    }
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
fn size(event: &LogEvent) -> usize {
    event.message.len() + LOG_EVENT_OVERHEAD
}
