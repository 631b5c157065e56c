//! Function URLs.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn create_function_url_config(
        &self,
        _: &Context,
        _: api::CreateFunctionUrlConfigRequest,
    ) -> Result<api::CreateFunctionUrlConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("CreateFunctionUrlConfig")))
    }

    pub(super) async fn get_function_url_config(
        &self,
        _: &Context,
        _: api::GetFunctionUrlConfigRequest,
    ) -> Result<api::GetFunctionUrlConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionUrlConfig")))
    }

    pub(super) async fn update_function_url_config(
        &self,
        _: &Context,
        _: api::UpdateFunctionUrlConfigRequest,
    ) -> Result<api::UpdateFunctionUrlConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("UpdateFunctionUrlConfig")))
    }

    pub(super) async fn delete_function_url_config(
        &self,
        _: &Context,
        _: api::DeleteFunctionUrlConfigRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteFunctionUrlConfig")))
    }

    pub(super) async fn list_function_url_configs(
        &self,
        _: &Context,
        _: api::ListFunctionUrlConfigsRequest,
    ) -> Result<api::ListFunctionUrlConfigsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListFunctionUrlConfigs")))
    }
}
