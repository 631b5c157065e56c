//! GetLogEvents and FilterLogEvents.

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::LOG_PAGE_EVENTS;
use record::logs::{EventQuery, FoundEvent, StreamEvents, Streams};
use record::pattern::Pattern;
use wire::error::ServiceError;
use wire::logs as api;

use super::errors::{invalid, refused};
use super::names::group_of;
use super::{Logs, limit, text};

/// The earliest start of a listing that begins with the latest events: 1 January 2024. Source: service model.
const LATEST_FIRST_SINCE: i64 = 1_704_067_200_000;

impl Logs {
    pub(super) async fn events(
        &self,
        scope: &Scope,
        input: &api::GetLogEventsRequest,
    ) -> Result<api::GetLogEventsResponse, ServiceError> {
        let group = group_of(scope, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let query = StreamEvents {
            from: input.start_time.map(Timestamp::from_millis),
            until: input.end_time.map(Timestamp::from_millis),
            limit: limit(input.limit, LOG_PAGE_EVENTS),
            from_head: input.start_from_head.unwrap_or(false),
            token: input.next_token.as_deref(),
        };
        let page =
            self.logs.get_events(scope, group, &input.log_stream_name, &query).await.map_err(refused)?;
        let event = |event: FoundEvent| api::OutputLogEvent {
            timestamp: Some(event.timestamp.as_millis()),
            message: Some(text(&event)),
            ingestion_time: Some(event.ingested.as_millis()),
        };
        Ok(api::GetLogEventsResponse {
            events: Some(page.events.into_iter().map(event).collect()),
            next_forward_token: Some(page.forward),
            next_backward_token: Some(page.backward),
        })
    }

    pub(super) async fn filter(
        &self,
        scope: &Scope,
        input: api::FilterLogEventsRequest,
    ) -> Result<api::FilterLogEventsResponse, ServiceError> {
        let group = group_of(scope, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let pattern = pattern(input.filter_pattern.as_deref())?;
        let latest_first = input.start_from_head == Some(false);
        if latest_first && input.start_time.is_some_and(|start| start < LATEST_FIRST_SINCE) {
            return Err(invalid(
                "startFromHead can be false only when startTime is on or after Jan 1, 2024 00:00:00 UTC.",
            ));
        }
        let streams = match (input.log_stream_names, input.log_stream_name_prefix) {
            (None, None) => Streams::All,
            (Some(names), None) => Streams::Named(names),
            (None, Some(prefix)) => Streams::Prefixed(prefix),
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.",
                ));
            }
        };
        let query = EventQuery {
            streams,
            from: input.start_time.map(Timestamp::from_millis),
            // Here, unlike in GetLogEvents, the end belongs to the range.
            until: input.end_time.map(|end| Timestamp::from_millis(end.saturating_add(1))),
            limit: limit(input.limit, LOG_PAGE_EVENTS),
            latest_first,
            token: input.next_token.as_deref(),
            pattern: pattern.as_ref(),
        };
        let page = self.logs.filter_events(scope, group, &query).await.map_err(refused)?;
        let event = |event: FoundEvent| api::FilteredLogEvent {
            log_stream_name: Some(event.stream.as_ref().into()),
            timestamp: Some(event.timestamp.as_millis()),
            message: Some(text(&event)),
            ingestion_time: Some(event.ingested.as_millis()),
            event_id: Some(event.id.to_string()),
        };
        Ok(api::FilterLogEventsResponse {
            events: Some(page.events.into_iter().map(event).collect()),
            searched_log_streams: Some(Vec::new()),
            next_token: page.next,
        })
    }
}

/// The pattern of a request; none when it lets everything pass.
pub(super) fn pattern(text: Option<&str>) -> Result<Option<Pattern>, ServiceError> {
    let pattern = text.map(Pattern::parse).transpose().map_err(|error| invalid(error.to_string()))?;
    Ok(pattern.filter(|pattern| !pattern.is_empty()))
}
