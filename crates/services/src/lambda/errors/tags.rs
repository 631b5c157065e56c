//! Refusals about tags, as AWS's exceptions.

use catalogue::rules::tags::TagError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::tags::TagRefusal;

impl From<TagRefusal> for Failure {
    fn from(refusal: TagRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            TagRefusal::Nothing | TagRefusal::Qualified | TagRefusal::TooMany | TagRefusal::Reserved => {
                exception::INVALID_PARAMETER_VALUE.with(words)
            }
            TagRefusal::NoMapping(_) | TagRefusal::NoCapacityProvider(_) => {
                exception::RESOURCE_NOT_FOUND.with(words)
            }
        })
    }
}

impl From<TagError> for Failure {
    fn from(error: TagError) -> Self {
        match error {
            TagError::TooMany => TagRefusal::TooMany.into(),
            TagError::Reserved(_) => TagRefusal::Reserved.into(),
            TagError::Catalogue(error) => error.into(),
        }
    }
}
