//! Recursion.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_recursion_config(
        &self,
        _: &Context,
        _: api::PutFunctionRecursionConfigRequest,
    ) -> Result<api::PutFunctionRecursionConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutFunctionRecursionConfig")))
    }

    pub(super) async fn get_function_recursion_config(
        &self,
        _: &Context,
        _: api::GetFunctionRecursionConfigRequest,
    ) -> Result<api::GetFunctionRecursionConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionRecursionConfig")))
    }
}
