//! What the management of runtimes refuses.

use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::runtime_management::RuntimeRefusal;

impl From<RuntimeRefusal> for Failure {
    fn from(refusal: RuntimeRefusal) -> Self {
        Self(exception::INVALID_PARAMETER_VALUE.with(refusal.to_string()))
    }
}
