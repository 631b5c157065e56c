//! Event source mappings.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn create_event_source_mapping(
        &self,
        _: &Context,
        _: api::CreateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("CreateEventSourceMapping")))
    }

    pub(super) async fn get_event_source_mapping(
        &self,
        _: &Context,
        _: api::GetEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("GetEventSourceMapping")))
    }

    pub(super) async fn update_event_source_mapping(
        &self,
        _: &Context,
        _: api::UpdateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("UpdateEventSourceMapping")))
    }

    pub(super) async fn delete_event_source_mapping(
        &self,
        _: &Context,
        _: api::DeleteEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        Err(Failure(ServiceError::not_built("DeleteEventSourceMapping")))
    }

    pub(super) async fn list_event_source_mappings(
        &self,
        _: &Context,
        _: api::ListEventSourceMappingsRequest,
    ) -> Result<api::ListEventSourceMappingsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListEventSourceMappings")))
    }
}
