//! Reading what a runtime posts, never holding more than the limit.

use base::limits;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::outcome::{Answer, sanitise};

/// A request's body.
#[derive(Debug)]
pub enum Body {
    /// All of it, with its trailers.
    Whole(Bytes, Option<HeaderMap>),
    /// It is larger than a response may be.
    TooLarge,
    /// It ended too early.
    Truncated,
}

/// Reads a body of at most [`limits::SYNC_RESPONSE_BYTES`]. One that came in one piece is not copied.
pub async fn read<B>(mut body: B) -> Body
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut trailers = None;
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Truncated };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        seen += data.len();
        if seen > limits::RESPONSE_DISCARD_BYTES {
            return Body::TooLarge;
        } else if seen > limits::SYNC_RESPONSE_BYTES {
            (first, rest) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                let expected = body.size_hint().lower().min(limits::SYNC_RESPONSE_BYTES as u64);
                rest.reserve(seen + usize::try_from(expected).unwrap_or_default());
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    match seen {
        seen if seen > limits::SYNC_RESPONSE_BYTES => Body::TooLarge,
        _ if rest.is_empty() => Body::Whole(first, trailers),
        _ => Body::Whole(rest.freeze(), trailers),
    }
}

/// The error that a streaming runtime found after its first bytes, from the trailers.
pub fn trailing_error(trailers: &HeaderMap) -> Option<Answer> {
    let kind = trailers.get("lambda-runtime-function-error-type")?.to_str().ok()?;
    let body = trailers.get("lambda-runtime-function-error-body");
    let body = body.and_then(|body| BASE64_STANDARD.decode(body.as_bytes()).ok()).unwrap_or_default();
    Some(Answer::Error { kind: sanitise(kind), body: body.into() })
}

/// Whether an error's body holds the X-Ray cause beside the error.
pub fn carries_cause(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/vnd.aws.lambda.error.cause+json")
}

/// The error without its X-Ray cause; a body that is no such object stays as it is.
pub fn without_cause(body: Bytes) -> Bytes {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ErrorBody<'a> {
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        error_message: Option<&'a RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        error_type: Option<&'a RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        stack_trace: Option<&'a RawValue>,
    }
    let Ok(error) = serde_json::from_slice::<ErrorBody<'_>>(&body) else { return body };
    serde_json::to_vec(&error).map_or(body.clone(), Bytes::from)
}
