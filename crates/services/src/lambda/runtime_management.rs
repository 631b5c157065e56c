//! Runtime management.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_runtime_management_config(
        &self,
        _: &Context,
        _: api::PutRuntimeManagementConfigRequest,
    ) -> Result<api::PutRuntimeManagementConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutRuntimeManagementConfig")))
    }

    pub(super) async fn get_runtime_management_config(
        &self,
        _: &Context,
        _: api::GetRuntimeManagementConfigRequest,
    ) -> Result<api::GetRuntimeManagementConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetRuntimeManagementConfig")))
    }
}
