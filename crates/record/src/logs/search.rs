//! Finding events by time in a log that is only nearly in the order of time.
//!
//! A page is found by a sweep: the blocks that can hold matching events are read from the one that begins
//! nearest to the page's start onwards, and the nearest events kept, until no unread block can hold one
//! that is nearer than the last kept. So pages are exact even when events came late, and in the usual case
//! each block is read once. A page ends early, perhaps empty, when it has read `limits::LOG_PAGE_BLOCKS`.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::{
    LOG_BLOCK_BYTES, LOG_EVENT_OVERHEAD, LOG_PAGE_BLOCKS, LOG_PAGE_BYTES, LOG_PAGE_EVENTS, LOG_READ_BYTES,
};
use bytes::Bytes;
use store::{LogEntry, LogName, LogPosition, Store, StoreError};
use tokio::task::JoinHandle;

use super::entry::{self, Entry, StreamId};
use super::group::{Group, GroupKey, Loaded};
use super::index::{Block, Index, StreamSet};
use super::keeper::horizon;
use super::place::{EventId, Place, Purpose};
use super::{LogError, Logs, Shared};
use crate::pattern::Pattern;

/// Records that are looked at before others have their turn on the thread: a fraction of a millisecond.
const TURN: usize = 1024;

/// An event that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// The event's own for ever; they order as the events of a group do.
    pub id: EventId,
    /// Its stream.
    pub stream: Arc<str>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was taken in.
    pub ingested: Timestamp,
    /// What was written; not necessarily UTF-8.
    pub message: Bytes,
}

/// Which events of one stream are asked for.
#[derive(Debug, Clone, Default)]
pub struct StreamEvents<'a> {
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Events on a page, at most `limits::LOG_PAGE_EVENTS`.
    pub limit: usize,
    /// Without a token: from the earliest on, not back from the latest.
    pub from_head: bool,
    /// A token of an earlier page.
    pub token: Option<&'a str>,
}

/// Events of one stream, with the tokens of the pages around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The earliest first.
    pub events: Vec<FoundEvent>,
    /// `f/...`: what comes after. The token that was given, at the end.
    pub forward: String,
    /// `b/...`: what came before. The token that was given, at the start.
    pub backward: String,
}

/// Which streams of a group are meant.
#[derive(Debug, Clone, Default)]
pub enum Streams {
    /// All.
    #[default]
    All,
    /// Those with these names, all of which must exist.
    Named(Vec<String>),
    /// Those whose names start so, if any.
    Prefixed(String),
}

/// Which events of a group are asked for.
#[derive(Debug, Clone, Default)]
pub struct EventQuery<'a> {
    /// Whose.
    pub streams: Streams,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Events on a page, at most `limits::LOG_PAGE_EVENTS`.
    pub limit: usize,
    /// The latest events first. A token knows its own order.
    pub latest_first: bool,
    /// The token of the page before.
    pub token: Option<&'a str>,
    /// Only those whose messages match.
    pub pattern: Option<&'a Pattern>,
}

/// Events of a group's streams, interleaved by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// In the order asked for. May be empty although there are more.
    pub events: Vec<FoundEvent>,
    /// Continues the listing, unless this is its end.
    pub next: Option<String>,
}

