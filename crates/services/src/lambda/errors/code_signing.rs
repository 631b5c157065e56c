//! What goes wrong with code signing.

use http::StatusCode;
use wire::error::ServiceError;
use wire::lambda::exception;

use super::Failure;

/// What Lambda refuses about code signing, in its words.
///
/// Texts are recorded unless their comment says otherwise (`Ours`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodeSigningRefusal {
    /// An operation on a configuration that is not there.
    #[error("The Lambda code signing configuration {0} can not be found.")]
    Unknown(String),
    /// A function is to have a configuration that is not there.
    #[error(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {0}."
    )]
    Gone(String),
    /// A configuration that is to go is some function's. Ours.
    #[error("The code signing configuration {0} cannot be deleted because it is in use by a function.")]
    InUse(String),
    /// A package that no allowed publisher signed. Source: an operator's log of 2024.
    #[error(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client \
         is not configured to accept. Check the provided signature for {0}."
    )]
    Unsigned(String),
}

impl From<CodeSigningRefusal> for Failure {
    fn from(refusal: CodeSigningRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            // This one has no `Type`. Source: recorded answers.
            CodeSigningRefusal::Unknown(_) => {
                ServiceError::plain(StatusCode::NOT_FOUND, "ResourceNotFoundException", words).upper()
            }
            CodeSigningRefusal::Gone(_) => exception::CODE_SIGNING_CONFIG_NOT_FOUND.with(words),
            CodeSigningRefusal::InUse(_) => exception::RESOURCE_CONFLICT.with(words),
            CodeSigningRefusal::Unsigned(_) => exception::CODE_VERIFICATION_FAILED.with(words),
        })
    }
}
