//! Bytes to values and values to bytes, one codec a protocol, each walking the schema.

mod aws_json;
mod json;
mod rest_json;
mod scalar;

use ::http::{HeaderName, HeaderValue, StatusCode};
use base::id::RequestId;
use bytes::Bytes;

use crate::answer::Answer;
use crate::error::ServiceError;
use crate::http::{Head, Response};
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
    fn write(&self, operation: &Operation, output: Value) -> Result<Response, ServiceError>;

    /// Writes an error.
    fn write_error(&self, error: &ServiceError) -> Response;
}

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
        let mut response = of(protocol).write(operation, answer.output)?;
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
    let mut response = of(protocol).write_error(error);
    response.headers_mut().extend(error.headers.clone());
    stamped(response, request)
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
fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(::http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
