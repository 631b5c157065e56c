//! Layer versions' policies.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn add_layer_version_permission(
        &self,
        _: &Context,
        _: api::AddLayerVersionPermissionRequest,
    ) -> Result<api::AddLayerVersionPermissionResponse, Failure> {
        Err(Failure(ServiceError::not_built("AddLayerVersionPermission")))
    }

    pub(super) async fn remove_layer_version_permission(
        &self,
        _: &Context,
        _: api::RemoveLayerVersionPermissionRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("RemoveLayerVersionPermission")))
    }

    pub(super) async fn get_layer_version_policy(
        &self,
        _: &Context,
        _: api::GetLayerVersionPolicyRequest,
    ) -> Result<api::GetLayerVersionPolicyResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetLayerVersionPolicy")))
    }
}
