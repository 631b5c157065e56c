//! Code signing.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn create_code_signing_config(
        &self,
        _: &Context,
        _: api::CreateCodeSigningConfigRequest,
    ) -> Result<api::CreateCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("CreateCodeSigningConfig")))
    }

    pub(super) async fn get_code_signing_config(
        &self,
        _: &Context,
        _: api::GetCodeSigningConfigRequest,
    ) -> Result<api::GetCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetCodeSigningConfig")))
    }

    pub(super) async fn update_code_signing_config(
        &self,
        _: &Context,
        _: api::UpdateCodeSigningConfigRequest,
    ) -> Result<api::UpdateCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("UpdateCodeSigningConfig")))
    }

    pub(super) async fn delete_code_signing_config(
        &self,
        _: &Context,
        _: api::DeleteCodeSigningConfigRequest,
    ) -> Result<api::DeleteCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("DeleteCodeSigningConfig")))
    }

    pub(super) async fn list_code_signing_configs(
        &self,
        _: &Context,
        _: api::ListCodeSigningConfigsRequest,
    ) -> Result<api::ListCodeSigningConfigsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListCodeSigningConfigs")))
    }

    pub(super) async fn list_functions_by_code_signing_config(
        &self,
        _: &Context,
        _: api::ListFunctionsByCodeSigningConfigRequest,
    ) -> Result<api::ListFunctionsByCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListFunctionsByCodeSigningConfig")))
    }

    pub(super) async fn put_function_code_signing_config(
        &self,
        _: &Context,
        _: api::PutFunctionCodeSigningConfigRequest,
    ) -> Result<api::PutFunctionCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutFunctionCodeSigningConfig")))
    }

    pub(super) async fn get_function_code_signing_config(
        &self,
        _: &Context,
        _: api::GetFunctionCodeSigningConfigRequest,
    ) -> Result<api::GetFunctionCodeSigningConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionCodeSigningConfig")))
    }

    pub(super) async fn delete_function_code_signing_config(
        &self,
        _: &Context,
        _: api::DeleteFunctionCodeSigningConfigRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteFunctionCodeSigningConfig")))
    }
}
