//! What versions and aliases refuse, in AWS's words.

use catalogue::rules::{AliasError, ShareError, VersionError};
use wire::error::ServiceError;
use wire::lambda::exception;

use super::{Failure, not_now};

impl From<VersionError> for Failure {
    fn from(error: VersionError) -> Self {
        Self(match error {
            VersionError::OtherCode { given, current } => {
                exception::INVALID_PARAMETER_VALUE.with(format!(
                    "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try \
                     again with the CodeSHA256 in $LATEST."
                ))
            }
            VersionError::NotActive(state) => not_now(state),
            // Source: deployment tools' reports of 2020 to 2023.
            VersionError::InUse(aliases) => exception::RESOURCE_CONFLICT.with(format!(
                "Unable to delete version because the following aliases reference it: [{}]",
                aliases.join(", ")
            )),
            VersionError::Catalogue(error) => return error.into(),
        })
    }
}

impl From<AliasError> for Failure {
    fn from(error: AliasError) -> Self {
        let invalid = |words: &str| exception::INVALID_PARAMETER_VALUE.with(words);
        Self(match error {
            AliasError::Exists(arn) => {
                exception::RESOURCE_CONFLICT.with(format!("Alias already exists: {arn}"))
            }
            AliasError::Unknown(arn) => exception::RESOURCE_NOT_FOUND.with(format!("Alias not found: {arn}")),
            AliasError::SameVersion(number) => invalid(&format!(
                "Invalid function version {number}. Function version {number} is already included in routing \
                 configuration."
            )),
            // The only one of these without a type. Source: recorded answers.
            AliasError::SharedLatest => ServiceError {
                type_user: false,
                ..invalid("$LATEST is not supported for an alias pointing to more than 1 version")
            },
            // The words for one that leads there when it is to be kept ready; those for this are not recorded.
            AliasError::KeptReady => return ShareError::Unpublished.into(),
            AliasError::SnapStart => return ShareError::SnapStart.into(),
            // Source: a deployment tool's report of 2026.
            AliasError::Failed { arn, code } => exception::RESOURCE_CONFLICT.with(format!(
                "The operation cannot be performed at this time. The resource {arn} is currently in the following \
                 state: 'Failed'. StateReasonCode: '{code}'"
            )),
            // Source: a deployment tool's report of 2018.
            AliasError::Roles => {
                invalid("Specified versions must be associated with the same execution role")
            }
            // Ours, after the one above: the rule is documented, its words are not recorded.
            AliasError::DeadLetters => {
                invalid("Specified versions must be associated with the same dead letter queue")
            }
            AliasError::Catalogue(error) => return error.into(),
        })
    }
}
