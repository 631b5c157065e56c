//! Live Tail sessions, with a clock that is driven.

use wire::answer::Event;
use wire::value::Value;

use super::*;

async fn session(logs: &Logs, input: api::StartLiveTailRequest) -> wire::answer::Events {
    logs.start_live_tail(&context(), input).await.unwrap().into_answer().events.unwrap()
}

fn asked() -> api::StartLiveTailRequest {
    api::StartLiveTailRequest { log_group_identifiers: vec![GROUP.into()], ..Default::default() }
}

/// An event's name and how many results it has.
fn told(event: &Event) -> (&'static str, usize) {
    let results = match &event.content {
        Value::Structure(update) => match update.get(1) {
            Some(Value::List(results)) => results.len(),
            _ => 0,
        },
        _ => 0,
    };
    (event.name, results)
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_three_hours_of_an_update_a_second() {
    let logs = logs().await;
    let mut events = session(&logs, asked()).await;
    assert_eq!(told(&events.next().await.unwrap()), ("sessionStart", 0));
    let mut updates = 0;
    let last = loop {
        let event = events.next().await.unwrap();
        match told(&event) {
            ("sessionUpdate", 0) => updates += 1,
            _ => break event,
        }
    };
    assert_eq!((last.name, last.is_exception), ("SessionTimeoutException", true));
    assert_eq!(updates, 3 * 60 * 60 - 1);
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn events_wait_a_moment_for_each_other_and_no_longer() {
    let logs = logs().await;
    let mut events = session(&logs, asked()).await;
    events.next().await.unwrap();
    let put = |count: usize| {
        let event = |_| api::InputLogEvent { timestamp: EPOCH + 60_000, message: "m".into() };
        api::PutLogEventsRequest {
            log_group_name: GROUP.into(),
            log_stream_name: STREAM.into(),
            log_events: (0..count).map(event).collect(),
            sequence_token: None,
            entity: None,
        }
    };
    logs.put_log_events(&context(), put(1)).await.unwrap();
    logs.put_log_events(&context(), put(700)).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(told(&events.next().await.unwrap()), ("sessionUpdate", 500));
    assert_eq!(began.elapsed().as_millis(), 0, "a full update waits for nothing");
    assert_eq!(told(&events.next().await.unwrap()), ("sessionUpdate", 201));
    assert!(began.elapsed().as_millis() < 20);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_counted_for_each_account_while_they_last() {
    let logs = logs().await;
    let mut sessions = Vec::new();
    for _ in 0..15 {
        sessions.push(session(&logs, asked()).await);
    }
    let refusal = logs.start_live_tail(&context(), asked()).await.unwrap_err();
    assert_eq!(refusal.code, "LimitExceededException");
    let mut other = context();
    other.scope.region = "eu-west-1".parse().unwrap();
    let elsewhere = logs.start_live_tail(&other, asked()).await.unwrap_err();
    assert_eq!(elsewhere.code, "ResourceNotFoundException");
    sessions.pop();
    session(&logs, asked()).await;
}
