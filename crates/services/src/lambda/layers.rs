//! Layers.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn publish_layer_version(
        &self,
        _: &Context,
        _: api::PublishLayerVersionRequest,
    ) -> Result<api::PublishLayerVersionResponse, Failure> {
        Err(Failure(ServiceError::not_built("PublishLayerVersion")))
    }

    pub(super) async fn get_layer_version(
        &self,
        _: &Context,
        _: api::GetLayerVersionRequest,
    ) -> Result<api::GetLayerVersionResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetLayerVersion")))
    }

    pub(super) async fn get_layer_version_by_arn(
        &self,
        _: &Context,
        _: api::GetLayerVersionByArnRequest,
    ) -> Result<api::GetLayerVersionResponse, Failure> {
        Err(Failure(ServiceError::not_built("GetLayerVersionByArn")))
    }

    pub(super) async fn delete_layer_version(
        &self,
        _: &Context,
        _: api::DeleteLayerVersionRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("DeleteLayerVersion")))
    }

    pub(super) async fn list_layers(
        &self,
        _: &Context,
        _: api::ListLayersRequest,
    ) -> Result<api::ListLayersResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListLayers")))
    }

    pub(super) async fn list_layer_versions(
        &self,
        _: &Context,
        _: api::ListLayerVersionsRequest,
    ) -> Result<api::ListLayerVersionsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListLayerVersions")))
    }
}
