//! How an event ended, and the record that destinations get of it. Pure.

use base::arn::Qualifier;
use base::clock::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::rules::{Condition, shown_count};
use super::stored::Event;

/// The end of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub condition: Condition,
    /// Attempts that counted.
    pub attempts: u32,
    /// What the last attempt led to; nothing when the function may not run.
    pub response: Option<Response>,
}

/// What one attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status that a caller who waits would have got.
    pub status: u16,
    /// The version that ran, or would have.
    pub executed: Option<Qualifier>,
    /// Whether the function failed.
    pub function_error: Option<&'static str>,
    /// What the function answered.
    pub payload: Option<Bytes>,
}

impl Response {
    /// Of an attempt in which no function ran.
    pub const fn none(status: u16, executed: Option<Qualifier>) -> Self {
        Self { status, executed, function_error: None, payload: None }
    }
}

impl Ending {
    /// The record for destinations, as of `now`. Source: recorded in November 2025 and 2026.
    pub fn record(&self, event: &Event, now: Timestamp) -> Bytes {
        let payload = self.response.as_ref().and_then(|response| response.payload.as_ref());
        let answered = payload.filter(|payload| !payload.is_empty());
        let shown = answered.and_then(|payload| json(payload));
        let requested = &event.requested;
        let record = Record {
            version: "1.0",
            timestamp: now.iso_millis(),
            request_context: RequestContext {
                request_id: event.id.to_string(),
                function_arn: requested
                    .qualified(requested.qualifier.clone().unwrap_or(Qualifier::Latest))
                    .to_string(),
                condition: self.condition.as_str(),
                approximate_invoke_count: shown_count(self.condition, self.attempts),
            },
            request_payload: json(&event.payload),
            response_context: self.response.as_ref().map(|response| ResponseContext {
                status_code: response.status,
                executed_version: response.executed.as_ref().map(ToString::to_string),
                function_error: response.function_error,
            }),
            response_payload: shown,
            delivery_error: (answered.is_some() && shown.is_none())
                .then_some(DeliveryError { status_code: 400, error_code: "InvalidRequestContentException" }),
        };
        serde_json::to_vec(&record).expect("records have text keys and no failing members").into()
    }
}

/// JSON as it came, untouched; nothing for what is none.
fn json(payload: &[u8]) -> Option<&RawValue> {
    serde_json::from_str(std::str::from_utf8(payload).ok()?).ok()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext,
    request_payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_error: Option<DeliveryError>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: String,
    function_arn: String,
    condition: &'static str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    executed_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryError {
    status_code: u16,
    error_code: &'static str,
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::events::stored::tests::an_event;

    fn record(condition: Condition, response: Option<Response>) -> String {
        let ending = Ending { condition, attempts: 3, response };
        let now = Timestamp::from_millis(1_795_255_200_123);
        String::from_utf8(ending.record(&an_event(), now).to_vec()).unwrap()
    }

    fn answer(payload: &'static [u8]) -> Response {
        let executed = Some(Qualifier::Version(1));
        Response { status: 200, executed, function_error: None, payload: Some(Bytes::from_static(payload)) }
    }

    #[test]
    fn a_record_has_the_recorded_members_in_their_order() {
        expect![[r#"
            {"version":"1.0","timestamp":"2026-11-21T10:00:00.123Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:live","condition":"Success","approximateInvokeCount":1},"requestPayload":{"a":
            1},"responseContext":{"statusCode":200,"executedVersion":"1"},"responsePayload":{"b" : 1.0}}"#]].assert_eq(&record(Condition::Success, Some(answer(b"{\"b\" : 1.0}"))));
        let failed = Response { function_error: Some("Unhandled"), ..answer(b"{\"errorMessage\":\"no\"}") };
        expect![[r#"
            {"version":"1.0","timestamp":"2026-11-21T10:00:00.123Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:live","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"a":
            1},"responseContext":{"statusCode":200,"executedVersion":"1","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no"}}"#]].assert_eq(&record(Condition::RetriesExhausted, Some(failed)));
    }

    #[test]
    fn what_did_not_happen_is_left_out() {
        let tail = |condition, response| {
            let record = record(condition, response);
            record.split_once("\"requestPayload\":{\"a\":\n1}").unwrap().1.to_owned()
        };
        for (condition, response, expected) in [
            (Condition::ZeroReservedConcurrency, None, "}"),
            (
                Condition::RetriesExhausted,
                Some(Response::none(404, None)),
                r#","responseContext":{"statusCode":404}}"#,
            ),
            (
                Condition::EventAgeExceeded,
                Some(Response::none(429, Some(Qualifier::Latest))),
                r#","responseContext":{"statusCode":429,"executedVersion":"$LATEST"}}"#,
            ),
            (
                Condition::Success,
                Some(answer(b"")),
                r#","responseContext":{"statusCode":200,"executedVersion":"1"}}"#,
            ),
            (
                Condition::Success,
                Some(answer(b"plain")),
                r#","responseContext":{"statusCode":200,"executedVersion":"1"},"deliveryError":{"statusCode":400,"errorCode":"InvalidRequestContentException"}}"#,
            ),
        ] {
            assert_eq!(tail(condition, response), expected);
        }
    }
}
