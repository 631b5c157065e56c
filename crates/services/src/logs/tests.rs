//! The Logs API over the store in memory.

use std::sync::Arc;

use access::Principal;
use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use base::random::Dice;
use expect_test::expect;
use record::LogEvent;
use store::memory::MemoryStore;
use wire::logs::Logs as _;

use super::*;

mod live;

/// 1 January 2026.
const EPOCH: i64 = 1_767_225_600_000;

const GROUP: &str = "/aws/lambda/f";
const STREAM: &str = "2026/01/01/[$LATEST]00";

fn context() -> Context {
    let scope = Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    Context {
        principal: Principal::Account(scope.account.clone()),
        scope,
        request_id: RequestId::fresh(&Dice::seeded(1)),
        host: "127.0.0.1:4566".into(),
        trace: None,
    }
}

/// Logs with a line at each of the first five milliseconds.
async fn logs() -> Logs {
    let clock = Clock::starting_at(Timestamp::from_millis(EPOCH + 60_000));
    let logs = record::Logs::open(Arc::new(MemoryStore::new(clock)), clock, Dice::seeded(1)).await.unwrap();
    let lines = (0..5).map(|n| LogEvent {
        timestamp: Timestamp::from_millis(EPOCH + n),
        message: format!("line {n}\n").into(),
    });
    logs.writer(&context().scope, GROUP, STREAM).write(lines.collect()).await.unwrap();
    Logs::new(logs, clock, Dice::seeded(1))
}

fn get() -> api::GetLogEventsRequest {
    api::GetLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        log_stream_name: STREAM.into(),
        ..api::GetLogEventsRequest::default()
    }
}

fn filter() -> api::FilterLogEventsRequest {
    api::FilterLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        ..api::FilterLogEventsRequest::default()
    }
}

async fn filtered(logs: &Logs, input: api::FilterLogEventsRequest) -> String {
    let page = logs.filter_log_events(&context(), input).await.unwrap().output;
    let messages = page.events.into_iter().flatten().filter_map(|event| event.message);
    messages.map(|message| message.trim_start_matches("line ").replace('\n', " ")).collect()
}

async fn refusal(logs: &Logs, input: api::FilterLogEventsRequest) -> String {
    logs.filter_log_events(&context(), input).await.unwrap_err().to_string()
}

