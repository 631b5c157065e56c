//! Reading all events of a stretch of time, for queries.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::{LOG_SCAN_BYTES, LOG_SCAN_EVENTS};

use super::group::Loaded;
use super::place::Place;
use super::search::{Room, Search, Selection, found, range};
use super::{FoundEvent, LogError, Logs, Streams};

/// A group's events in order of time, a part at a time. The store reads ahead; all else is done where this is polled.
///
/// Holds at most two parts of `limits::LOG_SCAN_BYTES`, and what a search reads at once.
pub struct Scan {
    /// `None` after the last part.
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = Result<Part, LogError>> + Send>>;

/// Events, and how to go on.
struct Part {
    events: Vec<FoundEvent>,
    rest: Option<Rest>,
}

/// What is still to be read.
struct Rest {
    logs: Logs,
    group: Arc<Loaded>,
    selection: Selection,
    range: std::ops::Range<Place>,
    backward: bool,
}

impl Logs {
    /// Events of a group from `from` on and before `until`, in order of time: no page limits, bounded memory.
    ///
    /// # Errors
    /// [`LogError::NoGroup`].
    pub async fn scan(
        &self,
        scope: &Scope,
        group: &str,
        from: Timestamp,
        until: Timestamp,
        latest_first: bool,
    ) -> Result<Scan, LogError> {
        let group = self.current(scope, group).await?;
        let selection = Selection::of(&group.state().index, &Streams::All)?;
        let range = self.shared.shown(&group, range(Some(from), Some(until)));
        let (logs, group) = (self.clone(), Arc::new(group));
        let rest = Rest { logs, group, selection, range, backward: latest_first };
        Ok(Scan { reading: Some(Box::pin(rest.read())) })
    }
}

impl Scan {
    /// The next events; `None` after the last.
    ///
    /// # Errors
    /// [`LogError::Store`].
    pub async fn next(&mut self) -> Result<Option<Vec<FoundEvent>>, LogError> {
        while let Some(reading) = &mut self.reading {
            let part = reading.await;
            self.reading = None;
            let Part { events, rest } = part?;
            self.reading = rest.map(|rest| Box::pin(rest.read()) as Reading);
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }
}

impl Rest {
    async fn read(mut self) -> Result<Part, LogError> {
        let room = Room { events: LOG_SCAN_EVENTS, bytes: LOG_SCAN_BYTES };
        let (range, selection) = (self.range.clone(), self.selection.clone());
        let search = Search { range, backward: self.backward, selection, room, pattern: None };
        let hits = self.logs.search(&self.group, &search).await?;
        let mut events = found(&self.group, hits.found);
        if self.backward {
            events.reverse();
        }
        let rest = hits.rest.map(|rest| {
            if self.backward {
                self.range.end = rest
            } else {
                self.range.start = rest
            }
            self
        });
        Ok(Part { events, rest })
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}
