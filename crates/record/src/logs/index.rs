//! What is known of a group's log without reading it. Decides nothing about storage and does no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::LOG_BLOCK_BYTES;
use store::LogPosition;

use super::entry::{Mark, StreamId};

/// Streams whose stored form shares a document.
pub(super) const STREAMS_PER_CHUNK: usize = 128;

/// Blocks whose stored form shares a document, and that a search passes over together.
pub(super) const BLOCKS_PER_CHUNK: usize = 256;

/// The index of one group.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// How far the log is indexed: the position after the last record that was applied.
    pub end: LogPosition,
    /// Bytes of all events, with what CloudWatch counts beside each.
    pub stored_bytes: u64,
    streams: Vec<Stream>,
    names: BTreeMap<Arc<str>, StreamId>,
    chunks: Vec<Chunk>,
    changed: Changed,
}

/// Chunks that differ from their stored form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Chunks of streams.
    pub streams: BTreeSet<usize>,
    /// Chunks of blocks.
    pub blocks: BTreeSet<usize>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// Its name; empty while the record of its beginning is missing.
    pub name: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// What is known of its events; `None` until there is one.
    pub seen: Option<Seen>,
    /// Whether the log holds its beginning.
    pub begun: bool,
}

/// Events of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Time of the earliest event.
    pub first: Timestamp,
    /// Time of the latest event.
    pub last: Timestamp,
    /// When the last one was taken in.
    pub ingested: Timestamp,
    /// No event is before.
    pub start: LogPosition,
    /// No event is here or later.
    pub end: LogPosition,
}

/// A stretch of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Its first record.
    pub start: LogPosition,
    /// After its last record.
    pub end: LogPosition,
    /// Time of the earliest event.
    pub earliest: Timestamp,
    /// Time of the latest event.
    pub latest: Timestamp,
    /// Whose events are in it.
    pub whose: StreamSet,
}

/// Neighbouring blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The blocks, in the order of the log.
    pub blocks: Vec<Block>,
    /// Time of the earliest event.
    pub earliest: Timestamp,
    /// Time of the latest event.
    pub latest: Timestamp,
}

/// A set of streams that may hold more than were added, never fewer: 128 bits, each for many streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamSet(pub u128);

impl StreamSet {
    /// Every stream.
    pub(super) const ALL: Self = Self(u128::MAX);

    /// Adds a stream.
    pub(super) fn add(&mut self, stream: StreamId) {
        self.0 |= 1 << (stream.0 % u128::BITS);
    }

    /// Whether a stream may be in both.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Index {
    /// An index from its stored chunks.
    pub(super) fn from_parts(
        end: LogPosition,
        stored_bytes: u64,
        streams: Vec<Stream>,
        chunks: Vec<Chunk>,
    ) -> Self {
        let known = streams.iter().zip(0..).filter(|(stream, _)| !stream.name.is_empty());
        let names = known.map(|(stream, id)| (stream.name.clone(), StreamId(id))).collect();
        Self { end, stored_bytes, streams, names, chunks, changed: Changed::default() }
    }

    /// The same streams without anything known of their events: the log is to be read from its start.
    pub(super) fn emptied(mut self) -> Self {
        for stream in &mut self.streams {
            (stream.seen, stream.begun) = (None, false);
        }
        let mut index = Self::from_parts(LogPosition::START, 0, self.streams, Vec::new());
        index.changed.streams = (0..index.streams.len().div_ceil(STREAMS_PER_CHUNK)).collect();
        index
    }

    /// The streams that share a document.
    pub(super) fn stream_chunk(&self, chunk: usize) -> &[Stream] {
        let start = chunk * STREAMS_PER_CHUNK;
        let end = self.streams.len().min(start + STREAMS_PER_CHUNK);
        self.streams.get(start..end).unwrap_or_default()
    }

