//! Functions' resource policies.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn add_permission(
        &self,
        _: &Context,
        _: api::AddPermissionRequest,
    ) -> Result<api::AddPermissionResponse, Failure> {
        Err(Failure(ServiceError::not_built("AddPermission")))
    }

    pub(super) async fn remove_permission(
        &self,
        _: &Context,
        _: api::RemovePermissionRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("RemovePermission")))
    }

    pub(super) async fn get_policy(
        &self,
        _: &Context,
        _: api::GetPolicyRequest,
    ) -> Result<api::GetPolicyResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetPolicy")))
    }

    pub(super) async fn put_resource_policy(
        &self,
        _: &Context,
        _: api::PutResourcePolicyRequest,
    ) -> Result<api::PutResourcePolicyResponse, Failure> {
        Err(Failure(ServiceError::not_built("PutResourcePolicy")))
    }

    pub(super) async fn get_resource_policy(
        &self,
        _: &Context,
        _: api::GetResourcePolicyRequest,
    ) -> Result<api::GetResourcePolicyResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetResourcePolicy")))
    }

    pub(super) async fn delete_resource_policy(
        &self,
        _: &Context,
        _: api::DeleteResourcePolicyRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteResourcePolicy")))
    }
}
