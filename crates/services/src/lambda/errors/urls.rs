//! Refusals about function URLs, as AWS's exceptions.

use catalogue::rules::function_url::FunctionUrlError;
use wire::lambda::exception;

use super::Failure;
use crate::lambda::checks::urls::UrlRefusal;

impl From<UrlRefusal> for Failure {
    fn from(refusal: UrlRefusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            UrlRefusal::NoFunction | UrlRefusal::NoUrl => exception::RESOURCE_NOT_FOUND.with(words),
            UrlRefusal::Exists(_) => exception::RESOURCE_CONFLICT.with(words),
        })
    }
}

impl From<FunctionUrlError> for Failure {
    fn from(error: FunctionUrlError) -> Self {
        match error {
            FunctionUrlError::Exists(arn) => UrlRefusal::Exists(arn.to_string()).into(),
            FunctionUrlError::NoAlias(_) => UrlRefusal::NoFunction.into(),
            FunctionUrlError::NoUrl(_) => UrlRefusal::NoUrl.into(),
            FunctionUrlError::Catalogue(error) => error.into(),
        }
    }
}
