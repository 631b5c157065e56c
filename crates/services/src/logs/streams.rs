//! Log streams: made, listed, removed.

use base::arn::Scope;
use base::clock::Timestamp;
use record::logs::{LogStream, StreamOrder, StreamQuery};
use wire::error::ServiceError;
use wire::logs as api;

use super::errors::{invalid, refused};
use super::names::{group_arn, group_of};
use super::{Logs, PAGE, limit};

impl Logs {
    pub(super) async fn make_stream(
        &self,
        scope: &Scope,
        input: &api::CreateLogStreamRequest,
    ) -> Result<(), ServiceError> {
        self.logs.create_stream(scope, &input.log_group_name, &input.log_stream_name).await.map_err(refused)
    }

    pub(super) async fn remove_stream(
        &self,
        scope: &Scope,
        input: &api::DeleteLogStreamRequest,
    ) -> Result<(), ServiceError> {
        self.logs.delete_stream(scope, &input.log_group_name, &input.log_stream_name).await.map_err(refused)
    }

    pub(super) async fn streams(
        &self,
        scope: &Scope,
        input: &api::DescribeLogStreamsRequest,
    ) -> Result<api::DescribeLogStreamsResponse, ServiceError> {
        let group = group_of(scope, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let order = match input.order_by {
            None | Some(api::OrderBy::LogStreamName) => StreamOrder::Name,
            Some(api::OrderBy::LastEventTime) => StreamOrder::LastEvent,
        };
        if order == StreamOrder::LastEvent && input.log_stream_name_prefix.is_some() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let query = StreamQuery {
            prefix: input.log_stream_name_prefix.as_deref().unwrap_or_default(),
            order,
            descending: input.descending.unwrap_or(false),
            limit: limit(input.limit, PAGE),
            token: input.next_token.as_deref(),
        };
        let page = self.logs.describe_streams(scope, group, &query).await.map_err(refused)?;
        let streams = page.items.into_iter().map(|stream| shown(scope, group, &stream));
        Ok(api::DescribeLogStreamsResponse { log_streams: Some(streams.collect()), next_token: page.next })
    }
}

fn shown(scope: &Scope, group: &str, stream: &LogStream) -> api::LogStream {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millis);
    api::LogStream {
        log_stream_name: Some(stream.name.as_ref().into()),
        creation_time: Some(stream.created.as_millis()),
        first_event_timestamp: millis(stream.first_event),
        last_event_timestamp: millis(stream.last_event),
        last_ingestion_time: millis(stream.last_ingestion),
        upload_sequence_token: None,
        arn: Some(format!("{}:log-stream:{}", group_arn(scope, group), stream.name)),
        // CloudWatch reports zero for streams since 2019.
        stored_bytes: Some(0),
    }
}
