//! Everything of one invocation: what its environment wrote between the lines that frame it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::history::{self, Selection};
use super::source::Source;
use crate::cli::client::Api;
use crate::cli::client::logs::{Event, Filter};

/// How long before an invocation's first line its environment may have begun to start, in milliseconds.
const INIT_MILLIS: i64 = 60_000;
/// What the platform says after the report of an invocation.
const TIMED_OUT: &str = " Task timed out after ";

/// The lines of one invocation, with their sources' numbers; those of its retries follow.
pub async fn read(
    api: &Api,
    sources: &[(usize, &Source, i64)],
    until: Option<i64>,
    id: &str,
) -> Result<Vec<(usize, Event)>> {
    if id.contains('"') || id.is_empty() {
        bail!("--request-id {id}: this is no request id");
    }
    let mentions = Selection { pattern: Some(format!("\"{id}\"")), stream: None, until };
    let mut streams: BTreeMap<(usize, String), (i64, i64)> = BTreeMap::new();
    history::read(api, sources, &mentions, |number, event| {
        let at = event.timestamp;
        let extent = streams.entry((number, event.log_stream_name.clone())).or_insert((at, at));
        *extent = (extent.0.min(at), extent.1.max(at));
        Ok(())
    })
    .await?;
    let mut lines = Vec::new();
    for ((number, stream), (first, last)) in streams {
        let Some((_, source, _)) = sources.iter().find(|(known, ..)| *known == number) else { continue };
        let mut events = Vec::new();
        let mut filter = Filter {
            log_group_name: &source.group,
            log_stream_names: Some([&stream]),
            start_time: Some((first - INIT_MILLIS).max(0)),
            end_time: Some(last),
            ..Filter::default()
        };
        loop {
            let page = api.filter_log_events(&filter).await?;
            events.extend(page.events);
            filter.next_token = page.next_token;
            if filter.next_token.is_none() {
                break;
            }
        }
        lines.extend(of_request(events, id).into_iter().map(|event| (number, event)));
    }
    // Streams are whole; between them, the one that begins first is first.
    Ok(lines)
}

/// The events of one stream that belong to the invocation `id`.
///
/// An environment runs one invocation at a time: its own lines need not name it. What comes before the first
/// line that names it, and after the end of the invocation before, is its init.
fn of_request(events: Vec<Event>, id: &str) -> Vec<Event> {
    let mut mine = Vec::new();
    let mut before = Vec::new();
    let (mut inside, mut ended) = (false, false);
    for event in events {
        let (begins, ends) = (frames(&event, "START", "start"), frames(&event, "REPORT", "report"));
        if event.message.contains(id) {
            ended = !begins && (ended || ends);
            inside = !ended;
            mine.append(&mut before);
            mine.push(event);
        } else if begins || ends || event.message.contains(TIMED_OUT) {
            before.clear();
            inside = false;
        } else if inside {
            mine.push(event);
        } else {
            before.push(event);
        }
    }
    mine
}

fn frames(event: &Event, text: &str, json: &str) -> bool {
    let message = event.message.trim_start();
    message.strip_prefix(text).is_some_and(|rest| rest.starts_with(" RequestId: "))
        || message.starts_with('{') && message.contains(&format!("\"platform.{json}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, stream: &[&str], mine: &[&str]) {
        let event = |message: &&str| -> Event {
            serde_json::from_value(serde_json::json!({ "message": message })).unwrap()
        };
        let found = of_request(stream.iter().map(event).collect(), id);
        let found: Vec<&str> = found.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(found, mine);
    }

    const STREAM: &[&str] = &[
        "INIT_START Runtime Version: python:3.13",
        "imported",
        "START RequestId: one Version: $LATEST",
        "said by one",
        "END RequestId: one",
        "REPORT RequestId: one\tDuration: 1 ms",
        "START RequestId: two Version: $LATEST",
        "said by two",
        "REPORT RequestId: two\tDuration: 1 ms",
        "2026 two Task timed out after 1.00 seconds",
        "INIT_START again",
        "START RequestId: three Version: $LATEST",
        "said by three",
    ];

    #[test]
    fn an_invocation_has_its_init_and_its_own_lines() {
        check("one", STREAM, &STREAM[..6]);
        check("two", STREAM, &STREAM[6..10]);
    }

    #[test]
    fn one_that_still_runs_has_what_it_said_so_far() {
        check("three", STREAM, &STREAM[10..]);
    }

    #[test]
    fn json_lines_frame_as_well() {
        let stream = [
            r#"{"type":"platform.start","record":{"requestId":"one"}}"#,
            "a",
            r#"{"type":"platform.report","record":{"requestId":"one"}}"#,
            r#"{"type":"platform.start","record":{"requestId":"two"}}"#,
            "b",
        ];
        check("one", &stream, &stream[..3]);
        check("two", &stream, &stream[3..]);
    }
}
