//! CloudWatch Logs: what functions wrote, and what others write beside it. One module a family of operations.

mod errors;
mod groups;
mod names;
mod put;
mod queries;
mod read;
mod streams;
mod tags;
mod tail;

use base::clock::Clock;
use base::random::Dice;
use record::logs::FoundEvent;
use wire::answer::{Answer, Streaming};
use wire::error::ServiceError;
use wire::logs as api;

use crate::Context;

/// Groups or streams on a page, unless fewer are asked for. Source: CloudWatch Logs API reference.
const PAGE: usize = 50;

/// The CloudWatch Logs API. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Logs {
    logs: record::Logs,
    clock: Clock,
    dice: Dice,
    sessions: tail::Sessions,
    queries: queries::Queries,
}

type Told<T> = Result<Answer<T>, ServiceError>;

impl Logs {
    /// The API over these logs.
    pub fn new(logs: record::Logs, clock: Clock, dice: Dice) -> Self {
        Self { logs, clock, dice, sessions: tail::Sessions::default(), queries: queries::Queries::default() }
    }
}

impl api::Logs for Logs {
    type Context = Context;

    async fn associate_kms_key(&self, context: &Context, input: api::AssociateKmsKeyRequest) -> Told<()> {
        Ok(self.associate_key(&context.scope, input).await?.into())
    }

    async fn create_log_group(&self, context: &Context, input: api::CreateLogGroupRequest) -> Told<()> {
        Ok(self.create_group(&context.scope, input).await?.into())
    }

    async fn create_log_stream(&self, context: &Context, input: api::CreateLogStreamRequest) -> Told<()> {
        Ok(self.make_stream(&context.scope, &input).await?.into())
    }

    async fn delete_log_group(&self, context: &Context, input: api::DeleteLogGroupRequest) -> Told<()> {
        Ok(self.delete_group(&context.scope, &input).await?.into())
    }

    async fn delete_log_stream(&self, context: &Context, input: api::DeleteLogStreamRequest) -> Told<()> {
        Ok(self.remove_stream(&context.scope, &input).await?.into())
    }

    async fn delete_retention_policy(
        &self,
        context: &Context,
        input: api::DeleteRetentionPolicyRequest,
    ) -> Told<()> {
        Ok(self.delete_retention(&context.scope, &input).await?.into())
    }

    async fn describe_log_groups(
        &self,
        context: &Context,
        input: api::DescribeLogGroupsRequest,
    ) -> Told<api::DescribeLogGroupsResponse> {
        Ok(self.groups(&context.scope, &input).await?.into())
    }

    async fn describe_log_streams(
        &self,
        context: &Context,
        input: api::DescribeLogStreamsRequest,
    ) -> Told<api::DescribeLogStreamsResponse> {
        Ok(self.streams(&context.scope, &input).await?.into())
    }

    async fn describe_queries(
        &self,
        context: &Context,
        input: api::DescribeQueriesRequest,
    ) -> Told<api::DescribeQueriesResponse> {
        Ok(self.queries_described(context, input).await?.into())
    }

    async fn disassociate_kms_key(
        &self,
        context: &Context,
        input: api::DisassociateKmsKeyRequest,
    ) -> Told<()> {
        Ok(self.disassociate_key(&context.scope, &input).await?.into())
    }

    async fn filter_log_events(
        &self,
        context: &Context,
        input: api::FilterLogEventsRequest,
    ) -> Told<api::FilterLogEventsResponse> {
        Ok(self.filter(&context.scope, input).await?.into())
    }

    async fn get_log_events(
        &self,
        context: &Context,
        input: api::GetLogEventsRequest,
    ) -> Told<api::GetLogEventsResponse> {
        Ok(self.events(&context.scope, &input).await?.into())
    }

    async fn get_query_results(
        &self,
        context: &Context,
        input: api::GetQueryResultsRequest,
    ) -> Told<api::GetQueryResultsResponse> {
        Ok(self.query_results(context, input).await?.into())
    }

    async fn list_tags_for_resource(
        &self,
        context: &Context,
        input: api::ListTagsForResourceRequest,
    ) -> Told<api::ListTagsForResourceResponse> {
        Ok(self.tags_of_resource(&context.scope, &input)?.into())
    }

    async fn list_tags_log_group(
        &self,
        context: &Context,
        input: api::ListTagsLogGroupRequest,
    ) -> Told<api::ListTagsLogGroupResponse> {
        Ok(self.tags_of_group(&context.scope, &input)?.into())
    }

    async fn put_log_events(
        &self,
        context: &Context,
        input: api::PutLogEventsRequest,
    ) -> Told<api::PutLogEventsResponse> {
        Ok(self.put(&context.scope, input).await?.into())
    }

    async fn put_retention_policy(
        &self,
        context: &Context,
        input: api::PutRetentionPolicyRequest,
    ) -> Told<()> {
        Ok(self.put_retention(&context.scope, &input).await?.into())
    }

    async fn start_live_tail(
        &self,
        context: &Context,
        input: api::StartLiveTailRequest,
    ) -> Result<Streaming<api::StartLiveTailResponse, api::StartLiveTailResponseStream>, ServiceError> {
        self.live_tail(context, input)
    }

    async fn start_query(
        &self,
        context: &Context,
        input: api::StartQueryRequest,
    ) -> Told<api::StartQueryResponse> {
        Ok(self.begin_query(context, input).await?.into())
    }

    async fn stop_query(
        &self,
        context: &Context,
        input: api::StopQueryRequest,
    ) -> Told<api::StopQueryResponse> {
        Ok(self.end_query(context, input).await?.into())
    }

    async fn tag_log_group(&self, context: &Context, input: api::TagLogGroupRequest) -> Told<()> {
        Ok(self.tag_group(&context.scope, input).await?.into())
    }

    async fn tag_resource(&self, context: &Context, input: api::TagResourceRequest) -> Told<()> {
        Ok(self.label_resource(&context.scope, input).await?.into())
    }

    async fn untag_log_group(&self, context: &Context, input: api::UntagLogGroupRequest) -> Told<()> {
        Ok(self.untag_group(&context.scope, &input).await?.into())
    }

    async fn untag_resource(&self, context: &Context, input: api::UntagResourceRequest) -> Told<()> {
        Ok(self.unlabel_resource(&context.scope, &input).await?.into())
    }
}

/// Bytes that are not UTF-8 become replacement characters.
fn text(event: &FoundEvent) -> String {
    String::from_utf8_lossy(&event.message).into_owned()
}

/// Validation has seen to the range.
fn limit(asked: Option<i32>, default: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests;
