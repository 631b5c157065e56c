//! What goes wrong with layers, as AWS says it.

use std::fmt::Display;

use base::arn::LayerVersionArn;
use base::limits::POLICY_BYTES;
use catalogue::CatalogueError;
use catalogue::rules::layers::LayerError;
use http::StatusCode;
use wire::error::ServiceError;
use wire::lambda::exception;

use super::Failure;
use crate::Context;
use crate::lambda::checks::layers::LayerRefusal;

/// Nobody lets the sender of a request do that to a layer of somebody else.
pub(crate) fn denied(context: &Context, action: &str, resource: impl Display) -> Failure {
    let words = format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} because no resource-based policy \
         allows the {action} action",
        context.principal
    );
    Failure(ServiceError::plain(StatusCode::FORBIDDEN, "AccessDeniedException", words).upper())
}

/// What became of a change of a layer version's policy.
pub(crate) fn about_policy(error: LayerError, arn: &LayerVersionArn) -> Failure {
    match error {
        LayerError::NoVersion | LayerError::Catalogue(CatalogueError::NoLayer { .. }) => {
            LayerRefusal::NoVersion(arn.to_string()).into()
        }
        LayerError::StatementExists(sid) => LayerRefusal::StatementExists(sid.to_string()).into(),
        LayerError::NoStatement(sid) => LayerRefusal::NoStatement(sid.to_string()).into(),
        LayerError::NoPolicy => LayerRefusal::NoPolicy.into(),
        LayerError::RevisionMismatch => LayerRefusal::Stale.into(),
        LayerError::PolicyTooLong { bytes } => {
            LayerRefusal::PolicyLength { size: bytes, limit: POLICY_BYTES }.into()
        }
        LayerError::OtherPackage => Failure(super::fault(&error)),
        LayerError::Catalogue(error) => error.into(),
    }
}

impl From<LayerRefusal> for Failure {
    fn from(refusal: LayerRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            LayerRefusal::Number
            | LayerRefusal::TooMany
            | LayerRefusal::Region(_)
            | LayerRefusal::Unknown(_)
            | LayerRefusal::Twice(..) => exception::INVALID_PARAMETER_VALUE.with(words),
            LayerRefusal::Missing
            | LayerRefusal::NoVersion(_)
            | LayerRefusal::NoPolicy
            | LayerRefusal::NoStatement(_) => exception::RESOURCE_NOT_FOUND.with(words),
            LayerRefusal::StatementExists(_) => exception::RESOURCE_CONFLICT.with(words),
            LayerRefusal::Stale => exception::PRECONDITION_FAILED.with(words),
            LayerRefusal::PolicyLength { .. } => exception::POLICY_LENGTH_EXCEEDED.with(words),
            LayerRefusal::UnknownRuntime(_) => {
                ServiceError::plain(StatusCode::BAD_REQUEST, "ValidationException", words)
            }
        })
    }
}
