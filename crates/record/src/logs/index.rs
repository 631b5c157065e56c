//! What is known of a group's log without reading it. Decides nothing about storage and does no I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// The number of the next stream.
    next: u32,
    streams: BTreeMap<StreamId, Stream>,
    names: BTreeMap<Arc<str>, StreamId>,
    /// The number of the first chunk: those before it were trimmed.
    first_chunk: usize,
    chunks: VecDeque<Chunk>,
    gone: Gone,
    changed: Changed,
}

/// Streams that were deleted and whose events may still be in the log, before these places.
pub(super) type Gone = BTreeMap<StreamId, LogPosition>;

/// An index as it is stored.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// How far the log is indexed.
    pub end: LogPosition,
    /// Bytes of all events.
    pub stored_bytes: u64,
    /// The number of the next stream, or a smaller one.
    pub next: u32,
    /// The streams.
    pub streams: Vec<(StreamId, Stream)>,
    /// The chunks of blocks with their numbers, which are consecutive.
    pub chunks: Vec<(usize, Chunk)>,
    /// Streams that were deleted.
    pub gone: Gone,
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
    /// Batches of its events that are on their way into the log.
    pub pending: u32,
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
    /// What its events count, in bytes.
    pub bytes: u64,
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
    /// An index from its stored parts.
    pub(super) fn from_parts(parts: Parts) -> Self {
        let Parts { end, stored_bytes, next, streams, chunks, gone } = parts;
        let streams: BTreeMap<_, _> = streams.into_iter().collect();
        let known = streams.iter().filter(|(_, stream)| !stream.name.is_empty());
        let names = known.map(|(id, stream)| (stream.name.clone(), *id)).collect();
        let next = streams.keys().last().map_or(next, |last| next.max(last.0 + 1));
        let first_chunk = chunks.first().map_or(0, |(number, _)| *number);
        let chunks = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        let changed = Changed::default();
        Self { end, stored_bytes, next, streams, names, first_chunk, chunks, gone, changed }
    }

    /// The same streams without anything known of their events: the log is to be read from its start.
    pub(super) fn emptied(mut self) -> Self {
        for stream in self.streams.values_mut() {
            (stream.seen, stream.begun) = (None, false);
        }
        let streams = self.streams.into_iter().collect();
        let mut index = Self::from_parts(Parts { next: self.next, streams, ..Parts::default() });
        index.changed.streams = index.streams.keys().map(|id| chunk_of(*id)).collect();
        index
    }

    /// What is kept of an index that is not in memory.
    pub(super) fn unloaded(&self) -> Self {
        Self { end: self.end, stored_bytes: self.stored_bytes, ..Self::default() }
    }

    /// The streams that share a document.
    pub(super) fn stream_chunk(&self, chunk: usize) -> impl Iterator<Item = (StreamId, &Stream)> {
        let start = (chunk * STREAMS_PER_CHUNK) as u32;
        let range = StreamId(start)..StreamId(start.saturating_add(STREAMS_PER_CHUNK as u32));
        self.streams.range(range).map(|(id, stream)| (*id, stream))
    }

    /// The number of the next stream.
    pub(super) fn next_stream(&self) -> u32 {
        self.next
    }

    /// Streams that were deleted and whose events may still be in the log.
    pub(super) fn gone(&self) -> &Gone {
        &self.gone
    }

    /// All streams with this prefix, by name.
    pub(super) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        self.named_after(prefix, None)
    }

    /// The streams with this prefix that come after a name which has it, too, by name.
    pub(super) fn named_after<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (StreamId, &'a Stream)> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let from = self.names.range::<str, _>((from, Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(_, id)| Some((*id, self.stream(*id)?)))
    }

    /// The stream of this name.
    pub(super) fn find(&self, name: &str) -> Option<StreamId> {
        self.names.get(name).copied()
    }

    /// The stream of this number.
    pub(super) fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// All chunks of blocks, in the order of the log.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.iter()
    }

    /// The chunk of this number, unless it was trimmed.
    pub(super) fn chunk(&self, number: usize) -> Option<&Chunk> {
        self.chunks.get(number.checked_sub(self.first_chunk)?)
    }

    /// Time of the latest event of the stretch that would be trimmed first.
    pub(super) fn front(&self) -> Option<Timestamp> {
        Some(self.chunks.front()?.blocks.first()?.latest)
    }

    /// Time of the latest event of the stretches that begin before a place.
    pub(super) fn latest_before(&self, place: LogPosition) -> Option<Timestamp> {
        let blocks = self.chunks().flat_map(|chunk| &chunk.blocks);
        blocks.take_while(|block| block.start < place).map(|block| block.latest).max()
    }

    /// Up to where all events are earlier than `horizon`.
    pub(super) fn earlier_than(&self, horizon: Timestamp) -> LogPosition {
        let later = self.chunks().flat_map(|chunk| &chunk.blocks).find(|block| block.latest >= horizon);
        later.map_or(self.end, |block| block.start)
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
        let id = StreamId(self.next);
        self.next = self.next.checked_add(1).expect("a group has had fewer than 2^32 streams");
        self.names.insert(name.clone(), id);
        self.streams.insert(id, Stream { name, created, seen: None, begun: false, pending: 0 });
        self.changed.streams.insert(chunk_of(id));
        id
    }

    /// A batch of a stream's events is on its way.
    pub(super) fn leaves(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.pending += 1;
        }
    }

    /// A batch of a stream's events arrived, or was given up.
    pub(super) fn arrived(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.pending = stream.pending.saturating_sub(1);
        }
    }

    /// The log holds the beginning of a stream; it may do so again.
    pub(super) fn begun(&mut self, id: StreamId, name: &Arc<str>, created: Timestamp) {
        // Beginnings come in the order of numbers, unless an append failed: then one with a smaller number
        // comes later, and until then nothing is known of that stream.
        self.next = self.next.max(id.0.saturating_add(1));
        if self.gone.contains_key(&id) {
            return;
        }
        let stream = self.streams.entry(id).or_insert_with(|| Stream {
            name: name.clone(),
            created,
            seen: None,
            begun: true,
            pending: 0,
        });
        (stream.name, stream.created, stream.begun) = (name.clone(), created, true);
        self.names.insert(name.clone(), id);
        self.changed.streams.insert(chunk_of(id));
    }

    /// A stream was deleted; its events are all before `end`.
    pub(super) fn deleted(&mut self, id: StreamId, end: LogPosition) {
        if let Some(stream) = self.streams.remove(&id) {
            self.names.remove(&stream.name);
        }
        self.gone.insert(id, end);
        self.changed.streams.insert(chunk_of(id));
    }

    /// The log begins at `start`: blocks before it are gone, and with them the streams that have no others.
    pub(super) fn trimmed(&mut self, start: LogPosition) {
        while let Some(chunk) = self.chunks.front_mut() {
            let kept = chunk.blocks.partition_point(|block| block.end <= start);
            if kept == 0 {
                break;
            }
            let bytes: u64 = chunk.blocks.drain(..kept).map(|block| block.bytes).sum();
            self.stored_bytes = self.stored_bytes.saturating_sub(bytes);
            self.changed.blocks.insert(self.first_chunk);
            if !chunk.blocks.is_empty() {
                chunk.earliest =
                    chunk.blocks.iter().map(|block| block.earliest).min().unwrap_or(chunk.earliest);
                break;
            }
            self.chunks.pop_front();
            self.first_chunk += 1;
        }
        let (names, changed) = (&mut self.names, &mut self.changed);
        self.streams.retain(|id, stream| {
            let keep = stream.pending > 0 || stream.seen.is_none_or(|seen| seen.end > start);
            if !keep {
                names.remove(&stream.name);
                changed.streams.insert(chunk_of(*id));
            }
            keep
        });
        self.gone.retain(|_, end| *end > start);
        if self.chunks.is_empty() {
            self.stored_bytes = 0;
        }
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
            bytes: 0,
        };
        let block = self.open_block(fresh);
        block.end = end;
        for event in events {
            block.earliest = block.earliest.min(event.timestamp);
            block.latest = block.latest.max(event.timestamp);
            block.whose.add(event.stream);
            block.bytes += event.bytes;
        }
        let Block { earliest, latest, .. } = *block;
        let chunk = self.chunks.back_mut().expect("the open block is in a chunk");
        chunk.earliest = chunk.earliest.min(earliest);
        chunk.latest = chunk.latest.max(latest);
        self.changed.blocks.insert(self.first_chunk + self.chunks.len() - 1);
        for event in events {
            self.saw(*event, ingested, start);
        }
    }

    /// The last block while it is short enough, else `fresh` as a new one.
    fn open_block(&mut self, fresh: Block) -> &mut Block {
        let full = |block: &Block| block.end.0 - block.start.0 >= LOG_BLOCK_BYTES;
        let last = self.chunks.back().and_then(|chunk| chunk.blocks.last());
        if last.is_none_or(full) {
            if self.chunks.back().is_none_or(|chunk| chunk.blocks.len() >= BLOCKS_PER_CHUNK) {
                let Block { earliest, latest, .. } = fresh;
                self.chunks.push_back(Chunk { blocks: Vec::new(), earliest, latest });
            }
            self.chunks.back_mut().expect("a chunk was pushed").blocks.push(fresh);
        }
        let chunk = self.chunks.back_mut().expect("there is a chunk");
        chunk.blocks.last_mut().expect("there is a block")
    }

    fn saw(&mut self, event: Mark, ingested: Timestamp, start: LogPosition) {
        let (end, time) = (self.end, event.timestamp);
        let Some(stream) = self.streams.get_mut(&event.stream) else {
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
        let blocks = &index.chunk(0).unwrap().blocks;
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

    #[test]
    fn what_is_trimmed_takes_its_streams_along() {
        let mut index = Index::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| index.find_or_make(name, at(0)));
        for (number, stream) in [a, b, b].into_iter().enumerate() {
            let end = LogPosition(LOG_BLOCK_BYTES * (number as u64 + 1));
            index.appended(end, at(9), &[mark(stream, number as i64)]);
        }
        assert_eq!((index.front(), index.stored_bytes), (Some(at(0)), 300));
        assert_eq!(index.earlier_than(at(1)), LogPosition(LOG_BLOCK_BYTES));
        assert_eq!(index.earlier_than(at(9)), index.end);
        index.take_changed();
        index.trimmed(LogPosition(LOG_BLOCK_BYTES));
        assert_eq!((index.find("a"), index.find("b"), index.find("c")), (None, Some(b), Some(c)));
        assert_eq!((index.front(), index.stored_bytes), (Some(at(1)), 200));
        assert_eq!(index.take_changed(), Changed { streams: [0].into(), blocks: [0].into() });
        index.leaves(b);
        index.trimmed(index.end);
        assert_eq!(
            (index.find("b"), index.stored_bytes, index.front()),
            (Some(b), 0, None),
            "b is written to"
        );
        index.arrived(b);
        index.trimmed(index.end);
        assert_eq!((index.find("b"), index.find("c")), (None, Some(c)), "c waits for its first event");
        assert_ne!(index.find_or_make("a", at(9)), a);
    }

    #[test]
    fn a_deleted_stream_is_remembered_until_its_events_are_gone() {
        let mut index = Index::default();
        let a = index.find_or_make("a", at(0));
        index.appended(LogPosition(50), at(9), &[mark(a, 1)]);
        index.deleted(a, LogPosition(60));
        index.begun(a, &"a".into(), at(0));
        assert_eq!((index.find("a"), index.gone().contains_key(&a)), (None, true));
        assert_ne!(index.find_or_make("a", at(1)), a);
        index.trimmed(LogPosition(50));
        assert!(index.gone().contains_key(&a));
        index.trimmed(LogPosition(60));
        assert!(index.gone().is_empty());
    }
}
