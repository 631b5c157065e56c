//! Refusals about asynchronous events, as AWS's exceptions.

use catalogue::CatalogueError;
use catalogue::rules::event_invoke::EventInvokeError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::event_invoke::EventInvokeRefusal;

impl From<EventInvokeRefusal> for Failure {
    fn from(refusal: EventInvokeRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            EventInvokeRefusal::NoFunction | EventInvokeRefusal::NoConfig(_) => {
                exception::RESOURCE_NOT_FOUND.with(words)
            }
            EventInvokeRefusal::Nothing
            | EventInvokeRefusal::Destination(_)
            | EventInvokeRefusal::Itself
            | EventInvokeRefusal::Service { .. } => exception::INVALID_PARAMETER_VALUE.with(words),
        })
    }
}

impl From<EventInvokeError> for Failure {
    fn from(error: EventInvokeError) -> Self {
        match error {
            EventInvokeError::Catalogue(CatalogueError::NotFound { .. }) => {
                EventInvokeRefusal::NoFunction.into()
            }
            EventInvokeError::NoConfig(arn) => EventInvokeRefusal::NoConfig(arn.to_string()).into(),
            EventInvokeError::Catalogue(error) => error.into(),
        }
    }
}
