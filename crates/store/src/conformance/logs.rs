//! Logs.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::limits::{LOG_APPEND_BYTES, LOG_RECORD_BYTES, LOG_SEGMENT_BYTES};
use bytes::Bytes;

use super::{NOW, Subject, bytes};
use crate::{LogEntry, LogName, LogPage, LogPosition, LogRecord, LogUsage, Store, StoreError, Sync};

fn record(text: &str) -> LogRecord {
    LogRecord { timestamp: NOW, bytes: bytes(text) }
}

async fn append(store: &Arc<dyn Store>, log: &LogName, texts: &[&str], sync: Sync) -> LogPosition {
    let records = texts.iter().map(|text| record(text)).collect();
    store.append(log, records, sync).await.expect("the store appends")
}

async fn read(store: &Arc<dyn Store>, log: &LogName, from: LogPosition, max_bytes: usize) -> LogPage {
    store.read(log, from, max_bytes).await.expect("the store reads")
}

async fn read_back(store: &Arc<dyn Store>, log: &LogName, before: LogPosition, max_bytes: usize) -> LogPage {
    store.read_back(log, before, max_bytes).await.expect("the store reads")
}

async fn end(store: &Arc<dyn Store>, log: &LogName) -> LogPosition {
    store.log_end(log).await.expect("the store reads")
}

fn texts(page: &LogPage) -> Vec<String> {
    page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).collect()
}

/// Records come back with their timestamps, in order, whatever they hold; positions grow.
pub async fn records_are_read_in_the_order_of_their_appends(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("l");
    let early = LogRecord { timestamp: Timestamp::from_micros(-1), bytes: (0..=255).collect() };
    store.append(&log, vec![early.clone(), record("")], Sync::Background).await.expect("the store appends");
    let after = append(&store, &log, &["three"], Sync::Now).await;
    assert_eq!(end(&store, &log).await, after);
    let page = read(&store, &log, LogPosition::START, 1000).await;
    assert_eq!(page.next, after);
    assert!(page.entries.is_sorted_by(|a, b| a.position < b.position && a.ingested <= b.ingested));
    assert!(page.entries.last().expect("it was appended").position < after);
    let read: Vec<_> = page
        .entries
        .into_iter()
        .map(|LogEntry { timestamp, bytes, .. }| LogRecord { timestamp, bytes })
        .collect();
    assert_eq!(read, [early, record(""), record("three")]);
}

/// A page holds what fits and at least one record; `next` goes on; what comes later is read from the end.
pub async fn a_page_is_bounded_and_the_next_goes_on(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("l");
    append(&store, &log, &["aaaa", "bbbb", "cccc", "dddddddd"], Sync::Background).await;
    let first = read(&store, &log, LogPosition::START, 8).await;
    assert_eq!(texts(&first), ["aaaa", "bbbb"]);
    let second = read(&store, &log, first.next, 0).await;
    assert_eq!(texts(&second), ["cccc"]);
    let third = read(&store, &log, second.next, 5).await;
    assert_eq!(texts(&third), ["dddddddd"]);
    assert_eq!(third.next, end(&store, &log).await);
    assert_eq!(read(&store, &log, third.next, 5).await, LogPage { entries: vec![], next: third.next });
    append(&store, &log, &["e"], Sync::Background).await;
    assert_eq!(texts(&read(&store, &log, third.next, 5).await), ["e"]);
    let between = LogPosition(first.entries[1].position.0 - 1);
    assert_eq!(texts(&read(&store, &log, between, 4).await), ["bbbb"]);
    assert_eq!(texts(&read(&store, &log, first.next, 100).await), ["cccc", "dddddddd", "e"]);
    let beyond = read(&store, &log, LogPosition(u64::MAX), 100).await;
    assert_eq!(beyond, LogPage { entries: vec![], next: end(&store, &log).await });
}