impl Logs {
    /// A page of one stream, with everything that was written before the call.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::NoStream`], [`LogError::InvalidToken`].
    pub async fn get_events(
        &self,
        scope: &Scope,
        group: &str,
        stream: &str,
        query: &StreamEvents<'_>,
    ) -> Result<EventPage, LogError> {
        let group = self.current(scope, group).await?;
        let selection = Selection::of(&group.state().index, &Streams::Named(vec![stream.into()]))?;
        let subject = format!("{:016x} {stream}", group.id);
        let purpose = Purpose { operation: "GetLogEvents", subject: &subject };
        let mut range = range(query.from, query.until);
        let (backward, cursor) = match query.token.map(|token| token.split_at_checked(2)) {
            None => (!query.from_head, None),
            Some(Some(("f/", digits))) => (false, Some(purpose.open_digits(digits)?)),
            Some(Some(("b/", digits))) => (true, Some(purpose.open_digits(digits)?)),
            Some(_) => return Err(LogError::InvalidToken),
        };
        match cursor {
            Some(cursor) if backward => range.end = range.end.min(cursor),
            Some(cursor) => range.start = range.start.max(cursor),
            None => {}
        }
        let range = self.shared.shown(&group, range);
        let search = Search { range, backward, selection, room: Room::page(query.limit), pattern: None };
        let hits = self.search(&group, &search).await?;
        let (before, after) = hits.around(&search, cursor);
        Ok(EventPage {
            events: found(&group, hits.found),
            forward: format!("f/{}", purpose.seal_digits(after)),
            backward: format!("b/{}", purpose.seal_digits(before)),
        })
    }

    /// A page of a group, with everything that was written before the call.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::NoStream`], [`LogError::InvalidToken`].
    pub async fn filter_events(
        &self,
        scope: &Scope,
        group: &str,
        query: &EventQuery<'_>,
    ) -> Result<Events, LogError> {
        let group = self.current(scope, group).await?;
        let selection = Selection::of(&group.state().index, &query.streams)?;
        let subject = format!("{:016x}", group.id);
        let purpose = Purpose { operation: "FilterLogEvents", subject: &subject };
        let mut range = range(query.from, query.until);
        let backward = match query.token.map(|token| purpose.open_place(token)).transpose()? {
            None => query.latest_first,
            Some((true, place)) => {
                range.end = range.end.min(place);
                true
            }
            Some((false, place)) => {
                range.start = range.start.max(place);
                false
            }
        };
        let range = self.shared.shown(&group, range);
        let search =
            Search { range, backward, selection, room: Room::page(query.limit), pattern: query.pattern };
        let hits = self.search(&group, &search).await?;
        let next = hits.rest.map(|rest| purpose.seal_place(backward, rest));
        let mut events = found(&group, hits.found);
        if backward {
            events.reverse();
        }
        Ok(Events { events, next })
    }

    /// The group, loaded, when everything written to it so far is in its log.
    pub(super) async fn current(&self, scope: &Scope, group: &str) -> Result<Loaded, LogError> {
        let group = self.shared.existing(&GroupKey::new(scope, group))?.loaded(&self.shared).await?;
        group.settled().await;
        Ok(group)
    }

    pub(super) async fn search(&self, group: &Group, search: &Search<'_>) -> Result<Hits, LogError> {
        let Candidates { blocks, beyond } = Candidates::of(&group.state().index, search);
        let mut stretches = stretches(blocks).into_iter();
        let (mut nearest, backward) = (Nearest::new(search.room), search.backward);
        let mut ahead = None::<(Stretch, JoinHandle<Result<Vec<LogEntry>, StoreError>>)>;
        let mut first = true;
        loop {
            let (stretch, entries) = match ahead.take() {
                Some((stretch, reading)) => (stretch, Some(reading)),
                None => match stretches.next() {
                    Some(stretch) => (stretch, None),
                    None => break,
                },
            };
            if nearest.ceiling.is_some_and(|ceiling| ceiling <= stretch.rank) {
                break;
            }
            // Many pages end with the first stretch; from then on the next one is read meanwhile.
            if !std::mem::take(&mut first) {
                ahead = stretches.next().map(|next| {
                    (next, tokio::spawn(read_stretch(self.shared.store.clone(), group.log.clone(), next)))
                });
            }
            let entries = match entries {
                Some(reading) => reading.await.map_err(|_| StoreError::Closed)??,
                None => read_stretch(self.shared.store.clone(), group.log.clone(), stretch).await?,
            };
            // The nearest first, too: then what is found is in order already.
            let mut entries = entries.into_iter();
            while let Some(entry) = if backward { entries.next_back() } else { entries.next() } {
                nearest.offer(entry, search);
                if entries.len().is_multiple_of(TURN) {
                    tokio::task::yield_now().await;
                }
            }
            nearest.settle();
        }
        Ok(nearest.hits(beyond, search))
    }
}

