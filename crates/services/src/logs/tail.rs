//! StartLiveTail: a group's events sent on as they are written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base::arn::Scope;
use futures_util::stream;
use record::logs::{Follow, Followed, FoundEvent, Streams};
use record::pattern::Pattern;
use tokio::time::{Instant, timeout_at};
use wire::answer::Streaming;
use wire::error::ServiceError;
use wire::logs as api;
use wire::logs::StartLiveTailResponseStream as Told;
use wire::logs::exception;

use super::errors::{invalid, no_group, refused};
use super::names::{group_arn, group_in};
use super::{Logs, read, text};
use crate::Context;

/// Longest time a session lasts. Source: CloudWatch Logs API reference, StartLiveTail.
const SESSION: Duration = Duration::from_secs(3 * 60 * 60);

/// Sessions of one account and region at once. Source: CloudWatch Logs quotas, "Live Tail".
const SESSIONS: usize = 15;

/// Events of one update. Source: CloudWatch Logs API reference, LiveTailSessionUpdate.
const UPDATE_EVENTS: usize = 500;

/// Bytes of messages after which an update is sent, however few events it has. Ours: clients hold updates whole.
const UPDATE_BYTES: usize = 1024 * 1024;

/// Time without an event after which an update without events is sent. Source: CloudWatch Logs API reference,
/// StartLiveTail.
const SILENCE: Duration = Duration::from_secs(1);

/// Time that an event waits for others to be sent with it. Ours: AWS sends once a second.
const LINGER: Duration = Duration::from_millis(10);

type Answer = Streaming<api::StartLiveTailResponse, Told>;

impl Logs {
    pub(super) fn live_tail(
        &self,
        context: &Context,
        input: api::StartLiveTailRequest,
    ) -> Result<Answer, ServiceError> {
        let scope = &context.scope;
        let wanted = Wanted::of(&input)?;
        let groups = input.log_group_identifiers.iter().map(|identifier| {
            let group = group_in(scope, identifier).ok_or_else(no_group)?;
            Ok(group.to_owned())
        });
        let groups: Vec<String> = groups.collect::<Result<_, ServiceError>>()?;
        let follow = self.logs.follow(scope, &groups, &wanted.streams).map_err(refused)?;
        let slot = self.sessions.enter(scope)?;
        let now = Instant::now();
        let session = Session {
            start: Some(api::LiveTailSessionStart {
                request_id: Some(context.request_id.to_string()),
                session_id: Some(self.dice.uuid().to_string()),
                log_group_identifiers: Some(input.log_group_identifiers),
                log_stream_names: input.log_stream_names,
                log_stream_name_prefixes: input.log_stream_name_prefixes,
                log_event_filter_pattern: input.log_event_filter_pattern,
            }),
            scope: scope.clone(),
            follow,
            wanted,
            lost: false,
            sent: now,
            end: now + SESSION,
            over: false,
            _slot: slot,
        };
        Ok(Streaming::new(api::StartLiveTailResponse {}, stream::unfold(session, Session::next)))
    }
}

/// Which events a session is about.
#[derive(Debug)]
struct Wanted {
    streams: Streams,
    /// Beginnings of names, where there are several.
    prefixes: Vec<String>,
    pattern: Option<Pattern>,
}

impl Wanted {
    fn of(input: &api::StartLiveTailRequest) -> Result<Self, ServiceError> {
        if input.log_stream_names.is_some() && input.log_stream_name_prefixes.is_some() {
            return Err(invalid(
                "logStreamNames and logStreamNamePrefixes are mutually exclusive parameters.",
            ));
        }
        let narrowed = input.log_stream_names.is_some() || input.log_stream_name_prefixes.is_some();
        if narrowed && input.log_group_identifiers.len() > 1 {
            return Err(invalid(
                "logStreamNames and logStreamNamePrefixes can be specified only with a single log group.",
            ));
        }
        let (streams, prefixes) = match (&input.log_stream_names, &input.log_stream_name_prefixes) {
            (Some(names), _) => (Streams::Named(names.clone()), Vec::new()),
            (None, Some(prefixes)) => (Streams::All, prefixes.clone()),
            (None, None) => (Streams::All, Vec::new()),
        };
        let pattern = read::pattern(input.log_event_filter_pattern.as_deref())?;
        Ok(Self { streams, prefixes, pattern })
    }