/// From the end to the start, in pages that are each in the order of the log.
pub async fn a_log_is_read_backwards(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("l");
    append(&store, &log, &["aaaa", "bbbb", "cccc", "dddddddd"], Sync::Background).await;
    let mut before = LogPosition(u64::MAX);
    let mut seen = Vec::new();
    loop {
        let page = read_back(&store, &log, before, 8).await;
        if page.entries.is_empty() {
            assert_eq!(page.next, LogPosition::START);
            break;
        }
        assert_eq!(page.next, page.entries[0].position);
        seen.push(texts(&page));
        before = page.next;
    }
    assert_eq!(seen, [vec!["dddddddd"], vec!["bbbb", "cccc"], vec!["aaaa"]]);
}

/// A log exists from its first record on; nothing is appended by an empty batch.
pub async fn a_log_that_is_not_there_is_empty(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("never there");
    assert_eq!(append(&store, &log, &[], Sync::Now).await, LogPosition::START);
    assert_eq!(end(&store, &log).await, LogPosition::START);
    assert_eq!(read(&store, &log, LogPosition::START, 100).await, LogPage::default());
    assert_eq!(read(&store, &log, LogPosition(7), 100).await, LogPage::default());
    assert_eq!(read_back(&store, &log, LogPosition(7), 100).await, LogPage::default());
    store.drop_log(&log).await.expect("there is nothing to do");
}

/// What was appended is there after a restart, at its position, and appends go on behind it.
pub async fn records_are_read_back_after_a_restart(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let logs = ["a", "b"].map(LogName::new);
    for log in &logs {
        append(&store, log, &["one"], Sync::Background).await;
        append(&store, log, &["two"], Sync::Now).await;
    }
    let before = read(&store, &logs[0], LogPosition::START, 100).await;
    drop(store);
    let store = subject.open().await;
    assert_eq!(read(&store, &logs[0], LogPosition::START, 100).await, before);
    for log in &logs {
        assert_eq!(end(&store, log).await, before.next);
        append(&store, log, &["three"], Sync::Background).await;
        let page = read(&store, log, LogPosition::START, 100).await;
        assert_eq!(texts(&page), ["one", "two", "three"]);
        assert_eq!(page.entries[2].position, before.next);
    }
}

/// A dropped log is gone for good, and the others stay.
pub async fn a_dropped_log_starts_anew(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let [log, other] = ["a", "a/b"].map(LogName::new);
    append(&store, &log, &["one", "two"], Sync::Background).await;
    append(&store, &other, &["other"], Sync::Background).await;
    store.drop_log(&log).await.expect("the log is dropped");
    assert_eq!(end(&store, &log).await, LogPosition::START);
    append(&store, &log, &["three"], Sync::Now).await;
    drop(store);
    let store = subject.open().await;
    assert_eq!(texts(&read(&store, &log, LogPosition::START, 100).await), ["three"]);
    assert_eq!(texts(&read(&store, &other, LogPosition::START, 100).await), ["other"]);
}

/// Names hold slashes, dots and any letters, are told apart by case, and may be long.
pub async fn log_names_are_any_text(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let long = "x".repeat(3000);
    let names = ["", "/", "..", "/aws/lambda/f:2026/11/21/[$LATEST]0f", "É\u{0}#", "a", "A", &long];
    for name in names {
        append(&store, &LogName::new(name), &[name], Sync::Background).await;
    }
    for name in names {
        assert_eq!(texts(&read(&store, &LogName::new(name), LogPosition::START, 1).await), [name]);
    }
}

