//! What resource policies refuse, in AWS's words.

use base::limits::POLICY_BYTES;
use catalogue::Malformed;
use catalogue::rules::policies::PolicyError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::policies::PolicyRefusal;

impl From<PolicyRefusal> for Failure {
    fn from(refusal: PolicyRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            PolicyRefusal::Latest | PolicyRefusal::Principal | PolicyRefusal::UrlAuthType => {
                exception::INVALID_PARAMETER_VALUE.with(words)
            }
            PolicyRefusal::NoPolicy(_) | PolicyRefusal::NoResource => {
                exception::RESOURCE_NOT_FOUND.with(words)
            }
        })
    }
}

impl Failure {
    /// What an operation on a policy that `read_with` reads says. Source: recorded answers; client logs.
    pub(crate) fn of_policy(error: PolicyError, read_with: &'static str) -> Self {
        Self(match error {
            PolicyError::Missing => {
                exception::RESOURCE_NOT_FOUND.with("No policy is associated with the given resource.")
            }
            PolicyError::StatementExists(sid) => exception::RESOURCE_CONFLICT.with(format!(
                "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the \
                 existing statement."
            )),
            PolicyError::UnknownStatement(sid) => exception::RESOURCE_NOT_FOUND
                .with(format!("Statement {sid} is not found in resource policy.")),
            PolicyError::Stale => exception::PRECONDITION_FAILED.with(format!(
                "The Revision Id provided does not match the latest Revision Id. Call the {read_with} API to retrieve \
                 the latest Revision Id"
            )),
            PolicyError::TooLong { size } => exception::POLICY_LENGTH_EXCEEDED
                .with(format!("The final policy size ({size}) is bigger than the limit ({POLICY_BYTES}).")),
            PolicyError::Catalogue(error) => return error.into(),
        })
    }
}

/// No answer of AWS's is recorded for these: what the parser found, after words of ours.
impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self(
            exception::INVALID_PARAMETER_VALUE
                .with(format!("The provided policy document was invalid: {error}.")),
        )
    }
}
