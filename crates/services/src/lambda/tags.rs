//! Tags.

use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn tag_resource(&self, _: &Context, _: api::TagResourceRequest) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("TagResource")))
    }

    pub(super) async fn untag_resource(
        &self,
        _: &Context,
        _: api::UntagResourceRequest,
    ) -> Result<(), Failure> {
        Err(Failure(ServiceError::not_built("UntagResource")))
    }

    pub(super) async fn list_tags(
        &self,
        _: &Context,
        _: api::ListTagsRequest,
    ) -> Result<api::ListTagsResponse, Failure> {
        Err(Failure(ServiceError::not_built("ListTags")))
    }
}
