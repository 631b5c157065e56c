//! PutLogEvents.

use std::time::Duration;

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::{LOG_EVENT_BYTES, LOG_EVENT_OVERHEAD};
use record::LogEvent;
use record::logs::Rejected;
use wire::error::ServiceError;
use wire::logs as api;

use super::Logs;
use super::errors::{invalid, refused};

/// Bytes of the messages of one batch, with 26 for each event. Source: CloudWatch Logs API reference, PutLogEvents.
const BATCH_BYTES: usize = 1_048_576;

/// Time between the first and the last event of a batch. Source: CloudWatch Logs API reference, PutLogEvents.
const BATCH_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

impl Logs {
    pub(super) async fn put(
        &self,
        scope: &Scope,
        input: api::PutLogEventsRequest,
    ) -> Result<api::PutLogEventsResponse, ServiceError> {
        checked(&input.log_events)?;
        let event = |event: api::InputLogEvent| LogEvent {
            timestamp: Timestamp::from_millis(event.timestamp),
            message: event.message.into(),
        };
        let events = input.log_events.into_iter().map(event).collect();
        let (group, stream) = (&input.log_group_name, &input.log_stream_name);
        let rejected = self.logs.put_events(scope, group, stream, events).await.map_err(refused)?;
        Ok(api::PutLogEventsResponse {
            next_sequence_token: Some(self.sequence_token()),
            rejected_log_events_info: shown(rejected),
            rejected_entity_info: None,
        })
    }

    /// 56 digits, which no client needs any more and older ones still send back.
    fn sequence_token(&self) -> String {
        format!("49{:054}", u128::from_be_bytes(self.dice.bytes()))
    }
}

/// Whether a batch has the shape that AWS takes. Source of the words: recorded answers.
fn checked(events: &[api::InputLogEvent]) -> Result<(), ServiceError> {
    let sizes = || events.iter().map(|event| event.message.len() + LOG_EVENT_OVERHEAD);
    if let Some(size) = sizes().find(|size| *size > LOG_EVENT_BYTES) {
        return Err(invalid(format!("Log event too large: {size} bytes exceeds limit of {LOG_EVENT_BYTES}")));
    }
    let size: usize = sizes().sum();
    if size > BATCH_BYTES {
        return Err(invalid(format!("Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let span = events.first().zip(events.last()).map_or(0, |(first, last)| last.timestamp - first.timestamp);
    if u128::from(span.unsigned_abs()) > BATCH_SPAN.as_millis() {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}

fn shown(rejected: Rejected) -> Option<api::RejectedLogEventsInfo> {
    if rejected == Rejected::default() {
        return None;
    }
    let index = |index: Option<usize>| index.and_then(|index| i32::try_from(index).ok());
    Some(api::RejectedLogEventsInfo {
        too_new_log_event_start_index: index(rejected.too_new_start),
        too_old_log_event_end_index: index(rejected.too_old_end),
        expired_log_event_end_index: index(rejected.expired_end),
    })
}
