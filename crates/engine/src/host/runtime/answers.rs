//! The Runtime API's answers, as bytes on the wire.

use std::time::Duration;

use base::limits;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::{Credentials, Work};
use crate::environment::rules::{Refusal, RuntimeState};

/// How long an SDK may keep the keys that it was handed before it asks again. Ours: they are good for as long as the
/// environment lasts.
const CREDENTIALS_TIME: Duration = Duration::from_secs(60 * 60);

/// The same before the environment is restored, when a snapshot may hold them that others go on from: SDKs ask again
/// some minutes before the end, so that nobody uses another environment's keys. Ours.
const CREDENTIALS_TIME_BEFORE: Duration = Duration::from_secs(60);

/// Work for the runtime, with its headers. Source: Lambda Developer Guide, "runtime API".
pub fn work(work: Work) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(work.payload));
    let headers = response.headers_mut();
    let deadline = work.deadline.as_millis().to_string();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", Some(work.id.to_string())),
        ("lambda-runtime-deadline-ms", Some(deadline)),
        ("lambda-runtime-invoked-function-arn", Some(work.arn)),
        ("lambda-runtime-trace-id", Some(work.trace)),
        ("lambda-runtime-client-context", work.client_context),
        ("lambda-runtime-cognito-identity", work.cognito_identity),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()).and_then(header) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// A header value. Line breaks and tabs become blanks: in JSON they can only stand between tokens.
fn header(text: String) -> Option<HeaderValue> {
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        return Some(value);
    }
    let blank = |byte: u8| if byte.is_ascii_control() { b' ' } else { byte };
    let bytes: Vec<u8> = text.bytes().map(blank).collect();
    HeaderValue::from_bytes(&bytes).ok()
}

/// The runtime's post was taken.
pub fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

/// The runtime goes on, restored. Source: AWS's runtime interface emulator.
pub fn restored() -> Response<Full<Bytes>> {
    whole(StatusCode::OK, "application/json", Bytes::new())
}

/// The environment's own keys, as SDKs read them from a container's endpoint. The connection ends, so that a snapshot need
/// not hold it.
pub fn credentials(keys: &Credentials, is_restored: bool) -> Response<Full<Bytes>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        access_key_id: &'a str,
        secret_access_key: &'a str,
        expiration: String,
        token: &'a str,
    }
    let time = if is_restored { CREDENTIALS_TIME } else { CREDENTIALS_TIME_BEFORE };
    let expiration = (keys.clock.now() + time).to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body = Body {
        access_key_id: &keys.access_key,
        secret_access_key: &keys.secret,
        expiration,
        token: &keys.token,
    };
    let mut answer = json(StatusCode::OK, serde_json::to_vec(&body).expect("strings serialise").into());
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Nobody has this token. Source: AWS's runtime interface emulator.
pub fn no_credentials() -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, "cannot get credentials for the provided token\n")
}

/// The runtime's call has no place.
pub fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let (status, kind, message) = match refusal {
        Refusal::RequestId => (StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID".into()),
        Refusal::Transition { from, to } => {
            (StatusCode::FORBIDDEN, "InvalidStateTransition", transition(from, to))
        }
        Refusal::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Exceeded maximum allowed payload size ({} bytes).", limits::SYNC_RESPONSE_BYTES),
        ),
        Refusal::Truncated => {
            (StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated".into())
        }
        Refusal::ResponseMode => {
            (StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "Invalid function response mode".into())
        }
    };
    error(status, kind, &message)
}

/// Our own fault.
pub fn internal() -> Response<Full<Bytes>> {
    error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error")
}

/// `GET /2018-06-01/ping`.
pub fn pong() -> Response<Full<Bytes>> {
    plain(StatusCode::OK, "pong")
}

/// No such path.
pub fn not_found() -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// The path exists, under another method.
pub fn wrong_method() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

fn transition(from: RuntimeState, to: RuntimeState) -> String {
    format!(
        "State transition from {} to {} failed for runtime. Error: State transition is not allowed",
        name(from),
        name(to)
    )
}

const fn name(state: RuntimeState) -> &'static str {
    match state {
        RuntimeState::Started => "Started",
        RuntimeState::InitError => "InitError",
        RuntimeState::RestoreReady => "RestoreReady",
        RuntimeState::Restoring => "Restoring",
        RuntimeState::RestoreError => "RestoreError",
        RuntimeState::Ready => "Ready",
        RuntimeState::Running => "Running",
        RuntimeState::InvocationResponse => "InvocationResponse",
        RuntimeState::InvocationErrorResponse => "InvocationErrorResponse",
        RuntimeState::ResponseSent => "ResponseSent",
    }
}

/// An error in the Runtime API's own form.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        error_message: &'a str,
        error_type: &'a str,
    }
    let body = serde_json::to_vec(&Body { error_message: message, error_type: kind });
    let mut body = body.expect("strings serialise");
    body.push(b'\n');
    json(status, body.into())
}

/// JSON.
pub fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    whole(status, "application/json", body)
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    whole(status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