impl Shared {
    /// What of a range is younger than the group keeps its events.
    pub(super) fn shown(&self, group: &Group, mut range: Range<Place>) -> Range<Place> {
        if let Some(days) = group.state().settings.retention_days {
            range.start = range.start.max(Place::at(horizon(self.clock.now(), days)));
        }
        range
    }
}

/// How much is found at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Events.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Room {
    /// A page of so many events.
    fn page(limit: usize) -> Self {
        Self { events: limit.clamp(1, LOG_PAGE_EVENTS), bytes: LOG_PAGE_BYTES }
    }
}

/// What is looked for.
pub(super) struct Search<'a> {
    pub range: Range<Place>,
    /// From the range's end backwards.
    pub backward: bool,
    pub selection: Selection,
    pub room: Room,
    pub pattern: Option<&'a Pattern>,
}

impl Search<'_> {
    /// How far a place is from where the search begins: smaller is nearer.
    const fn rank(&self, place: Place) -> u128 {
        if self.backward { !place.0 } else { place.0 }
    }

    /// The smallest rank that an event in the range may have.
    fn first_rank(&self) -> u128 {
        let nearest =
            if self.backward { Place(self.range.end.0.saturating_sub(1)) } else { self.range.start };
        self.rank(nearest)
    }

    /// The smallest rank that an event of the block may have; `None` when it has none that is looked for.
    fn rank_of(&self, block: &Block) -> Option<u128> {
        let selection = &self.selection;
        let here = block.whose.meets(selection.set)
            && block.start < selection.extent.end
            && selection.extent.start < block.end;
        (here && self.touches(block.earliest, block.latest)).then(|| {
            let nearest = if self.backward { latest_place(block.latest) } else { Place::at(block.earliest) };
            self.rank(nearest).max(self.first_rank())
        })
    }

    fn touches(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        Place::at(earliest) < self.range.end && latest_place(latest) >= self.range.start
    }
}

fn latest_place(latest: Timestamp) -> Place {
    Place::of(latest, LogPosition(u64::MAX))
}

pub(super) fn range(from: Option<Timestamp>, until: Option<Timestamp>) -> Range<Place> {
    from.map_or(Place::START, Place::at)..until.map_or(Place::END, Place::at)
}

/// Some streams, as numbers.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// `None` for all.
    ids: Option<HashSet<StreamId>>,
    /// Those that were deleted, when all are meant.
    gone: HashSet<StreamId>,
    set: StreamSet,
    /// Where in the log their events are.
    extent: Range<LogPosition>,
}

impl Selection {
    pub(super) fn of(index: &Index, streams: &Streams) -> Result<Self, LogError> {
        let ids: HashSet<StreamId> = match streams {
            Streams::All => {
                let extent = LogPosition::START..index.end;
                let gone = index.gone().keys().copied().collect();
                return Ok(Self { ids: None, gone, set: StreamSet::ALL, extent });
            }
            Streams::Named(names) => {
                let id = |name: &String| index.find(name).ok_or_else(|| LogError::NoStream(name.clone()));
                names.iter().map(id).collect::<Result<_, _>>()?
            }
            Streams::Prefixed(prefix) => index.named(prefix).map(|(id, _)| id).collect(),
        };
        let mut set = StreamSet::default();
        ids.iter().for_each(|id| set.add(*id));
        let seen = || ids.iter().filter_map(|id| index.stream(*id)?.seen);
        let start = seen().map(|seen| seen.start).min().unwrap_or_default();
        let end = seen().map(|seen| seen.end).max().unwrap_or_default();
        Ok(Self { ids: Some(ids), gone: HashSet::new(), set, extent: start..end })
    }

