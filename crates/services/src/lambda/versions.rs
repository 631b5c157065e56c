//! Versions.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn publish_version(
        &self,
        _: &Context,
        _: api::PublishVersionRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("PublishVersion")))
    }

    pub(super) async fn list_versions_by_function(
        &self,
        _: &Context,
        _: api::ListVersionsByFunctionRequest,
    ) -> Result<api::ListVersionsByFunctionResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListVersionsByFunction")))
    }
}
