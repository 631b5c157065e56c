//! What goes wrong with event source mappings.

use catalogue::CatalogueError;
use catalogue::rules::mappings::Unsettled;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::mappings::MappingRefusal;

/// Why a mapping did not change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MappingFailure {
    /// Lambda does not want it so.
    #[error(transparent)]
    Refused(#[from] MappingRefusal),
    /// Another change stands against it.
    #[error(transparent)]
    Unsettled(#[from] Unsettled),
    /// The catalogue did not do it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl MappingFailure {
    /// The answer to a request to `act`, such as `update`.
    pub(crate) fn says(self, act: &str) -> Failure {
        match self {
            Self::Unsettled(_) => {
                let words = format!("Cannot {act} the event source mapping because it is in use.");
                Failure(exception::RESOURCE_IN_USE.with(words))
            }
            Self::Refused(refusal) => refusal.into(),
            Self::Catalogue(CatalogueError::NotFound { .. }) => MappingRefusal::Missing.into(),
            Self::Catalogue(error) => error.into(),
        }
    }
}

impl From<MappingFailure> for Failure {
    fn from(failure: MappingFailure) -> Self {
        failure.says("read")
    }
}

impl From<MappingRefusal> for Failure {
    fn from(refusal: MappingRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            MappingRefusal::Missing => exception::RESOURCE_NOT_FOUND.with(words),
            MappingRefusal::Exists { .. } => exception::RESOURCE_CONFLICT.with(words),
            _ => exception::INVALID_PARAMETER_VALUE.with(words),
        })
    }
}
