//! The front end's check of a request against its model, before anything is looked up.

mod pattern;
mod rules;

use ::http::StatusCode;

use crate::error::ServiceError;
use crate::schema::{Operation, Service};
use crate::value::Value;

/// Checks an input; all that is wrong with it is told in one message, worded as AWS words it.
///
/// Source: recorded answers; `<n> validation error[s] detected: <e>; <e>`.
pub fn check(service: &Service, operation: &Operation, input: &Value) -> Result<(), ServiceError> {
    let violations = rules::violations(operation.input, input);
    if violations.is_empty() {
        return Ok(());
    }
    let plural = if violations.len() == 1 { "" } else { "s" };
    let message =
        format!("{} validation error{plural} detected: {}", violations.len(), violations.join("; "));
    Err(ServiceError::plain(StatusCode::BAD_REQUEST, service.violation, message))
}
