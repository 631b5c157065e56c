//! Concurrency.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_concurrency(
        &self,
        _: &Context,
        _: api::PutFunctionConcurrencyRequest,
    ) -> Result<api::Concurrency, Failure> {
        Err(Failure(ServiceError::not_built("PutFunctionConcurrency")))
    }

    pub(super) async fn get_function_concurrency(
        &self,
        _: &Context,
        _: api::GetFunctionConcurrencyRequest,
    ) -> Result<api::GetFunctionConcurrencyResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetFunctionConcurrency")))
    }

    pub(super) async fn delete_function_concurrency(
        &self,
        _: &Context,
        _: api::DeleteFunctionConcurrencyRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteFunctionConcurrency")))
    }
}
