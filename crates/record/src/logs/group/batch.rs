//! Events that wait to be appended, and the room they take meanwhile.

use store::{LogRecord, StoreError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::logs::LogEvent;
use crate::logs::entry::{Encoder, Mark, StreamId};
use crate::logs::index::Index;

/// Events that wait.
#[derive(Debug)]
pub(super) struct Batch {
    pub records: Vec<LogRecord>,
    pub events: Vec<Mark>,
    pub begins: Vec<StreamId>,
    pub deletes: Vec<StreamId>,
    /// Whose events these are, as often as they were queued.
    pub streams: Vec<StreamId>,
    pub bytes: usize,
    /// Freed when the events are in the log.
    pub room: Vec<Room>,
    /// Told when the events are durable. Nobody waits for those of functions.
    pub waiters: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

/// Space taken until the events are appended: of the writer's share, of the group's, and of all writers'.
#[derive(Debug)]
#[expect(dead_code, reason = "permits are held, and given back when dropped")]
pub(in crate::logs) struct Room {
    pub writer: Option<OwnedSemaphorePermit>,
    pub group: OwnedSemaphorePermit,
    pub all: OwnedSemaphorePermit,
}

/// Answers when what was queued is durable; is dropped when the group was deleted before.
pub(in crate::logs) type Durable = oneshot::Receiver<Result<(), StoreError>>;

impl Batch {
    /// Events of a stream that the index has, after the stream's beginning unless the log has that already.
    pub(super) fn of_events(index: &Index, id: StreamId, events: &[LogEvent], room: Room) -> Self {
        let bytes = events.iter().map(|event| event.message.len()).sum();
        let stream = index.stream(id).expect("it was just found or made");
        let mut encoder = Encoder::with_capacity(events.len() + 1, bytes + stream.name.len() + 8);
        let begins = !stream.begun;
        if begins {
            encoder.stream(id, stream.created, &stream.name);
        }
        let mut marks = Vec::with_capacity(events.len());
        for LogEvent { timestamp, message } in events {
            encoder.event(id, *timestamp, message);
            marks.push(Mark::new(id, *timestamp, message.len()));
        }
        let begins = if begins { vec![id] } else { Vec::new() };
        Self { events: marks, begins, bytes, ..Self::new(encoder.into_records(), id, room) }
    }

    pub(super) fn new(records: Vec<LogRecord>, stream: StreamId, room: Room) -> Self {
        Self {
            records,
            events: Vec::new(),
            begins: Vec::new(),
            deletes: Vec::new(),
            streams: vec![stream],
            bytes: 0,
            room: vec![room],
            waiters: Vec::new(),
        }
    }

    /// Tells when it is durable.
    pub(super) fn durable(&mut self) -> Durable {
        let (waiter, durable) = oneshot::channel();
        self.waiters.push(waiter);
        durable
    }

    /// Takes another batch, which is appended with this one and after it.
    pub(super) fn absorb(&mut self, next: Self) {
        let Self { records, events, begins, deletes, streams, bytes, room, waiters } = next;
        self.records.extend(records);
        self.events.extend(events);
        self.begins.extend(begins);
        self.deletes.extend(deletes);
        self.streams.extend(streams);
        self.bytes += bytes;
        self.room.extend(room);
        self.waiters.extend(waiters);
    }
}
