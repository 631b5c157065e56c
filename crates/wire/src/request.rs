//! From a routed request to a validated input.

use ::http::StatusCode;
use base::limits;
use bytes::Bytes;

use crate::error::ServiceError;
use crate::http::Head;
use crate::route::Route;
use crate::value::Value;
use crate::{codec, validate};

/// Reads and validates an operation's input.
///
/// Operations that Samovar does not implement are refused before anything is read.
pub fn read(route: &Route, head: &Head, body: Bytes) -> Result<Value, ServiceError> {
    if !route.operation.built {
        return Err(ServiceError::not_built(route.operation.name));
    }
    if body.len() > limits::CREATE_REQUEST_BYTES {
        return Err(too_large(route.operation.name, limits::CREATE_REQUEST_BYTES));
    }
    let input = codec::of(route.service.protocol).read(route, head, body)?;
    validate::check(route.service, route.operation, &input)?;
    Ok(input)
}

/// The refusal of a body that is larger than its operation takes; also for doors that stop reading early.
pub fn too_large(operation: &str, limit: usize) -> ServiceError {
    let refusal = |operation: &str| {
        ServiceError::plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            format!("Request must be smaller than {limit} bytes for the {operation} operation"),
        )
    };
    match operation {
        // Recorded: the text has the older name, and the key is spelled `Message`.
        "Invoke" | "InvokeWithResponseStream" => refusal("InvokeFunction").upper(),
        _ => refusal(operation),
    }
}
