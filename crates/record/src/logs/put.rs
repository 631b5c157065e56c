//! Events that come through the API, as PutLogEvents writes them.

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::{LOG_EVENT_AGE, LOG_EVENT_AHEAD};

use super::group::{GroupKey, Unready};
use super::keeper::horizon;
use super::writer::size;
use super::{LogError, LogEvent, Logs};

/// Which events of a batch were not taken, as PutLogEvents tells it. The rest is in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejected {
    /// After the last event that is older than `limits::LOG_EVENT_AGE`.
    pub too_old_end: Option<usize>,
    /// After the last event that is older than the group keeps its events.
    pub expired_end: Option<usize>,
    /// The first event that is further in the future than `limits::LOG_EVENT_AHEAD`.
    pub too_new_start: Option<usize>,
}

impl Rejected {
    /// Judges events that are in order of time.
    fn of(events: &[LogEvent], now: Timestamp, retention_days: Option<u32>) -> Self {
        let count =
            |earlier: &dyn Fn(Timestamp) -> bool| events.partition_point(|event| earlier(event.timestamp));
        let too_old = count(&|time| now.since(time) > LOG_EVENT_AGE);
        let expired = retention_days.map_or(0, |days| count(&|time| time < horizon(now, days)));
        let timely = count(&|time| time <= now + LOG_EVENT_AHEAD);
        Self {
            too_old_end: Some(too_old).filter(|end| *end > 0),
            expired_end: Some(expired).filter(|end| *end > 0),
            too_new_start: Some(timely).filter(|start| *start < events.len()),
        }
    }
}

impl Logs {
    /// Writes events to a stream; durable when it answers.
    ///
    /// The caller has checked the batch's shape: events in order of time, sizes, span.
    ///
    /// # Errors
    /// [`LogError::NoGroup`], [`LogError::NoStream`], [`LogError::Full`].
    pub async fn put_events(
        &self,
        scope: &Scope,
        group: &str,
        stream: &str,
        mut events: Vec<LogEvent>,
    ) -> Result<Rejected, LogError> {
        let no_group = || LogError::NoGroup(group.into());
        let no_stream = || LogError::NoStream(stream.into());
        let group = self.shared.existing(&GroupKey::new(scope, group))?.loaded(&self.shared).await?;
        let retention = {
            let state = group.state();
            state.index.find(stream).ok_or_else(no_stream)?;
            state.settings.retention_days
        };
        let rejected = Rejected::of(&events, self.shared.clock.now(), retention);
        events.truncate(rejected.too_new_start.unwrap_or(events.len()));
        let early = rejected.too_old_end.max(rejected.expired_end).unwrap_or(0);
        events.drain(..early.min(events.len()));
        if events.is_empty() {
            return Ok(rejected);
        }
        if self.shared.keeper.is_full() {
            return Err(LogError::Full);
        }
        for event in &mut events {
            event.timestamp = Timestamp::from_millis(event.timestamp.as_millis());
        }
        let room = self.shared.room(&group, events.iter().map(size).sum(), None).await;
        match group.put(&self.shared.appender(), stream, &events, room) {
            Ok(durable) => durable.await.map_err(|_| no_group())??,
            Err(Unready::Stream) => return Err(no_stream()),
            Err(Unready::Closed | Unready::Unloaded) => return Err(no_group()),
        }
        Ok(rejected)
    }
}