    fn has(&self, stream: StreamId) -> bool {
        match &self.ids {
            Some(ids) => ids.contains(&stream),
            None => self.gone.is_empty() || !self.gone.contains(&stream),
        }
    }
}

/// The blocks to read for a page, nearest first.
struct Candidates {
    blocks: Vec<(u128, Block)>,
    /// The smallest rank of those that this page does not read.
    beyond: Option<u128>,
}

/// A block with its rank; orders by the rank.
struct Ranked(u128, Block);

impl Candidates {
    fn of(index: &Index, search: &Search<'_>) -> Self {
        let first = search.first_rank();
        // Blocks that reach back to where the search begins must all be read, or it would not get on.
        let (mut blocks, mut others, mut beyond) = (Vec::new(), BinaryHeap::new(), None::<u128>);
        let chunks = index.chunks().filter(|chunk| search.touches(chunk.earliest, chunk.latest));
        for block in chunks.flat_map(|chunk| &chunk.blocks) {
            match search.rank_of(block) {
                Some(rank) if rank == first => blocks.push((rank, *block)),
                Some(rank) => others.push(Ranked(rank, *block)),
                None => {}
            }
            if others.len() > LOG_PAGE_BLOCKS {
                let farthest = others.pop().map(|ranked| ranked.0);
                beyond = beyond.min(farthest).or(farthest);
            }
        }
        blocks.extend(others.into_sorted_vec().into_iter().map(|Ranked(rank, block)| (rank, block)));
        Self { blocks, beyond }
    }
}

/// Blocks that lie behind one another, to be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    /// The rank of its nearest block.
    rank: u128,
    start: LogPosition,
    end: LogPosition,
}

/// Joins neighbours: the first is one block, since a short page needs no more, and each may be twice as long.
fn stretches(blocks: Vec<(u128, Block)>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::with_capacity(blocks.len());
    let mut room = 0;
    for (rank, Block { start, end, .. }) in blocks {
        if let Some(last) = stretches.last_mut()
            && (last.end == start || end == last.start)
            && last.end.0 - last.start.0 + (end.0 - start.0) <= room
        {
            (last.start, last.end) = (last.start.min(start), last.end.max(end));
        } else {
            stretches.push(Stretch { rank, start, end });
            room = (2 * room).clamp(LOG_BLOCK_BYTES, LOG_READ_BYTES);
        }
    }
    stretches
}

/// The records of a stretch.
async fn read_stretch(
    store: Arc<dyn Store>,
    log: LogName,
    stretch: Stretch,
) -> Result<Vec<LogEntry>, StoreError> {
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut from = stretch.start;
    while from < stretch.end {
        let room = usize::try_from(stretch.end.0 - from.0).unwrap_or(usize::MAX);
        let page = store.read(&log, from, room).await?;
        if page.entries.is_empty() {
            break;
        }
        from = page.next;
        let mine = page.entries.into_iter().take_while(|entry| entry.position < stretch.end);
        if entries.is_empty() { entries = mine.collect() } else { entries.extend(mine) }
    }
    Ok(entries)
}

/// An event on its way to a page.
pub(super) struct Hit {
    rank: u128,
    position: LogPosition,
    stream: StreamId,
    timestamp: Timestamp,
    ingested: Timestamp,
    message: Bytes,
}

/// The nearest events seen so far: as many as fit a page, and while they come in disorder up to twice as many.
struct Nearest {
    hits: Vec<Hit>,
    /// Whether the hits are in order, the nearest first.
    sorted: bool,
    bytes: usize,
    room: Room,
    /// The smallest rank that did not fit: nothing from there on belongs to the page.
    ceiling: Option<u128>,
}

impl Nearest {
    fn new(room: Room) -> Self {
        Self { hits: Vec::new(), sorted: true, bytes: 0, room, ceiling: None }
    }

