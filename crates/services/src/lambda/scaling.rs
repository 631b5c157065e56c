//! Scaling.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_scaling_config(
        &self,
        _: &Context,
        _: api::PutFunctionScalingConfigRequest,
    ) -> Result<api::PutFunctionScalingConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutFunctionScalingConfig")))
    }

    pub(super) async fn get_function_scaling_config(
        &self,
        _: &Context,
        _: api::GetFunctionScalingConfigRequest,
    ) -> Result<api::GetFunctionScalingConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionScalingConfig")))
    }
}
