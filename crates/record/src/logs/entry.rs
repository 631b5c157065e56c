//! What the records of a group's log look like. The first byte tells their kind; unknown kinds are skipped.

use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::LOG_EVENT_OVERHEAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use store::LogRecord;

const EVENT: u8 = 1;
const STREAM: u8 = 2;
const DELETED: u8 = 3;

/// The number of a stream within its group, in order of creation; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamId(pub u32);

/// A record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A log event.
    Event {
        /// Its stream.
        stream: StreamId,
        /// What was written.
        message: Bytes,
    },
    /// A stream begins; comes before its first event and may be repeated.
    Stream {
        /// Its number.
        stream: StreamId,
        /// When it was made.
        created: Timestamp,
        /// Its name.
        name: Arc<str>,
    },
    /// A stream was deleted: none of its events counts any more.
    Deleted {
        /// Its number.
        stream: StreamId,
    },
}

/// What the index needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its stream.
    pub stream: StreamId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What it counts, in bytes.
    pub bytes: u64,
}

impl Mark {
    /// The mark of an event with a message so long.
    pub(super) const fn new(stream: StreamId, timestamp: Timestamp, message: usize) -> Self {
        Self { stream, timestamp, bytes: (message + LOG_EVENT_OVERHEAD) as u64 }
    }
}

/// Reads a record; `None` for kinds written by other versions and for damaged ones.
pub(super) fn decode(mut bytes: Bytes) -> Option<Entry> {
    let kind = bytes.try_get_u8().ok()?;
    let stream = StreamId(bytes.try_get_u32().ok()?);
    match kind {
        EVENT => Some(Entry::Event { stream, message: bytes }),
        STREAM => {
            let created = Timestamp::from_micros(bytes.try_get_i64().ok()?);
            let name = std::str::from_utf8(&bytes).ok()?.into();
            Some(Entry::Stream { stream, created, name })
        }
        DELETED => Some(Entry::Deleted { stream }),
        _ => None,
    }
}

/// Writes many records into one allocation.
pub(super) struct Encoder {
    buffer: BytesMut,
    records: Vec<LogRecord>,
}

impl Encoder {
    /// Room for so many events with so many bytes of messages.
    pub(super) fn with_capacity(events: usize, bytes: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(bytes + events * 5), records: Vec::with_capacity(events) }
    }

    /// Adds an event.
    pub(super) fn event(&mut self, stream: StreamId, timestamp: Timestamp, message: &[u8]) {
        self.buffer.put_u8(EVENT);
        self.buffer.put_u32(stream.0);
        self.buffer.put_slice(message);
        self.finish(timestamp);
    }

    /// Adds the beginning of a stream.
    pub(super) fn stream(&mut self, stream: StreamId, created: Timestamp, name: &str) {
        self.buffer.put_u8(STREAM);
        self.buffer.put_u32(stream.0);
        self.buffer.put_i64(created.as_micros());
        self.buffer.put_slice(name.as_bytes());
        self.finish(created);
    }

    /// Adds the end of a stream.
    pub(super) fn deleted(&mut self, stream: StreamId, when: Timestamp) {
        self.buffer.put_u8(DELETED);
        self.buffer.put_u32(stream.0);
        self.finish(when);
    }

    /// The records.
    pub(super) fn into_records(self) -> Vec<LogRecord> {
        self.records
    }

    fn finish(&mut self, timestamp: Timestamp) {
        self.records.push(LogRecord { timestamp, bytes: self.buffer.split().freeze() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_written_and_others_are_skipped() {
        let mut encoder = Encoder::with_capacity(2, 10);
        let (stream, created) = (StreamId(70_000), Timestamp::from_micros(5));
        encoder.stream(stream, created, "s");
        encoder.event(stream, created, b"hello\n");
        encoder.deleted(stream, created);
        let entries = encoder.into_records().into_iter().map(|record| decode(record.bytes));
        let hello = Entry::Event { stream, message: Bytes::from_static(b"hello\n") };
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [
                Some(Entry::Stream { stream, created, name: "s".into() }),
                Some(hello),
                Some(Entry::Deleted { stream })
            ]
        );
        for odd in [
            b"".as_slice(),
            b"\x01\0",
            b"\x09\0\0\0\0rest",
            b"\x02\0\0\0\x01",
            b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\xFF",
        ] {
            assert_eq!(decode(Bytes::copy_from_slice(odd)), None);
        }
    }
}
