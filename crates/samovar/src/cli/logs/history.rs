//! What was written so far: the events of several groups as one log in order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use anyhow::Result;

use super::source::Source;
use crate::cli::client::logs::{Event, Filter, PAGE_EVENTS, Page};
use crate::cli::client::{Api, ApiError};

/// Events that are asked for at once of each of many groups, so that memory stays bounded.
const LEAST_PAGE: usize = 100;
/// The earliest start of a listing that begins with the latest events: 1 January 2024. Source: service model.
const LATEST_FIRST_SINCE: i64 = 1_704_067_200_000;

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// A CloudWatch filter pattern.
    pub pattern: Option<String>,
    /// How stream names begin.
    pub stream: Option<String>,
    /// The last millisecond.
    pub until: Option<i64>,
}

/// One source, read page by page.
struct Cursor<'a> {
    source: &'a Source,
    filter: Filter<'a>,
    page: VecDeque<Event>,
    done: bool,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a Source, from: i64, selection: &'a Selection, limit: usize) -> Self {
        let filter = Filter {
            log_group_name: &source.group,
            start_time: (from > 0).then_some(from),
            end_time: selection.until,
            filter_pattern: selection.pattern.as_deref(),
            log_stream_name_prefix: selection.stream.as_deref(),
            limit: Some(limit),
            ..Filter::default()
        };
        Self { source, filter, page: VecDeque::new(), done: false }
    }

    /// Reads on until there is an event, or nothing more; gives the time of the next event.
    async fn fill(&mut self, api: &Api) -> Result<Option<i64>> {
        while self.page.is_empty() && !self.done {
            let page = page(api, &self.filter).await?;
            self.page = page.events.into_iter().filter(|event| self.source.has(event)).collect();
            self.done = page.next_token.is_none();
            self.filter.next_token = page.next_token;
        }
        Ok(self.page.front().map(|event| event.timestamp))
    }
}

/// A group that is not there yet is empty.
async fn page(api: &Api, filter: &Filter<'_>) -> Result<Page> {
    match api.filter_log_events(filter).await {
        Err(error) if error.downcast_ref().is_some_and(ApiError::is_missing) => Ok(Page::default()),
        answer => answer,
    }
}

/// Gives `take` all events of `sources`, each from its own moment on, in order of time.
///
/// The number beside a source is the caller's, and given back with its events.
pub async fn read(
    api: &Api,
    sources: &[(usize, &Source, i64)],
    selection: &Selection,
    mut take: impl FnMut(usize, &Event) -> Result<()>,
) -> Result<()> {
    let limit = (PAGE_EVENTS / sources.len().max(1)).max(LEAST_PAGE);
    let mut cursors = Vec::with_capacity(sources.len());
    let mut next = BinaryHeap::new();
    for (place, (_, source, from)) in sources.iter().enumerate() {
        let mut cursor = Cursor::new(source, *from, selection, limit);
        next.extend(cursor.fill(api).await?.map(|at| Reverse((at, place))));
        cursors.push(cursor);
    }
    while let Some(Reverse((_, place))) = next.pop() {
        let cursor = &mut cursors[place];
        if let Some(event) = cursor.page.pop_front() {
            take(sources[place].0, &event)?;
        }
        next.extend(cursor.fill(api).await?.map(|at| Reverse((at, place))));
    }
    Ok(())
}

/// The last `count` events of all sources together, in order of time, with their sources' numbers.
pub async fn last(
    api: &Api,
    sources: &[(usize, &Source, i64)],
    selection: &Selection,
    count: usize,
) -> Result<Vec<(usize, Event)>> {
    let mut found: Vec<(usize, Event)> = Vec::new();
    for (number, source, from) in sources {
        let from = if *from > 0 { (*from).max(LATEST_FIRST_SINCE) } else { 0 };
        let mut cursor = Cursor::new(source, from, selection, count.clamp(1, PAGE_EVENTS));
        cursor.filter.start_from_head = Some(false);
        let mut latest = Vec::new();
        while latest.len() < count && cursor.fill(api).await?.is_some() {
            let wanted = count - latest.len();
            latest.extend(cursor.page.drain(..wanted.min(cursor.page.len())));
        }
        found.extend(latest.into_iter().rev().map(|event| (*number, event)));
        found.sort_by_key(|(_, event)| event.timestamp);
        found.drain(..found.len().saturating_sub(count));
    }
    Ok(found)
}
