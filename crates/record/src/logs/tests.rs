//! The logs over the store in memory.

use std::sync::Arc;
use std::time::Duration;

use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::limits::{LOG_CHECKPOINT_BYTES, LOG_PAGE_BLOCKS, LOG_WRITER_BYTES};
use base::random::Dice;
use bytes::Bytes;
use store::memory::MemoryStore;
use store::{Key, LogName, Store};

use super::*;

mod flaky;
mod keeping;
mod putting;

use flaky::Flaky;

/// What a millisecond of the tests counts from.
const EPOCH: i64 = 1_700_000_000_000;

/// When the tests' clock starts: after everything they write.
const NOW: i64 = EPOCH + 1_000_000;

fn scope(account: &str) -> Scope {
    Scope { account: account.parse().unwrap(), region: "us-east-1".parse().unwrap() }
}

fn mine() -> Scope {
    scope("000000000000")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH + millis)
}

fn event(millis: i64, message: impl Into<Bytes>) -> LogEvent {
    LogEvent { timestamp: at(millis), message: message.into() }
}

struct World {
    store: Arc<Flaky>,
    clock: Clock,
    logs: Logs,
}

impl Logs {
    /// Waits until all that was written is in the logs.
    async fn settle(&self) {
        for group in self.shared.all() {
            group.settled().await;
        }
    }
}

impl World {
    async fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_millis(NOW));
        let store = Arc::new(Flaky::new(MemoryStore::new(clock)));
        let logs = Logs::open(store.clone(), clock, Dice::seeded(1)).await.unwrap();
        Self { store, clock, logs }
    }

    /// The same store after the process was killed.
    async fn restarted(&self) -> Self {
        let logs = Logs::open(self.store.clone(), self.clock, Dice::seeded(2)).await.unwrap();
        Self { store: self.store.clone(), clock: self.clock, logs }
    }

    async fn write(&self, stream: &str, events: Vec<LogEvent>) {
        self.logs.writer(&mine(), "g", stream).write(events).await.unwrap();
    }

    async fn page(&self, stream: &str, limit: usize, from_head: bool, token: Option<&str>) -> EventPage {
        let query = StreamEvents { limit, from_head, token, ..StreamEvents::default() };
        self.logs.get_events(&mine(), "g", stream, &query).await.unwrap()
    }

    async fn filter(&self, query: EventQuery<'_>) -> Events {
        self.logs.filter_events(&mine(), "g", &query).await.unwrap()
    }

    /// All pages of a filter, and how many there were.
    async fn filter_all(&self, streams: &Streams, limit: usize) -> (Vec<FoundEvent>, usize) {
        self.filter_pages(streams, limit, false).await
    }

    async fn filter_pages(
        &self,
        streams: &Streams,
        limit: usize,
        latest_first: bool,
    ) -> (Vec<FoundEvent>, usize) {
        let (mut events, mut pages, mut token) = (Vec::new(), 0, None::<String>);
        let mut latest_first = latest_first;
        loop {
            let (streams, token_in) = (streams.clone(), token.as_deref());
            let query = EventQuery { streams, limit, latest_first, token: token_in, ..EventQuery::default() };
            let page = self.filter(query).await;
            events.extend(page.events);
            pages += 1;
            match page.next {
                // The token alone keeps the order.
                Some(next) => (token, latest_first) = (Some(next), false),
                None => return (events, pages),
            }
        }
    }

    async fn streams(&self, query: &StreamQuery<'_>) -> Page<LogStream> {
        self.logs.describe_streams(&mine(), "g", query).await.unwrap()
    }
}