    /// All streams with this prefix, by name.
    pub(super) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        let from = self.names.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(_, id)| Some((*id, self.stream(*id)?)))
    }

    /// The stream of this name.
    pub(super) fn find(&self, name: &str) -> Option<StreamId> {
        self.names.get(name).copied()
    }

    /// The stream of this number.
    pub(super) fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(id.0 as usize)
    }

    /// All chunks of blocks, in the order of the log.
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Chunks that changed since the last call.
    pub(super) fn take_changed(&mut self) -> Changed {
        std::mem::take(&mut self.changed)
    }

    /// Chunks that changed after all: they could not be stored.
    pub(super) fn give_back(&mut self, changed: Changed) {
        self.changed.streams.extend(changed.streams);
        self.changed.blocks.extend(changed.blocks);
    }

    /// The stream of this name, made when there is none.
    pub(super) fn find_or_make(&mut self, name: &str, now: Timestamp) -> StreamId {
        match self.find(name) {
            Some(id) => id,
            None => self.make(name.into(), now),
        }
    }

    fn make(&mut self, name: Arc<str>, created: Timestamp) -> StreamId {
        let id = StreamId(u32::try_from(self.streams.len()).expect("a group has fewer than 2^32 streams"));
        self.names.insert(name.clone(), id);
        self.streams.push(Stream { name, created, seen: None, begun: false });
        self.changed.streams.insert(chunk_of(id));
        id
    }

    /// The log holds the beginning of a stream; it may do so again.
    pub(super) fn begun(&mut self, id: StreamId, name: &Arc<str>, created: Timestamp) {
        // Beginnings come in the order of numbers, unless an append failed: then one with a smaller number
        // comes later, and until then nothing is known of that stream.
        while self.streams.len() <= id.0 as usize {
            self.streams.push(Stream { name: "".into(), created, seen: None, begun: false });
        }
        let stream = &mut self.streams[id.0 as usize];
        (stream.name, stream.created, stream.begun) = (name.clone(), created, true);
        self.names.insert(name.clone(), id);
        self.changed.streams.insert(chunk_of(id));
    }

    /// Records from `self.end` to `end` were appended: these events, taken in at `ingested`.
    pub(super) fn appended(&mut self, end: LogPosition, ingested: Timestamp, events: &[Mark]) {
        let start = std::mem::replace(&mut self.end, end);
        let Some(first) = events.first() else {
            return;
        };
        let fresh = Block {
            start,
            end,
            earliest: first.timestamp,
            latest: first.timestamp,
            whose: StreamSet::default(),
        };
        let block = self.open_block(fresh);
        block.end = end;
        for event in events {
            block.earliest = block.earliest.min(event.timestamp);
            block.latest = block.latest.max(event.timestamp);
            block.whose.add(event.stream);
        }
        let Block { earliest, latest, .. } = *block;
        let chunk = self.chunks.last_mut().expect("the open block is in a chunk");
        chunk.earliest = chunk.earliest.min(earliest);
        chunk.latest = chunk.latest.max(latest);
        self.changed.blocks.insert(self.chunks.len() - 1);
        for event in events {
            self.saw(*event, ingested, start);
        }
    }

    /// The last block while it is short enough, else `fresh` as a new one.
    fn open_block(&mut self, fresh: Block) -> &mut Block {
        let full = |block: &Block| block.end.0 - block.start.0 >= LOG_BLOCK_BYTES;
        let last = self.chunks.last().and_then(|chunk| chunk.blocks.last());
        if last.is_none_or(full) {
            if self.chunks.last().is_none_or(|chunk| chunk.blocks.len() >= BLOCKS_PER_CHUNK) {
                let Block { earliest, latest, .. } = fresh;
                self.chunks.push(Chunk { blocks: Vec::new(), earliest, latest });
            }
            self.chunks.last_mut().expect("a chunk was pushed").blocks.push(fresh);
        }
        let chunk = self.chunks.last_mut().expect("there is a chunk");
        chunk.blocks.last_mut().expect("there is a block")
    }

    fn saw(&mut self, event: Mark, ingested: Timestamp, start: LogPosition) {
        let (end, time) = (self.end, event.timestamp);
        let Some(stream) = self.streams.get_mut(event.stream.0 as usize) else {
            return;
        };
        self.stored_bytes += event.bytes;
        self.changed.streams.insert(chunk_of(event.stream));
        let seen = stream.seen.get_or_insert(Seen { first: time, last: time, ingested, start, end });
        seen.first = seen.first.min(time);
        seen.last = seen.last.max(time);
        seen.ingested = ingested;
        seen.end = end;
    }
}

fn chunk_of(id: StreamId) -> usize {
    id.0 as usize / STREAMS_PER_CHUNK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn mark(stream: StreamId, millis: i64) -> Mark {
        Mark::new(stream, at(millis), 74)
    }

    #[test]
    fn blocks_tell_the_times_and_streams_of_a_stretch() {
        let mut index = Index::default();
        let (a, b) = (index.find_or_make("a", at(0)), index.find_or_make("b", at(0)));
        assert_eq!(index.find_or_make("a", at(9)), a);
        index.appended(LogPosition(500), at(1), &[mark(a, 5), mark(a, 3)]);
        index.appended(LogPosition(LOG_BLOCK_BYTES), at(2), &[mark(b, 8)]);
        index.appended(LogPosition(LOG_BLOCK_BYTES + 10), at(3), &[mark(b, 9)]);
        let blocks = &index.chunks()[0].blocks;
        let times: Vec<_> =
            blocks.iter().map(|block| (block.start.0, block.earliest, block.latest)).collect();
        assert_eq!(times, [(0, at(3), at(8)), (LOG_BLOCK_BYTES, at(9), at(9))]);
        let mut only_a = StreamSet::default();
        only_a.add(a);
        assert_eq!(blocks.iter().map(|block| block.whose.meets(only_a)).collect::<Vec<_>>(), [true, false]);
        assert_eq!(index.stored_bytes, 400);
        let seen = index.stream(b).unwrap().seen.unwrap();
        assert_eq!(
            (seen.first, seen.last, seen.ingested, seen.start),
            (at(8), at(9), at(3), LogPosition(500))
        );
    }

    #[test]
    fn only_changed_chunks_are_stored_again() {
        let mut index = Index::default();
        for number in 0..300 {
            index.find_or_make(&format!("s{number:03}"), at(0));
        }
        assert_eq!(index.take_changed().streams, [0, 1, 2].into());
        index.appended(LogPosition(10), at(1), &[mark(StreamId(130), 1)]);
        assert_eq!(index.take_changed(), Changed { streams: [1].into(), blocks: [0].into() });
        assert_eq!(index.named("s12").count(), 10);
    }

    #[test]
    fn events_of_streams_that_never_began_are_not_counted() {
        let mut index = Index::default();
        index.appended(LogPosition(10), at(1), &[mark(StreamId(3), 1)]);
        assert_eq!((index.stored_bytes, index.end), (0, LogPosition(10)));
    }
}
