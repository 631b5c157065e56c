//! What goes wrong with layers, as AWS says it.

use http::StatusCode;
use wire::error::ServiceError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::layers::LayerRefusal;

impl From<LayerRefusal> for Failure {
    fn from(refusal: LayerRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            LayerRefusal::Number
            | LayerRefusal::TooMany
            | LayerRefusal::Region(_)
            | LayerRefusal::Unknown(_)
            | LayerRefusal::Twice(..) => exception::INVALID_PARAMETER_VALUE.with(words),
            LayerRefusal::Missing | LayerRefusal::NoVersion(_) => exception::RESOURCE_NOT_FOUND.with(words),
            LayerRefusal::UnknownRuntime(_) => {
                ServiceError::plain(StatusCode::BAD_REQUEST, "ValidationException", words)
            }
        })
    }
}