    fn has(&self, event: &FoundEvent) -> bool {
        let named =
            self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| event.stream.starts_with(prefix));
        named && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&event.message))
    }
}

/// A session under way. It ends when it is dropped.
struct Session {
    /// What is told first, until it is.
    start: Option<api::LiveTailSessionStart>,
    scope: Scope,
    follow: Follow,
    wanted: Wanted,
    /// Whether events were left out since the last update, because the client reads too slowly.
    lost: bool,
    /// When the last update was sent.
    sent: Instant,
    end: Instant,
    over: bool,
    _slot: Slot,
}

impl Session {
    /// What the client is told next; nothing when the session is over.
    async fn next(mut self) -> Option<(Told, Self)> {
        if let Some(start) = self.start.take() {
            return Some((Told::SessionStart(start), self));
        }
        if self.over {
            return None;
        }
        let events = self.gather().await?;
        if events.is_empty() && Instant::now() >= self.end {
            self.over = true;
            let message = Some("The Live Tail session ended after three hours.".to_owned());
            return Some((Told::SessionTimeoutException(api::SessionTimeoutException { message }), self));
        }
        self.sent = Instant::now();
        let sampled = Some(std::mem::take(&mut self.lost));
        let update = api::LiveTailSessionUpdate {
            session_metadata: Some(api::LiveTailSessionMetadata { sampled }),
            session_results: Some(events),
        };
        Some((Told::SessionUpdate(update), self))
    }

    /// Events for one update: none after a while of silence. `None` when nothing will come any more.
    async fn gather(&mut self) -> Option<Vec<api::LiveTailSessionLogEvent>> {
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut patience = self.end.min(self.sent + SILENCE);
        while events.len() < UPDATE_EVENTS && bytes < UPDATE_BYTES {
            match timeout_at(patience, self.wanted()).await {
                Ok(Some((group, event))) => {
                    if events.is_empty() {
                        patience = Instant::now() + LINGER;
                    }
                    bytes += event.message.len();
                    events.push(shown(&self.scope, &group, &event));
                }
                Ok(None) if events.is_empty() => return None,
                Ok(None) | Err(_) => break,
            }
        }
        Some(events)
    }

    /// The next event that the session is about.
    async fn wanted(&mut self) -> Option<(Arc<str>, FoundEvent)> {
        loop {
            // A flood of events that nobody wants leaves others their turn, and time to run out.
            tokio::task::consume_budget().await;
            match self.follow.next().await? {
                Followed::Event { group, event } if self.wanted.has(&event) => return Some((group, event)),
                Followed::Event { .. } => {}
                Followed::Lost(_) => self.lost = true,
            }
        }
    }
}

fn shown(scope: &Scope, group: &str, event: &FoundEvent) -> api::LiveTailSessionLogEvent {
    api::LiveTailSessionLogEvent {
        log_stream_name: Some(event.stream.as_ref().into()),
        log_group_identifier: Some(group_arn(scope, group)),
        message: Some(text(event)),
        timestamp: Some(event.timestamp.as_millis()),
        ingestion_time: Some(event.ingested.as_millis()),
    }
}

/// The sessions under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions {
    counts: Arc<Mutex<HashMap<Scope, usize>>>,
}

/// The right to one session, given back when it is dropped.
#[derive(Debug)]
struct Slot {
    scope: Scope,
    sessions: Sessions,
}

impl Sessions {
    fn enter(&self, scope: &Scope) -> Result<Slot, ServiceError> {
        let mut counts = self.counts();
        let count = counts.entry(scope.clone()).or_default();
        if *count >= SESSIONS {
            let message = format!("There are {SESSIONS} Live Tail sessions already, which is the limit.");
            return Err(exception::LIMIT_EXCEEDED.with(message));
        }
        *count += 1;
        Ok(Slot { scope: scope.clone(), sessions: self.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Scope, usize>> {
        self.counts.lock().expect("nobody panics while holding the counts")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.sessions.counts().entry(self.scope.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