    /// Takes an event if it is looked for and near. Costs no allocation otherwise.
    fn offer(&mut self, entry: LogEntry, search: &Search<'_>) {
        let LogEntry { position, timestamp, ingested, bytes } = entry;
        let place = Place::of(timestamp, position);
        let rank = search.rank(place);
        if !search.range.contains(&place) || self.ceiling.is_some_and(|ceiling| ceiling <= rank) {
            return;
        }
        let Some(Entry::Event { stream, message }) = entry::decode(bytes) else {
            return;
        };
        if !search.selection.has(stream) || search.pattern.is_some_and(|pattern| !pattern.matches(&message)) {
            return;
        }
        // A copy, so that a small event does not keep the whole block in memory.
        let message = Bytes::copy_from_slice(&message);
        self.bytes += message.len() + LOG_EVENT_OVERHEAD;
        self.sorted &= self.hits.last().is_none_or(|last| last.rank < rank);
        self.hits.push(Hit { rank, position, stream, timestamp, ingested, message });
        if self.sorted || self.exceeds(2) {
            self.settle();
        }
    }

    /// Whether there is more than so many pages hold.
    fn exceeds(&self, pages: usize) -> bool {
        let Room { events, bytes } = self.room;
        self.hits.len() > pages * events || (self.bytes > pages * bytes && self.hits.len() > 1)
    }

    /// Lets go of what does not fit.
    fn settle(&mut self) {
        if !self.exceeds(1) {
            return;
        }
        self.sort();
        while self.exceeds(1)
            && let Some(last) = self.hits.pop()
        {
            self.bytes -= last.message.len() + LOG_EVENT_OVERHEAD;
            self.ceiling = Some(last.rank);
        }
    }

    fn sort(&mut self) {
        if !std::mem::replace(&mut self.sorted, true) {
            self.hits.sort_by_key(|hit| hit.rank);
        }
    }

    /// The page, given the rank at which unread blocks begin.
    fn hits(mut self, beyond: Option<u128>, search: &Search<'_>) -> Hits {
        self.settle();
        self.sort();
        let end = self.ceiling.into_iter().chain(beyond).min();
        let mut found = self.hits;
        found.retain(|hit| end.is_none_or(|end| hit.rank < end));
        if search.backward {
            found.reverse();
        }
        let rest = end.map(|end| if search.backward { Place(!end).after() } else { Place(end) });
        Hits { found, rest }
    }
}

/// A page.
pub(super) struct Hits {
    /// The earliest first.
    pub found: Vec<Hit>,
    /// Where the search goes on: forward from there, or backward to before there.
    pub rest: Option<Place>,
}

impl Hits {
    /// The places before and after the page, for the tokens in both directions.
    fn around(&self, search: &Search<'_>, cursor: Option<Place>) -> (Place, Place) {
        let place = |hit: &Hit| Place::of(hit.timestamp, hit.position);
        // An empty page lies at the token that asked for it, so that this token comes again; without a
        // token at the range's start, so that what is written later comes after it.
        let here = cursor.unwrap_or(search.range.start);
        let before = self.found.first().map_or(here, place);
        let after = self.found.last().map_or(here, |last| place(last).after());
        match self.rest {
            Some(rest) if search.backward => (rest, after),
            Some(rest) => (before, rest),
            None => (before, after),
        }
    }
}

pub(super) fn found(group: &Group, hits: Vec<Hit>) -> Vec<FoundEvent> {
    let state = group.state();
    let event = |hit: Hit| {
        let stream = state.index.stream(hit.stream)?.name.clone();
        let Hit { position, timestamp, ingested, message, .. } = hit;
        Some(FoundEvent {
            id: EventId::new(timestamp, position, group.id),
            stream,
            timestamp,
            ingested,
            message,
        })
    };
    hits.into_iter().filter_map(event).collect()
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