fn text(events: &[FoundEvent]) -> String {
    events
        .iter()
        .map(|event| String::from_utf8_lossy(&event.message).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn a_line_is_found_at_once_and_its_group_and_stream_with_it() {
    let world = World::new().await;
    world.write("s", vec![event(5, "hello\n")]).await;
    let page = world.page("s", 100, true, None).await;
    let found = &page.events[0];
    assert_eq!((&found.message[..], &*found.stream, found.timestamp), (b"hello\n".as_slice(), "s", at(5)));
    assert_eq!(found.id.to_string().len(), 56);
    assert!(found.ingested >= Timestamp::from_millis(NOW));
    let groups = world
        .logs
        .describe_groups(&mine(), &GroupQuery { limit: 50, ..GroupQuery::default() })
        .await
        .unwrap();
    assert_eq!((groups.items.len(), groups.items[0].stored_bytes), (1, 32));
    let streams = world.streams(&StreamQuery { limit: 50, ..StreamQuery::default() }).await;
    let [stream] = &streams.items[..] else { panic!("one stream") };
    assert_eq!((stream.first_event, stream.last_event), (Some(at(5)), Some(at(5))));
}

#[tokio::test]
async fn what_does_not_exist_is_told() {
    let world = World::new().await;
    world.write("s", vec![event(5, "x")]).await;
    let logs = &world.logs;
    let query = StreamEvents::default();
    let missing = logs.get_events(&mine(), "h", "s", &query).await;
    assert!(matches!(missing, Err(LogError::NoGroup(name)) if name == "h"));
    let missing = logs.get_events(&mine(), "g", "t", &query).await;
    assert!(matches!(missing, Err(LogError::NoStream(name)) if name == "t"));
    let missing = logs.get_events(&scope("111111111111"), "g", "s", &query).await;
    assert!(matches!(missing, Err(LogError::NoGroup(_))), "accounts see their own groups only");
    let other = logs.describe_groups(&scope("111111111111"), &GroupQuery::default()).await.unwrap();
    assert_eq!(other.items, []);
    assert!(matches!(
        logs.create_group(&mine(), "g", GroupSettings::default()).await,
        Err(LogError::GroupExists(_))
    ));
}

#[tokio::test]
async fn a_stream_reads_forward_and_back_and_ends_with_the_same_token() {
    let world = World::new().await;
    world.write("s", (1..=5).map(|n| event(n, n.to_string())).collect()).await;
    world.write("other", vec![event(2, "not mine")]).await;
    let first = world.page("s", 2, true, None).await;
    assert_eq!(text(&first.events), "1 2");
    let second = world.page("s", 2, true, Some(&first.forward)).await;
    assert_eq!(text(&second.events), "3 4");
    assert_eq!(text(&world.page("s", 2, true, Some(&second.backward)).await.events), "1 2");
    let third = world.page("s", 2, true, Some(&second.forward)).await;
    let end = world.page("s", 2, true, Some(&third.forward)).await;
    assert_eq!((text(&third.events), text(&end.events)), ("5".into(), String::new()));
    assert_eq!(end.forward, third.forward);
    assert_eq!(text(&world.page("s", 2, true, Some(&end.backward)).await.events), "4 5");

    let tail = world.page("s", 2, false, None).await;
    assert_eq!(text(&tail.events), "4 5");
    let start = world.page("s", 9, false, Some(&tail.backward)).await;
    assert_eq!(text(&start.events), "1 2 3");
    let before = world.page("s", 9, false, Some(&start.backward)).await;
    assert_eq!((text(&before.events), &before.backward), (String::new(), &start.backward));

    world.write("s", vec![event(6, "6")]).await;
    assert_eq!(text(&world.page("s", 9, false, Some(&tail.forward)).await.events), "6");
}

#[tokio::test]
async fn a_stream_without_events_in_range_gives_tokens_that_find_later_ones() {
    let world = World::new().await;
    world.write("s", vec![event(1, "1")]).await;
    let query = StreamEvents { from: Some(at(5)), until: Some(at(9)), limit: 9, ..StreamEvents::default() };
    let empty = world.logs.get_events(&mine(), "g", "s", &query).await.unwrap();
    assert_eq!(empty.events, []);
    world.write("s", vec![event(5, "5"), event(8, "8"), event(9, "9")]).await;
    let query = StreamEvents { token: Some(&empty.forward), ..query };
    assert_eq!(text(&world.logs.get_events(&mine(), "g", "s", &query).await.unwrap().events), "5 8");
}

#[tokio::test]
async fn a_function_cannot_write_into_the_past_of_its_stream_or_into_the_future() {
    let world = World::new().await;
    world
        .write(
            "s",
            vec![event(9, "a"), event(3, "b"), event(i64::MAX / 2000, "c"), event(4, ""), event(0, "d")],
        )
        .await;
    let events = world.page("s", 9, true, None).await.events;
    let times: Vec<_> = events.iter().map(|event| event.timestamp).collect();
    let late = times[2];
    assert_eq!((text(&events).as_str(), times), ("a b c d", vec![at(9), at(9), late, late]));
    assert!(late < Timestamp::from_millis(NOW + 60_000));
}

#[tokio::test]
async fn pages_of_a_group_are_exact_however_events_were_written() {
    let world = World::new().await;
    let dice = Dice::seeded(3);
    let below = |limit: u64| u64::from_le_bytes(dice.bytes()) % limit;
    let mut all = Vec::new();
    for number in 0..60 {
        // Each stream is in order, but many span the same time and come one after another.
        let stream = format!("s{:02}", number % 40);
        let start = below(900) as i64;
        let events: Vec<_> = (0..below(60))
            .map(|n| event(start + n as i64, format!("{number}/{n}-{}", "x".repeat(below(9000) as usize))))
            .collect();
        world.write(&stream, events).await;
    }
    let (found, _) = world.filter_all(&Streams::All, 10_000).await;
    for event in &found {
        all.push((event.timestamp, event.id));
    }
    assert!(all.is_sorted() && all.len() > 1000);
    for limit in [1000, 97] {
        let (again, pages) = world.filter_all(&Streams::All, limit).await;
        assert_eq!(again, found);
        let mut latest_first = world.filter_pages(&Streams::All, limit, true).await.0;
        latest_first.reverse();
        assert_eq!(latest_first, found);
        assert!(pages >= all.len() / limit);
    }
    for name in ["s00", "s17"] {
        let of_stream: Vec<_> = found.iter().filter(|event| &*event.stream == name).cloned().collect();
        assert_eq!(world.filter_all(&Streams::Named(vec![name.into()]), 7).await.0, of_stream);
        let (mut back, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = world.page(name, 5, false, token.as_deref()).await;
            if token.as_ref() == Some(&page.backward) {
                break;
            }
            back.splice(0..0, page.events);
            token = Some(page.backward);
        }
        assert_eq!(back, of_stream);
    }
    let prefixed = world.filter_all(&Streams::Prefixed("s1".into()), 10_000).await.0;
    assert_eq!(
        prefixed,
        found.iter().filter(|event| event.stream.starts_with("s1")).cloned().collect::<Vec<_>>()
    );
    let none = world.filter_all(&Streams::Prefixed("none".into()), 10_000).await.0;
    assert_eq!(none, []);
}

#[tokio::test]
async fn a_filter_keeps_to_its_times_and_to_a_megabyte() {
    let world = World::new().await;
    world.write("s", (0..10).map(|n| event(n, n.to_string())).collect()).await;
    let query = EventQuery { from: Some(at(3)), until: Some(at(6)), limit: 100, ..EventQuery::default() };
    assert_eq!(text(&world.filter(query).await.events), "3 4 5");
    world.write("big", (0..5).map(|n| event(100 + n, vec![b'x'; 300_000])).collect()).await;
    let query = EventQuery { from: Some(at(100)), limit: 100, ..EventQuery::default() };
    let page = world.filter(query).await;
    assert_eq!((page.events.len(), page.next.is_some()), (3, true));
}

#[tokio::test]
async fn a_long_search_answers_in_parts() {
    let world = World::new().await;
    // Stream 128 shares its mark in the index with stream 0, whose events fill the log.
    for number in 0..=128 {
        world.write(&format!("s{number:03}"), vec![event(0, "first")]).await;
    }
    let filler = Bytes::from(vec![b'x'; 200_000]);
    for number in 0..(LOG_PAGE_BLOCKS as i64 + 40) {
        world.write("s000", vec![event(10 + number, filler.clone())]).await;
    }
    world.write("s128", vec![event(9_000, "last")]).await;
    let (events, pages) = world.filter_all(&Streams::Named(vec!["s128".into()]), 100).await;
    assert_eq!((text(&events).as_str(), pages), ("first last", 2));
    let page = world.page("s128", 100, false, None).await;
    assert_eq!(text(&page.events), "last");
    assert_eq!(text(&world.page("s128", 100, false, Some(&page.backward)).await.events), "first");
}

#[tokio::test]
async fn nothing_is_lost_when_the_process_is_killed() {
    for checkpoint in [false, true] {
        let world = World::new().await;
        for number in 0..200 {
            world.write(&format!("s{number:03}"), vec![event(number, format!("m{number}"))]).await;
        }
        let before = world.filter_all(&Streams::All, 10_000).await.0;
        if checkpoint {
            world.logs.close().await.unwrap();
        }
        let again = world.restarted().await;
        assert_eq!(again.filter_all(&Streams::All, 10_000).await.0, before);
        again.write("s007", vec![event(500, "more")]).await;
        again.write("new", vec![event(501, "newer")]).await;
        assert_eq!(again.filter_all(&Streams::All, 10_000).await.0.len(), 202);
        let third = again.restarted().await;
        let events = third.filter_all(&Streams::All, 10_000).await.0;
        assert_eq!(text(&events[200..]), "more newer");
        assert_eq!(text(&third.page("s007", 9, true, None).await.events), "m7 more");
        let groups = third
            .logs
            .describe_groups(&mine(), &GroupQuery { limit: 1, ..GroupQuery::default() })
            .await
            .unwrap();
        let expected: u64 = events.iter().map(|event| event.message.len() as u64 + 26).sum();
        assert_eq!(groups.items[0].stored_bytes, expected);
    }
}

#[tokio::test]
async fn an_index_is_stored_as_the_log_grows_and_covers_most_of_it() {
    let world = World::new().await;
    let line = Bytes::from(vec![b'x'; 100_000]);
    for number in 0..100 {
        world.write("s", vec![event(number, line.clone())]).await;
    }
    let events = world.filter_all(&Streams::All, 10_000).await.0;
    let document = world.store.get(&Key::new("log-group/000000000000/us-east-1/g")).await.unwrap().unwrap();
    let form: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
    assert!(form["indexed"].as_u64().unwrap() >= 2 * LOG_CHECKPOINT_BYTES, "{form}");
    assert_eq!(world.restarted().await.filter_all(&Streams::All, 10_000).await.0, events);
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_indexed_anew() {
    let world = World::new().await;
    world.write("s", (0..50).map(|n| event(n, "old")).collect()).await;
    world.logs.close().await.unwrap();
    let id = &world.page("s", 1, true, None).await.events[0].id.to_string()[34..];
    let id: u64 = id.parse().unwrap();
    world.store.drop_log(&LogName::new(format!("log/000000000000/us-east-1/{id:016x}"))).await.unwrap();
    let again = world.restarted().await;
    again.write("s", vec![event(60, "new")]).await;
    assert_eq!(text(&again.page("s", 9, true, None).await.events), "new");
    let third = again.restarted().await;
    assert_eq!(text(&third.filter_all(&Streams::All, 9).await.0), "new");
    assert_eq!(third.streams(&StreamQuery { limit: 9, ..StreamQuery::default() }).await.items.len(), 1);
}

#[tokio::test]
async fn a_deleted_group_starts_anew_under_its_writers() {
    let world = World::new().await;
    let writer = world.logs.writer(&mine(), "g", "s");
    writer.write(vec![event(1, "old")]).await.unwrap();
    world.logs.close().await.unwrap();
    world.logs.delete_group(&mine(), "g").await.unwrap();
    assert!(matches!(world.logs.delete_group(&mine(), "g").await, Err(LogError::NoGroup(_))));
    assert_eq!(world.store.scan("log", None, 9).await.unwrap(), []);
    writer.write(vec![event(2, "new")]).await.unwrap();
    assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "new");
    assert_eq!(text(&world.restarted().await.filter_all(&Streams::All, 9).await.0), "new");
}

#[tokio::test]
async fn after_a_reset_nothing_is_left_and_writers_go_on() {
    let world = World::new().await;
    let writer = world.logs.writer(&mine(), "g", "s");
    writer.write(vec![event(1, "old")]).await.unwrap();
    world.store.clear().await.unwrap();
    world.logs.forget().await.unwrap();
    assert_eq!(world.logs.describe_groups(&mine(), &GroupQuery::default()).await.unwrap().items, []);
    writer.write(vec![event(2, "new")]).await.unwrap();
    assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "new");
}

#[tokio::test]
async fn five_hundred_streams_at_once_commit_one_document() {
    let world = World::new().await;
    let before = world.store.revision().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..500 {
        let writer = world.logs.writer(&mine(), "g", &format!("s{number:03}"));
        writers.spawn(async move {
            for line in 0..20 {
                writer.write(vec![event(line, format!("{number} {line}"))]).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let (events, _) = world.filter_all(&Streams::All, 10_000).await;
    assert_eq!(events.len(), 10_000);
    let after = world.store.revision().await.unwrap();
    assert_eq!(after.0 - before.0, 1);
}

#[tokio::test]
async fn an_append_of_which_the_end_is_unknown_confuses_nothing() {
    let world = World::new().await;
    let writer = world.logs.writer(&mine(), "g", "s");
    world.store.fail_next(flaky::Failure::Before);
    writer.write(vec![event(1, "lost")]).await.unwrap();
    writer.flush().await;
    world.store.fail_next(flaky::Failure::After);
    writer.write(vec![event(2, "kept")]).await.unwrap();
    writer.flush().await;
    world.write("t", vec![event(3, "next")]).await;
    assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "kept next");
    assert_eq!(text(&world.restarted().await.filter_all(&Streams::All, 9).await.0), "kept next");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_floods_its_log_waits_and_others_do_not() {
    let world = World::new().await;
    let writer = world.logs.writer(&mine(), "g", "flood");
    writer.write(vec![event(0, "x")]).await.unwrap();
    writer.flush().await;
    world.store.hold(true);
    let flood = async {
        for number in 0.. {
            let chunk = Bytes::from(vec![b'x'; 50_000]);
            if tokio::time::timeout(Duration::from_secs(1), writer.write(vec![event(number, chunk)]))
                .await
                .is_err()
            {
                return number;
            }
        }
        unreachable!("the writer's room is bounded")
    };
    let written = flood.await as usize;
    assert!((LOG_WRITER_BYTES / 50_100..=LOG_WRITER_BYTES / 50_000 + 1).contains(&written), "{written}");
    let other = world.logs.writer(&mine(), "g", "calm");
    let calm = other.write(vec![event(1, "y")]);
    tokio::time::timeout(Duration::from_secs(1), calm).await.expect("others have room of their own").unwrap();
    world.store.hold(false);
    assert_eq!(world.filter_all(&Streams::Named(vec!["calm".into()]), 9).await.0.len(), 1);
    assert!(world.filter_all(&Streams::All, 10_000).await.0.len() >= written + 2);
}

#[tokio::test]
async fn streams_are_listed_by_name_and_by_their_last_event() {
    let world = World::new().await;
    for (name, millis) in [("b", 30), ("a2", 10), ("a1", 20), ("c", 30)] {
        world.write(name, vec![event(millis, "x")]).await;
    }
    let (name, last) = (StreamOrder::Name, StreamOrder::LastEvent);
    for (prefix, order, descending, expected) in [
        ("", name, false, "a1 a2 b c"),
        ("", name, true, "c b a2 a1"),
        ("a", name, false, "a1 a2"),
        ("", last, false, "a2 a1 b c"),
        ("", last, true, "c b a1 a2"),
    ] {
        for limit in 1..5 {
            let (mut names, mut token) = (Vec::new(), None::<String>);
            loop {
                let query = StreamQuery { prefix, order, descending, limit, token: token.as_deref() };
                let page = world.streams(&query).await;
                names.extend(page.items.into_iter().map(|stream| stream.name.to_string()));
                match page.next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            assert_eq!(names.join(" "), expected, "{order:?} {limit}");
        }
    }
}

#[tokio::test]
async fn groups_are_listed_by_prefix_and_by_part_of_the_name() {
    let world = World::new().await;
    for name in ["/aws/lambda/b", "/aws/lambda/a", "other", "/aws/x", "zAa"] {
        world.logs.create_group(&mine(), name, GroupSettings::default()).await.unwrap();
    }
    world
        .logs
        .create_group(&scope("111111111111"), "/aws/lambda/not-mine", GroupSettings::default())
        .await
        .unwrap();
    for (named, expected) in [
        (Named::All, "/aws/lambda/a /aws/lambda/b /aws/x other zAa"),
        (Named::Prefix("/aws/lambda/".into()), "/aws/lambda/a /aws/lambda/b"),
        (Named::Containing("a/".into()), "/aws/lambda/a /aws/lambda/b"),
        (Named::Containing("Aa".into()), "zAa"),
        (Named::These(["zAa".into(), "/aws/x".into(), "none".into()].into()), "/aws/x zAa"),
    ] {
        for limit in 1..7 {
            let (mut names, mut token) = (Vec::new(), None::<String>);
            loop {
                let query = GroupQuery { named: named.clone(), limit, token: token.as_deref() };
                let page = world.logs.describe_groups(&mine(), &query).await.unwrap();
                names.extend(page.items.into_iter().map(|group| group.name.to_string()));
                match page.next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            assert_eq!(names.join(" "), expected, "{limit}");
        }
    }
    assert_eq!(
        world
            .restarted()
            .await
            .logs
            .describe_groups(&mine(), &GroupQuery { limit: 50, ..GroupQuery::default() })
            .await
            .unwrap()
            .items
            .len(),
        5
    );
}

#[tokio::test]
async fn foreign_and_altered_tokens_are_refused() {
    let world = World::new().await;
    world.write("s", vec![event(1, "1"), event(2, "2")]).await;
    world.write("t", vec![event(1, "1")]).await;
    let page = world.page("s", 1, true, None).await;
    let altered = page.forward.replacen('1', "2", 1);
    for (stream, token) in
        [("t", page.forward.as_str()), ("s", &altered), ("s", "f/1"), ("s", "x"), ("s", "é"), ("s", "")]
    {
        let query = StreamEvents { token: Some(token), ..StreamEvents::default() };
        let refused = world.logs.get_events(&mine(), "g", stream, &query).await;
        assert!(matches!(refused, Err(LogError::InvalidToken)), "{stream} {token}");
    }
    let next = world.filter(EventQuery { limit: 1, ..EventQuery::default() }).await.next.unwrap();
    world.logs.writer(&mine(), "h", "s").write(vec![event(1, "1")]).await.unwrap();
    let query = EventQuery { token: Some(&next), ..EventQuery::default() };
    assert!(matches!(world.logs.filter_events(&mine(), "h", &query).await, Err(LogError::InvalidToken)));
}
