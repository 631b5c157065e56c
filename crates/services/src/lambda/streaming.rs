//! InvokeWithResponseStream.

use wire::answer::Streaming;
use wire::error::ServiceError;
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn invoke_with_response_stream(
        &self,
        _: &Context,
        _: api::InvokeWithResponseStreamRequest,
    ) -> Result<
        Streaming<api::InvokeWithResponseStreamResponse, api::InvokeWithResponseStreamResponseEvent>,
        Failure,
    > {
        Err(Failure(ServiceError::not_built("InvokeWithResponseStream")))
    }
}
