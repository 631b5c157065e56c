//! CloudWatch Logs: reading what functions wrote.

use base::arn::Scope;
use base::clock::Timestamp;
use base::limits::LOG_PAGE_EVENTS;
use record::logs::{
    EventQuery, FoundEvent, GroupQuery, LogError, LogGroup, LogStream, Named, StreamEvents, StreamOrder,
    StreamQuery, Streams,
};
use wire::answer::Answer;
use wire::error::ServiceError;
use wire::logs as api;
use wire::logs::exception;

use crate::Context;

/// Groups or streams on a page, unless fewer are asked for. Source: CloudWatch Logs API reference.
const PAGE: usize = 50;

/// The earliest start of a listing that begins with the latest events: 1 January 2024. Source: service model.
const LATEST_FIRST_SINCE: i64 = 1_704_067_200_000;

/// The CloudWatch Logs API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    logs: record::Logs,
}

impl Logs {
    /// The API over these logs.
    pub const fn new(logs: record::Logs) -> Self {
        Self { logs }
    }

    async fn groups(
        &self,
        scope: &Scope,
        input: &api::DescribeLogGroupsRequest,
    ) -> Result<api::DescribeLogGroupsResponse, ServiceError> {
        if input.log_group_class.is_some_and(|class| class != api::LogGroupClass::Standard) {
            return Ok(api::DescribeLogGroupsResponse { log_groups: Some(Vec::new()), next_token: None });
        }
        let named =
            match (&input.log_group_name_prefix, &input.log_group_name_pattern, &input.log_group_identifiers)
            {
                (None, None, None) => Named::All,
                (Some(prefix), None, None) => Named::Prefix(prefix.clone()),
                (None, Some(pattern), None) => Named::Containing(pattern.clone()),
                (None, None, Some(identifiers)) => {
                    let names = identifiers.iter().filter_map(|identifier| group_in(scope, identifier));
                    Named::These(names.map(Into::into).collect())
                }
                (Some(_), Some(_), _) => {
                    return Err(invalid(
                        "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
                    ));
                }
                (_, _, Some(_)) => {
                    return Err(invalid(
                        "logGroupIdentifiers cannot be combined with a log group name prefix or pattern.",
                    ));
                }
            };
        let brief = matches!(named, Named::Containing(_));
        let query = GroupQuery { named, limit: limit(input.limit, PAGE), token: input.next_token.as_deref() };
        let page = self.logs.describe_groups(scope, &query).await.map_err(refused)?;
        let groups = page.items.into_iter().map(|group| shown_group(scope, &group, brief));
        Ok(api::DescribeLogGroupsResponse { log_groups: Some(groups.collect()), next_token: page.next })
    }

    async fn streams(
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
        let streams = page.items.into_iter().map(|stream| shown_stream(scope, group, &stream));
        Ok(api::DescribeLogStreamsResponse { log_streams: Some(streams.collect()), next_token: page.next })
    }

    async fn events(
        &self,
        scope: &Scope,
        input: &api::GetLogEventsRequest,
    ) -> Result<api::GetLogEventsResponse, ServiceError> {
        let group = group_of(scope, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        let query = StreamEvents {
            from: input.start_time.map(Timestamp::from_millis),
            until: input.end_time.map(Timestamp::from_millis),
            limit: limit(input.limit, LOG_PAGE_EVENTS),
            from_head: input.start_from_head.unwrap_or(false),
            token: input.next_token.as_deref(),
        };
        let page =
            self.logs.get_events(scope, group, &input.log_stream_name, &query).await.map_err(refused)?;
        let event = |event: FoundEvent| api::OutputLogEvent {
            timestamp: Some(event.timestamp.as_millis()),
            message: Some(text(&event)),
            ingestion_time: Some(event.ingested.as_millis()),
        };
        Ok(api::GetLogEventsResponse {
            events: Some(page.events.into_iter().map(event).collect()),
            next_forward_token: Some(page.forward),
            next_backward_token: Some(page.backward),
        })
    }

    async fn filter(
        &self,
        scope: &Scope,
        input: api::FilterLogEventsRequest,
    ) -> Result<api::FilterLogEventsResponse, ServiceError> {
        let group = group_of(scope, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        if input.filter_pattern.is_some_and(|pattern| !pattern.trim().is_empty()) {
            return Err(invalid("Samovar does not implement filter patterns; leave filterPattern empty."));
        }
        let latest_first = input.start_from_head == Some(false);
        if latest_first && input.start_time.is_some_and(|start| start < LATEST_FIRST_SINCE) {
            return Err(invalid(
                "startFromHead can be false only when startTime is on or after Jan 1, 2024 00:00:00 UTC.",
            ));
        }
        let streams = match (input.log_stream_names, input.log_stream_name_prefix) {
            (None, None) => Streams::All,
            (Some(names), None) => Streams::Named(names),
            (None, Some(prefix)) => Streams::Prefixed(prefix),
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.",
                ));
            }
        };
        let query = EventQuery {
            streams,
            from: input.start_time.map(Timestamp::from_millis),
            // Here, unlike in GetLogEvents, the end belongs to the range.
            until: input.end_time.map(|end| Timestamp::from_millis(end.saturating_add(1))),
            limit: limit(input.limit, LOG_PAGE_EVENTS),
            latest_first,
            token: input.next_token.as_deref(),
        };
        let page = self.logs.filter_events(scope, group, &query).await.map_err(refused)?;
        let event = |event: FoundEvent| api::FilteredLogEvent {
            log_stream_name: Some(event.stream.as_ref().into()),
            timestamp: Some(event.timestamp.as_millis()),
            message: Some(text(&event)),
            ingestion_time: Some(event.ingested.as_millis()),
            event_id: Some(event.id),
        };
        Ok(api::FilterLogEventsResponse {
            events: Some(page.events.into_iter().map(event).collect()),
            searched_log_streams: Some(Vec::new()),
            next_token: page.next,
        })
    }
}