#[tokio::test]
async fn groups_and_streams_look_as_on_aws() {
    let logs = logs().await;
    let groups =
        logs.describe_log_groups(&context(), api::DescribeLogGroupsRequest::default()).await.unwrap();
    let mut groups = groups.output.log_groups.unwrap();
    groups.iter_mut().for_each(|group| group.creation_time = group.creation_time.map(|time| time / 60_000));
    expect![[r#"
        [
            LogGroup {
                log_group_name: Some(
                    "/aws/lambda/f",
                ),
                creation_time: Some(
                    29453761,
                ),
                retention_in_days: None,
                metric_filter_count: Some(
                    0,
                ),
                arn: Some(
                    "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:*",
                ),
                stored_bytes: Some(
                    165,
                ),
                kms_key_id: None,
                data_protection_status: None,
                inherited_properties: None,
                log_group_class: Some(
                    Standard,
                ),
                log_group_arn: Some(
                    "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f",
                ),
                deletion_protection_enabled: None,
                bearer_token_authentication_enabled: None,
                retention_policy_name: None,
            },
        ]
    "#]]
    .assert_debug_eq(&groups);
    let input = api::DescribeLogStreamsRequest {
        log_group_identifier: Some("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:*".into()),
        order_by: Some(api::OrderBy::LastEventTime),
        ..api::DescribeLogStreamsRequest::default()
    };
    let streams = logs.describe_log_streams(&context(), input).await.unwrap().output.log_streams.unwrap();
    let [stream] = &streams[..] else { panic!("one stream") };
    assert_eq!(
        (stream.first_event_timestamp, stream.last_event_timestamp, stream.stored_bytes),
        (Some(EPOCH), Some(EPOCH + 4), Some(0))
    );
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:log-stream:2026/01/01/[$LATEST]00";
    assert_eq!(stream.arn.as_deref(), Some(arn));
}

#[tokio::test]
async fn a_pattern_finds_groups_briefly_and_other_classes_find_none() {
    let logs = logs().await;
    let asked = |input| async {
        logs.describe_log_groups(&context(), input).await.unwrap().output.log_groups.unwrap()
    };
    let pattern = |text: &str| api::DescribeLogGroupsRequest {
        log_group_name_pattern: Some(text.into()),
        ..api::DescribeLogGroupsRequest::default()
    };
    let groups = asked(pattern("lambda")).await;
    assert_eq!((groups.len(), groups[0].stored_bytes), (1, None));
    assert_eq!(asked(pattern("Lambda")).await, []);
    let class = Some(api::LogGroupClass::InfrequentAccess);
    assert_eq!(asked(api::DescribeLogGroupsRequest { log_group_class: class, ..pattern("") }).await, []);
    let identifiers = Some(vec!["other".to_owned(), GROUP.to_owned()]);
    let these = api::DescribeLogGroupsRequest {
        log_group_identifiers: identifiers,
        ..api::DescribeLogGroupsRequest::default()
    };
    assert_eq!(asked(these).await.len(), 1);
}

#[tokio::test]
async fn events_come_with_tokens_and_times() {
    let logs = logs().await;
    let page =
        logs.get_log_events(&context(), api::GetLogEventsRequest { limit: Some(2), ..get() }).await.unwrap();
    let events = page.output.events.unwrap();
    assert_eq!(events.iter().filter_map(|event| event.timestamp).collect::<Vec<_>>(), [EPOCH + 3, EPOCH + 4]);
    assert_eq!(events[0].message.as_deref(), Some("line 3\n"));
    assert!(events[0].ingestion_time >= Some(EPOCH + 60_000));
    let (forward, backward) =
        (page.output.next_forward_token.unwrap(), page.output.next_backward_token.unwrap());
    assert!(forward.starts_with("f/") && backward.starts_with("b/"), "{forward} {backward}");
    let next = api::GetLogEventsRequest { next_token: Some(backward), ..get() };
    assert_eq!(logs.get_log_events(&context(), next).await.unwrap().output.events.unwrap().len(), 3);
    let next = api::GetLogEventsRequest { next_token: Some(forward.clone()), ..get() };
    let end = logs.get_log_events(&context(), next).await.unwrap().output;
    assert_eq!((end.events, end.next_forward_token), (Some(Vec::new()), Some(forward)));
}

#[tokio::test]
async fn the_end_of_a_range_belongs_to_it_in_one_operation_only() {
    let logs = logs().await;
    let (start_time, end_time) = (Some(EPOCH + 1), Some(EPOCH + 3));
    let input = api::GetLogEventsRequest { start_time, end_time, ..get() };
    assert_eq!(logs.get_log_events(&context(), input).await.unwrap().output.events.unwrap().len(), 2);
    let input = api::FilterLogEventsRequest { start_time, end_time, ..filter() };
    assert_eq!(filtered(&logs, input.clone()).await, "1 2 3 ");
    let latest_first = api::FilterLogEventsRequest { start_from_head: Some(false), limit: Some(2), ..input };
    assert_eq!(filtered(&logs, latest_first).await, "3 2 ");
}

#[tokio::test]
async fn filters_choose_streams_by_name_or_prefix() {
    let logs = logs().await;
    let names =
        |name: &str| api::FilterLogEventsRequest { log_stream_names: Some(vec![name.into()]), ..filter() };
    let prefix =
        |text: &str| api::FilterLogEventsRequest { log_stream_name_prefix: Some(text.into()), ..filter() };
    assert_eq!(filtered(&logs, names(STREAM)).await, "0 1 2 3 4 ");
    assert_eq!(filtered(&logs, prefix("2026/")).await, "0 1 2 3 4 ");
    assert_eq!(filtered(&logs, prefix("2025/")).await, "");
    let blank = api::FilterLogEventsRequest { filter_pattern: Some(" ".into()), ..filter() };
    assert_eq!(filtered(&logs, blank).await, "0 1 2 3 4 ");
}

#[tokio::test]
async fn refusals_read_as_on_aws() {
    let logs = logs().await;
    let identifier = |text: &str| api::FilterLogEventsRequest {
        log_group_name: None,
        log_group_identifier: Some(text.into()),
        ..filter()
    };
    let mut refusals = Vec::new();
    for input in [
        api::FilterLogEventsRequest { log_group_name: Some("none".into()), ..filter() },
        identifier("arn:aws:logs:us-east-1:111111111111:log-group:/aws/lambda/f"),
        identifier("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:log-stream:x"),
        api::FilterLogEventsRequest { log_group_identifier: Some(GROUP.into()), ..filter() },
        api::FilterLogEventsRequest { log_group_name: None, ..filter() },
        api::FilterLogEventsRequest { log_stream_names: Some(vec!["none".into()]), ..filter() },
        api::FilterLogEventsRequest { next_token: Some("x".into()), ..filter() },
        api::FilterLogEventsRequest { filter_pattern: Some("{ $.a = 1".into()), ..filter() },
        api::FilterLogEventsRequest { start_from_head: Some(false), start_time: Some(1), ..filter() },
    ] {
        refusals.push(refusal(&logs, input).await);
    }
    expect![[r#"
        ResourceNotFoundException: The specified log group does not exist.
        ResourceNotFoundException: The specified log group does not exist.
        ResourceNotFoundException: The specified log group does not exist.
        InvalidParameterException: You must include either logGroupIdentifier or logGroupName, but not both.
        InvalidParameterException: You must include either logGroupIdentifier or logGroupName.
        ResourceNotFoundException: The specified log stream does not exist.
        InvalidParameterException: The specified nextToken is invalid.
        InvalidParameterException: If a filter pattern starts with '{' it must end with '}'
        InvalidParameterException: startFromHead can be false only when startTime is on or after Jan 1, 2024 00:00:00 UTC."#]]
    .assert_eq(&refusals.join("\n"));
}
