//! Segments are compressed behind everybody's back: nothing is lost by that, whenever the process is killed.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use base::limits::LOG_SEGMENT_BYTES;
use base::random::Dice;
use store::{LogName, LogPosition, LogRecord, Store, Sync};
use store_sqlite::SqliteStore;

const DIRECTORY: &str = "STORE_SEALING_TEST_DIRECTORY";
const NEXT: &str = "STORE_SEALING_TEST_NEXT";
const ROUNDS: u64 = 8;
const RECORD: usize = 64 * 1024;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, Clock::system()).unwrap()
}

fn log() -> LogName {
    LogName::new("long")
}

/// A record that compresses as logs do.
fn record(number: u64) -> LogRecord {
    let text = format!("{number} INFO request {} took 12 ms\n", number * 7919 % 1000);
    LogRecord { timestamp: NOW, bytes: text.repeat(RECORD / text.len()).into() }
}

async fn append(store: &SqliteStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store.append(&log(), vec![record(number)], Sync::Background).await.unwrap();
    }
}

/// All records, checked whole; answers the first number and the one after the last.
async fn check(store: &SqliteStore, from: LogPosition) -> Option<(u64, u64)> {
    let (mut from, mut numbers) = (from, None::<(u64, u64)>);
    loop {
        let page = store.read(&log(), from, 1 << 20).await.unwrap();
        if page.entries.is_empty() {
            return numbers;
        }
        for entry in page.entries {
            let text = std::str::from_utf8(&entry.bytes).unwrap();
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(entry.bytes, record(number).bytes);
            let (first, next) = numbers.unwrap_or((number, number));
            assert_eq!(number, next, "nothing is missing or twice");
            numbers = Some((first, number + 1));
        }
        from = page.next;
    }
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for log in std::fs::read_dir(directory.join("logs")).unwrap() {
        files.extend(std::fs::read_dir(log.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}

fn per_segment() -> u64 {
    LOG_SEGMENT_BYTES / RECORD as u64
}

#[tokio::test]
async fn segments_are_compressed_while_they_are_read_and_positions_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let count = 3 * per_segment() + 20;
    append(&store, 0..count).await;
    let whole = store.log_end(&log()).await.unwrap();
    while files(directory.path(), "zst").len() < 3 {
        assert_eq!(check(&store, LogPosition::START).await, Some((0, count)));
    }
    until("plain files go", || files(directory.path(), "log").len() == 1);
    let usage = store.log_usage(&log()).await.unwrap();
    assert!(usage.bytes < whole.0 / 5, "{usage:?}");
    let sizes: u64 = ["log", "zst"]
        .iter()
        .flat_map(|kind| files(directory.path(), kind))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert_eq!((usage.bytes, store.log_space().await.unwrap().logs), (sizes, sizes));
    assert_eq!(check(&store, usage.next).await.map(|(_, next)| next), Some(count));
    let last = store.read_back(&log(), usage.next, 1).await.unwrap();
    assert_eq!(last.next, last.entries[0].position);
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.log_usage(&log()).await.unwrap(), usage);
    assert_eq!(store.log_space().await.unwrap().logs, sizes);
    assert_eq!(check(&store, LogPosition::START).await, Some((0, count)));
    let trimmed = store.trim_log(&log(), LogPosition(usage.next.0)).await.unwrap();
    assert_eq!((trimmed.start, files(directory.path(), "zst").len()), (usage.next, 2));
    assert_eq!(store.log_space().await.unwrap().logs, trimmed.bytes);
}

#[tokio::test]
async fn a_damaged_sealed_segment_is_named_and_everything_around_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let count = 2 * per_segment() + 20;
    append(&store, 0..count).await;
    until("segments are sealed", || files(directory.path(), "log").len() == 1);
    let usage = store.log_usage(&log()).await.unwrap();
    let segment = files(directory.path(), "zst").swap_remove(0);
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    let whole = file.metadata().unwrap().len();
    for damage in ["cut", "more frames than memory has room for"] {
        match damage {
            "cut" => file.set_len(whole / 2).unwrap(),
            _ => std::os::unix::fs::FileExt::write_all_at(&file, &[255; 4], whole / 2 - 16).unwrap(),
        }
        let refused = store.read(&log(), LogPosition::START, 1).await.unwrap_err();
        assert!(matches!(refused, store::StoreError::Corrupt(_)), "{damage}: {refused:?}");
        let name = segment.file_name().unwrap().to_str().unwrap();
        assert!(refused.to_string().contains(name), "{damage}: {refused}");
    }
    assert_eq!(check(&store, usage.next).await.map(|(_, next)| next), Some(count));
    append(&store, count..count + 1).await;
    let other = LogName::new("other");
    store.append(&other, vec![record(1)], Sync::Now).await.unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.read(&other, LogPosition::START, 1).await.unwrap().entries.len(), 1);
    assert_eq!(check(&store, usage.next).await.map(|(_, next)| next), Some(count + 1));
    assert_eq!(store.trim_log(&log(), usage.next).await.unwrap().start, usage.next);
    assert_eq!(check(&store, LogPosition::START).await.map(|(_, next)| next), Some(count + 1));
}

