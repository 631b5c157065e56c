//! Provisioned.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_provisioned_concurrency_config(
        &self,
        _: &Context,
        _: api::PutProvisionedConcurrencyConfigRequest,
    ) -> Result<api::PutProvisionedConcurrencyConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutProvisionedConcurrencyConfig")))
    }

    pub(super) async fn get_provisioned_concurrency_config(
        &self,
        _: &Context,
        _: api::GetProvisionedConcurrencyConfigRequest,
    ) -> Result<api::GetProvisionedConcurrencyConfigResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetProvisionedConcurrencyConfig")))
    }

    pub(super) async fn delete_provisioned_concurrency_config(
        &self,
        _: &Context,
        _: api::DeleteProvisionedConcurrencyConfigRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteProvisionedConcurrencyConfig")))
    }

    pub(super) async fn list_provisioned_concurrency_configs(
        &self,
        _: &Context,
        _: api::ListProvisionedConcurrencyConfigsRequest,
    ) -> Result<api::ListProvisionedConcurrencyConfigsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListProvisionedConcurrencyConfigs")))
    }
}
