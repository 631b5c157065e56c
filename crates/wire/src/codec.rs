//! Bytes to values and values to bytes, one codec a protocol, each walking the schema.

mod aws_json;
mod json;
mod rest_json;
mod scalar;

use ::http::{HeaderName, HeaderValue, StatusCode};
use base::id::RequestId;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::answer::{Answer, Event, Events};
use crate::error::ServiceError;
use crate::frame::{self, Kind};
use crate::http::{Body, Head, Response};
use crate::route::Route;
use crate::schema::{Operation, Protocol};
use crate::value::Value;

/// Carries the request's id in every answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// How one protocol reads and writes.
pub(crate) trait Codec: Send + Sync {
    /// Reads an operation's input.
    fn read(&self, route: &Route, head: &Head, body: Bytes) -> Result<Value, ServiceError>;

    /// Writes an operation's output.
    fn write(&self, operation: &Operation, output: Value) -> Result<Whole, ServiceError>;

    /// Writes an error.
    fn write_error(&self, error: &ServiceError) -> Whole;

    /// How what is in an event is written.
    fn event_content_type(&self) -> &'static str;

    /// Whether an event stream begins with the output's members; elsewhere they are headers.
    fn opens_with_output(&self) -> bool;
}

/// An answer whose body is there.
pub(crate) type Whole = ::http::Response<Bytes>;

pub(crate) fn of(protocol: Protocol) -> &'static dyn Codec {
    match protocol {
        Protocol::RestJson => &rest_json::RestJson,
        Protocol::AwsJson(version) => aws_json::of(version),
    }
}

/// The answer to a request that an operation took.
pub fn respond(
    protocol: Protocol,
    operation: &Operation,
    outcome: Result<Answer<Value>, ServiceError>,
    request: RequestId,
) -> Response {
    let written = outcome.and_then(|answer| {
        let codec = of(protocol);
        let whole = codec.write(operation, answer.output)?;
        let mut response = match answer.events {
            None => whole.map(Body::Whole),
            Some(events) => streamed(codec, whole, events),
        };
        response.headers_mut().extend(answer.headers);
        Ok(response)
    });
    match written {
        Ok(response) => stamped(response, request),
        Err(error) => refuse(protocol, &error, request),
    }
}

/// The answer to a request that did not reach its operation. Where no service is known, say [`Protocol::RestJson`].
pub fn refuse(protocol: Protocol, error: &ServiceError, request: RequestId) -> Response {
    let mut response = of(protocol).write_error(error).map(Body::Whole);
    response.headers_mut().extend(error.headers.clone());
    stamped(response, request)
}

/// The answer of an operation whose output holds an event stream.
fn streamed(codec: &'static dyn Codec, whole: Whole, events: Events) -> Response {
    let (mut parts, output) = whole.into_parts();
    parts.headers.insert(::http::header::CONTENT_TYPE, HeaderValue::from_static(frame::CONTENT_TYPE));
    let content_type = codec.event_content_type();
    let opening = codec
        .opens_with_output()
        .then(|| frame::encode(Kind::Event(frame::INITIAL_RESPONSE), content_type, &output));
    let frames = events.mapped(move |event| framed(content_type, &event));
    Response::from_parts(parts, Body::Pieces(Box::pin(stream::iter(opening).chain(frames))))
}

fn framed(content_type: &str, event: &Event) -> Bytes {
    let kind = if event.is_exception { Kind::Exception(event.name) } else { Kind::Event(event.name) };
    let payload = event.shape.payload().zip(match &event.content {
        Value::Structure(structure) => Some(structure),
        _ => None,
    });
    // An event that is one blob travels as it is.
    if let Some(((at, _), structure)) = payload {
        let bytes = match structure.get(at) {
            Some(Value::Blob(bytes)) => bytes.as_ref(),
            _ => b"",
        };
        return frame::encode(kind, "application/octet-stream", bytes);
    }
    frame::encode(kind, content_type, &json::write(event.shape, &event.content))
}

fn stamped(mut response: Response, request: RequestId) -> Response {
    let id = HeaderValue::from_str(&request.to_string());
    response.headers_mut().insert(REQUEST_ID, id.unwrap_or(HeaderValue::from_static("")));
    response
}

/// The body cannot be read as what the operation takes.
pub(crate) fn serialization(message: impl Into<String>) -> ServiceError {
    ServiceError::plain(StatusCode::BAD_REQUEST, "SerializationException", message).upper()
}

/// An answer with a body.
fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Whole {
    let mut response = Whole::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(::http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::shapes::{INVOKE_RESPONSE_STREAM_UPDATE, INVOKE_WITH_RESPONSE_STREAM_COMPLETE_EVENT};
    use crate::value::Structure;

    #[test]
    fn an_event_that_is_one_blob_travels_as_it_is_and_others_as_json() {
        let chunk = Structure::of(&INVOKE_RESPONSE_STREAM_UPDATE).with(0, Bytes::from_static(b"\0tea"));
        let chunk = Event::of("PayloadChunk", &INVOKE_RESPONSE_STREAM_UPDATE, Value::Structure(chunk));
        let raw = frame::encode(Kind::Event("PayloadChunk"), "application/octet-stream", b"\0tea");
        assert_eq!(framed("application/json", &chunk), raw);
        let shape = &INVOKE_WITH_RESPONSE_STREAM_COMPLETE_EVENT;
        let complete = Structure::of(shape).with(0, "Failed".to_owned());
        let complete = Event::of("InvokeComplete", shape, Value::Structure(complete));
        let json = br#"{"ErrorCode":"Failed"}"#;
        let told = frame::encode(Kind::Event("InvokeComplete"), "application/json", json);
        assert_eq!(framed("application/json", &complete), told);
    }
}
