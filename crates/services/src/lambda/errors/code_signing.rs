//! What goes wrong with code signing.

use http::StatusCode;
use wire::error::ServiceError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::code_signing::CodeSigningRefusal;

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