/// A log of several segments reads as one, forward and back, also when reading starts inside a record.
pub async fn a_long_log_is_read_whole_from_any_position(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("long");
    let size = LOG_RECORD_BYTES / 2;
    let count = 2 * LOG_SEGMENT_BYTES / size as u64 + 3;
    for number in 0..count {
        let bytes = Bytes::from(vec![number as u8; size]);
        let at = NOW + Duration::from_secs(number);
        let records = vec![LogRecord { timestamp: at, bytes }];
        store.append(&log, records, Sync::Background).await.expect("the store appends");
    }
    let too_large = vec![LogRecord { timestamp: NOW, bytes: vec![0; LOG_RECORD_BYTES + 1].into() }];
    let too_many = vec![record(&"x".repeat(size)); LOG_APPEND_BYTES / size + 1];
    for refused in [too_large, too_many] {
        let answer = store.append(&log, refused, Sync::Background).await;
        assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{answer:?}");
    }
    let mut from = LogPosition::START;
    for number in 0..count {
        let page = read(&store, &log, from, 1).await;
        let entry = &page.entries[0];
        assert_eq!((page.entries.len(), entry.timestamp), (1, NOW + Duration::from_secs(number)));
        assert!(entry.bytes.iter().all(|&byte| byte == number as u8));
        let inside = LogPosition(entry.position.0 + 1);
        let later = read(&store, &log, inside, 1).await.entries;
        assert_eq!(later.first().map(|later| later.position), (number + 1 < count).then_some(page.next));
        let earlier = read_back(&store, &log, inside, 1).await;
        assert_eq!(&earlier.entries, &page.entries);
        from = page.next;
    }
    assert_eq!(from, end(&store, &log).await);
}

/// What is trimmed is gone, the rest stays where it is; trimming all leaves an empty log that goes on.
pub async fn a_trimmed_log_keeps_its_positions(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("trimmed");
    let size = LOG_RECORD_BYTES / 2;
    let count = 3 * LOG_SEGMENT_BYTES / size as u64;
    for number in 0..count {
        let records = vec![LogRecord { timestamp: NOW, bytes: vec![number as u8; size].into() }];
        store.append(&log, records, Sync::Background).await.expect("the store appends");
    }
    let whole = store.log_usage(&log).await.expect("the store knows");
    assert_eq!(whole.start, LogPosition::START);
    // A backend may compress meanwhile, so of sizes only little can be said.
    assert!(whole.next > whole.start && whole.bytes > 0, "{whole:?}");
    let places = |usage: LogUsage| (usage.start, usage.next);
    let before = read(&store, &log, whole.next, 1).await;
    let end = end(&store, &log).await;
    let untrimmed = store.trim_log(&log, LogPosition::START).await.expect("nothing to do");
    assert_eq!(places(untrimmed), places(whole));

    let trimmed = store.trim_log(&log, whole.next).await.expect("the log is trimmed");
    assert_eq!(trimmed.start, whole.next);
    assert!(trimmed.bytes < whole.bytes && store.log_space().await.expect("the store knows").logs > 0);
    for from in [LogPosition::START, LogPosition(1), trimmed.start] {
        assert_eq!(read(&store, &log, from, 1).await, before);
    }
    assert_eq!(read_back(&store, &log, trimmed.start, 1).await.entries, []);
    let middle = LogPosition((trimmed.start.0 + end.0) / 2);
    let trimmed = store.trim_log(&log, middle).await.expect("the log is trimmed");
    assert!(trimmed.start <= middle);
    drop(store);
    let store = subject.open().await;
    assert_eq!(places(store.log_usage(&log).await.expect("the store knows")), places(trimmed));

    let trimmed = store.trim_log(&log, LogPosition(u64::MAX)).await.expect("the log is trimmed");
    assert_eq!((trimmed.start, trimmed.next), (end, end));
    let nothing = LogPage { entries: vec![], next: end };
    assert_eq!(read(&store, &log, LogPosition::START, 1).await, nothing);
    drop(store);
    let store = subject.open().await;
    assert_eq!(store.log_end(&log).await.expect("the store reads"), end);
    append(&store, &log, &["more"], Sync::Now).await;
    let page = read(&store, &log, LogPosition::START, 1).await;
    assert_eq!((texts(&page), page.entries[0].position), (vec!["more".to_owned()], end));
    store.drop_log(&log).await.expect("the log is dropped");
    assert_eq!(store.log_usage(&log).await.expect("nothing is there"), LogUsage::default());
    assert_eq!(store.log_space().await.expect("the store knows").logs, 0);
    assert_eq!(store.trim_log(&log, end).await.expect("nothing to do"), LogUsage::default());
}
