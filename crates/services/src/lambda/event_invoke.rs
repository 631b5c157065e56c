//! Settings of asynchronous invocation.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_event_invoke_config(
        &self,
        _: &Context,
        _: api::PutFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        Err(Failure(ServiceError::not_built("PutFunctionEventInvokeConfig")))
    }

    pub(super) async fn update_function_event_invoke_config(
        &self,
        _: &Context,
        _: api::UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        Err(Failure(ServiceError::not_built("UpdateFunctionEventInvokeConfig")))
    }

    pub(super) async fn get_function_event_invoke_config(
        &self,
        _: &Context,
        _: api::GetFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionEventInvokeConfig")))
    }

    pub(super) async fn delete_function_event_invoke_config(
        &self,
        _: &Context,
        _: api::DeleteFunctionEventInvokeConfigRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteFunctionEventInvokeConfig")))
    }

    pub(super) async fn list_function_event_invoke_configs(
        &self,
        _: &Context,
        _: api::ListFunctionEventInvokeConfigsRequest,
    ) -> Result<api::ListFunctionEventInvokeConfigsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListFunctionEventInvokeConfigs")))
    }
}