#[tokio::test]
async fn what_a_crash_leaves_at_any_step_is_put_right() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let count = per_segment() + 20;
    let mut plain_bytes = Vec::new();
    for number in 0..count {
        let segments = files(directory.path(), "log");
        // As it was before there was a second one, and so before it could be sealed.
        if let [only] = &segments[..]
            && number >= per_segment() - 2
            && only.ends_with(format!("{:020}.log", 0))
        {
            plain_bytes = std::fs::read(only).unwrap();
        }
        append(&store, number..number + 1).await;
    }
    until("it is sealed", || {
        files(directory.path(), "zst").len() == 1 && files(directory.path(), "log").len() == 1
    });
    drop(store);
    let sealed = files(directory.path(), "zst")[0].clone();
    let sealed_bytes = std::fs::read(&sealed).unwrap();
    let again = || async {
        let store = open(directory.path());
        assert_eq!(check(&store, LogPosition::START).await, Some((0, count)));
        until("it is sealed", || {
            files(directory.path(), "zst").len() == 1 && files(directory.path(), "log").len() == 1
        });
        assert!(files(directory.path(), "sealing").is_empty());
        let bytes = store.log_usage(&log()).await.unwrap().bytes;
        assert_eq!(store.log_space().await.unwrap().logs, bytes);
    };
    // Before the plain file went.
    std::fs::write(sealed.with_extension("log"), b"whatever: the sealed one is whole").unwrap();
    again().await;
    // In the midst of compressing.
    std::fs::rename(&sealed, sealed.with_extension("sealing")).unwrap();
    std::fs::write(sealed.with_extension("sealing"), &sealed_bytes[..sealed_bytes.len() / 2]).unwrap();
    std::fs::write(sealed.with_extension("log"), plain_bytes).unwrap();
    again().await;
    // Behind a sealed segment there is one that grows, even when a power cut took its beginning.
    let last = files(directory.path(), "log").pop().unwrap();
    std::fs::write(&last, b"").unwrap();
    let store = open(directory.path());
    let (_, next) = check(&store, LogPosition::START).await.unwrap();
    append(&store, next..next + 1).await;
    assert_eq!(check(&store, LogPosition::START).await, Some((0, next + 1)));
}

#[tokio::test]
async fn nothing_is_lost_when_the_process_is_killed_while_it_seals_and_trims() {
    let directory = tempfile::tempdir().unwrap();
    let (mut sealed, mut trimmed_to, mut next) = (0, 0, 0);
    for round in 0..ROUNDS {
        let (appended, trimmed) = run_and_kill(directory.path(), round, next);
        sealed += files(directory.path(), "zst").len();
        next = appended.unwrap_or(0).max(next);
        trimmed_to = trimmed.unwrap_or(0).max(trimmed_to);
        let store = open(directory.path());
        if next == 0 {
            continue;
        }
        let start = store.log_usage(&log()).await.unwrap().start;
        assert!(start.0 >= trimmed_to, "what was trimmed does not come back");
        let Some((first, after)) = check(&store, LogPosition::START).await else {
            assert_eq!(store.log_end(&log()).await.unwrap(), start, "all was trimmed");
            continue;
        };
        assert!(after >= next, "{next} was answered and only {after} are there, from {first} on");
        next = after;
    }
    assert!(sealed > 0 && trimmed_to > 0, "{sealed} sealed, trimmed to {trimmed_to}");
}

/// Answers the number after the last append, and the start after the last trimming, that were answered.
fn run_and_kill(directory: &Path, round: u64, next: u64) -> (Option<u64>, Option<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_and_trims_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(NEXT, next.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let [random, _] = Dice::system().bytes::<2>();
    let least = if round == 0 { 1500 } else { 200 };
    std::thread::sleep(Duration::from_millis(least + 3 * u64::from(random)));
    child.kill().unwrap();
    child.wait().unwrap();
    let (mut appended, mut trimmed) = (None, None);
    for line in reader.join().unwrap() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ack", "append", number, "."] => appended = number.parse::<u64>().ok().map(|number| number + 1),
            ["ack", "trim", start, "."] => trimmed = start.parse().ok(),
            _ => {}
        }
    }
    (appended, trimmed)
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn writes_and_trims_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    // All may have been trimmed.
    let next = std::env::var(NEXT).unwrap().parse().unwrap();
    let first = check(&store, LogPosition::START).await.map_or(next, |(_, next)| next);
    println!();
    for number in first.. {
        append(&store, number..number + 1).await;
        acknowledge("append", number);
        if number % per_segment() == 40 {
            // Keeps about three segments, and sometimes none.
            let end = store.log_end(&log()).await.unwrap().0;
            let before = if number % 5 == 0 { end } else { end.saturating_sub(3 * LOG_SEGMENT_BYTES) };
            let usage = store.trim_log(&log(), LogPosition(before)).await.unwrap();
            acknowledge("trim", usage.start.0);
        }
        // About as fast as a disk, so that the sealer has work while there is something to kill.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// One write a line: a pipe takes it whole or not at all.
fn acknowledge(kind: &str, what: u64) {
    std::io::stdout().lock().write_all(format!("ack {kind} {what} .\n").as_bytes()).unwrap();
}