impl api::Logs for Logs {
    type Context = Context;

    async fn describe_log_groups(
        &self,
        context: &Context,
        input: api::DescribeLogGroupsRequest,
    ) -> Result<Answer<api::DescribeLogGroupsResponse>, ServiceError> {
        Ok(self.groups(&context.scope, &input).await?.into())
    }

    async fn describe_log_streams(
        &self,
        context: &Context,
        input: api::DescribeLogStreamsRequest,
    ) -> Result<Answer<api::DescribeLogStreamsResponse>, ServiceError> {
        Ok(self.streams(&context.scope, &input).await?.into())
    }

    async fn filter_log_events(
        &self,
        context: &Context,
        input: api::FilterLogEventsRequest,
    ) -> Result<Answer<api::FilterLogEventsResponse>, ServiceError> {
        Ok(self.filter(&context.scope, input).await?.into())
    }

    async fn get_log_events(
        &self,
        context: &Context,
        input: api::GetLogEventsRequest,
    ) -> Result<Answer<api::GetLogEventsResponse>, ServiceError> {
        Ok(self.events(&context.scope, &input).await?.into())
    }
}

/// The group that a request names, in one of two ways.
fn group_of<'a>(
    scope: &Scope,
    name: Option<&'a str>,
    identifier: Option<&'a str>,
) -> Result<&'a str, ServiceError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => group_in(scope, identifier).ok_or_else(no_group),
        (None, None) => Err(invalid("You must include either logGroupIdentifier or logGroupName.")),
        (Some(_), Some(_)) => {
            Err(invalid("You must include either logGroupIdentifier or logGroupName, but not both."))
        }
    }
}

/// The group that an identifier names: a name, or `arn:aws:logs:<region>:<account>:log-group:<name>[:*]`.
///
/// `None` when it is not one of this account and region.
fn group_in<'a>(scope: &Scope, identifier: &'a str) -> Option<&'a str> {
    if !identifier.starts_with("arn:") {
        return Some(identifier);
    }
    let mut parts = identifier.split(':');
    let (_, _partition) = (parts.next()?, parts.next()?);
    let (service, region, account, kind, name) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mine = region == scope.region.as_str() && account == scope.account.as_str();
    let whole = parts.next().is_none_or(|rest| rest == "*") && parts.next().is_none();
    (mine && whole && service == "logs" && kind == "log-group").then_some(name)
}

/// `brief` as answers to a name pattern are: without what else is known.
fn shown_group(scope: &Scope, group: &LogGroup, brief: bool) -> api::LogGroup {
    let arn = group_arn(scope, &group.name);
    let shown = api::LogGroup {
        log_group_name: Some(group.name.as_ref().into()),
        creation_time: Some(group.created.as_millis()),
        arn: Some(format!("{arn}:*")),
        ..api::LogGroup::default()
    };
    if brief {
        return shown;
    }
    api::LogGroup {
        metric_filter_count: Some(0),
        stored_bytes: Some(i64::try_from(group.stored_bytes).unwrap_or(i64::MAX)),
        log_group_class: Some(api::LogGroupClass::Standard),
        log_group_arn: Some(arn),
        ..shown
    }
}

fn shown_stream(scope: &Scope, group: &str, stream: &LogStream) -> api::LogStream {
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

fn group_arn(scope: &Scope, name: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{name}", scope.region, scope.account)
}

/// Bytes that are not UTF-8 become replacement characters.
fn text(event: &FoundEvent) -> String {
    String::from_utf8_lossy(&event.message).into_owned()
}

/// Validation has seen to the range.
fn limit(asked: Option<i32>, default: usize) -> usize {
    asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(default)
}

fn invalid(message: &str) -> ServiceError {
    exception::INVALID_PARAMETER.with(message)
}

fn no_group() -> ServiceError {
    exception::RESOURCE_NOT_FOUND.with("The specified log group does not exist.")
}

/// What AWS says. Source of the texts: recorded answers.
fn refused(error: LogError) -> ServiceError {
    match error {
        LogError::NoGroup(_) => no_group(),
        LogError::NoStream(_) => {
            exception::RESOURCE_NOT_FOUND.with("The specified log stream does not exist.")
        }
        LogError::GroupExists(_) => {
            exception::RESOURCE_ALREADY_EXISTS.with("The specified log group already exists")
        }
        LogError::InvalidToken => invalid("The specified nextToken is invalid."),
        LogError::Store(error) => {
            tracing::error!(?error, "logs are not read");
            exception::SERVICE_UNAVAILABLE.with("The service cannot complete the request.")
        }
    }
}

#[cfg(test)]
mod tests;
