//! What goes wrong, as CloudWatch Logs says it.

use record::logs::LogError;
use wire::error::ServiceError;
use wire::logs::exception;

/// A request that cannot be meant.
pub fn invalid(message: impl Into<String>) -> ServiceError {
    exception::INVALID_PARAMETER.with(message)
}

/// One value breaks a constraint that the model does not have, told as those that it has.
pub fn violation(value: &str, member: &str, constraint: &str) -> ServiceError {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// There is no such group.
pub fn no_group() -> ServiceError {
    exception::RESOURCE_NOT_FOUND.with("The specified log group does not exist.")
}

/// What AWS says. Source of the texts: recorded answers.
pub fn refused(error: LogError) -> ServiceError {
    match error {
        LogError::NoGroup(_) => no_group(),
        LogError::NoStream(_) => {
            exception::RESOURCE_NOT_FOUND.with("The specified log stream does not exist.")
        }
        LogError::GroupExists(_) => {
            exception::RESOURCE_ALREADY_EXISTS.with("The specified log group already exists")
        }
        LogError::StreamExists(_) => {
            exception::RESOURCE_ALREADY_EXISTS.with("The specified log stream already exists")
        }
        LogError::InvalidToken => invalid("The specified nextToken is invalid."),
        LogError::Full => unavailable(),
        LogError::Store(error) => {
            tracing::error!(?error, "the storage of logs refused");
            unavailable()
        }
    }
}

fn unavailable() -> ServiceError {
    exception::SERVICE_UNAVAILABLE.with("The service cannot complete the request.")
}
