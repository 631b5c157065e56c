//! What settings of concurrency refuse, in AWS's words.

use catalogue::rules::ShareError;
use wire::error::ServiceError;
use wire::lambda::exception;

use super::Failure;

impl From<ShareError> for Failure {
    fn from(error: ShareError) -> Self {
        let invalid = |words: &str| exception::INVALID_PARAMETER_VALUE.with(words);
        let conflict = |words| exception::RESOURCE_CONFLICT.with(words);
        Self(match error {
            ShareError::ReservesTooMuch { minimum } => untyped(format!(
                "Specified ReservedConcurrentExecutions for function decreases account's \
                 UnreservedConcurrentExecution below its minimum value of [{minimum}]."
            )),
            // Two blanks, and one in front. Source: recorded in 2026.
            ShareError::ReservesTooLittle { reserved, provisioned } => untyped(format!(
                " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
                 concurrency [{provisioned}]."
            )),
            ShareError::ProvisionsBeyondReservation => invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
                 function",
            ),
            ShareError::ProvisionsBeyondAccount { unreserved } => untyped(format!(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency \
                 [{unreserved}]."
            )),
            ShareError::ProvisionsTooMuch { minimum } => untyped(format!(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
                 its minimum value of [{minimum}]."
            )),
            ShareError::Unpublished => {
                invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
            }
            // Ours, in the form of what SnapStart refuses; that it is refused is documented.
            ShareError::SnapStart => {
                invalid("Provisioned Concurrency is not supported for SnapStart enabled functions.")
            }
            // Source: deployment tools' reports of 2020 to 2026.
            ShareError::Weighted => {
                invalid("Alias with weights can not be used with Provisioned Concurrency")
            }
            ShareError::VersionIsProvisioned => conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
            ),
            ShareError::AliasIsProvisioned => {
                conflict("Version is pointed by a Provisioned Concurrency alias")
            }
            ShareError::Catalogue(error) => return error.into(),
        })
    }
}

/// The limits of an account are told without a type. Source: recorded answers.
fn untyped(words: String) -> ServiceError {
    ServiceError { type_user: false, ..exception::INVALID_PARAMETER_VALUE.with(words) }
}
