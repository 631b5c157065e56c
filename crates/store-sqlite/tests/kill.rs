//! Everything that was answered survives the process being killed at any moment.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use base::random::Dice;
use bytes::Bytes;
use store::{Blobs, Commit, Enqueue, Key, LogName, LogPosition, LogRecord, Require, Store, Sync};
use store_sqlite::SqliteStore;

const DIRECTORY: &str = "STORE_KILL_TEST_DIRECTORY";
const ROUND: &str = "STORE_KILL_TEST_ROUND";
const ROUNDS: u64 = 12;
const WRITERS: u64 = 6;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What the child says was answered: a kind and a number, or a digest.
type Acknowledged = BTreeMap<(String, String), u64>;

type Answer<'a> = (&'a (String, String), &'a u64);

#[tokio::test]
async fn what_was_answered_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    for round in 0..ROUNDS {
        let before = acknowledged.len();
        run_and_kill(directory.path(), round, &mut acknowledged);
        assert!(
            acknowledged.len() > before || round > 0,
            "the first child was killed before it did anything"
        );
        // What earlier rounds verified is looked at once more at the end.
        let newest = acknowledged.iter().filter(|(_, found)| **found == round || round + 1 == ROUNDS);
        verify(directory.path(), newest).await;
    }
    for kind in ["commit", "now", "background", "blob"] {
        assert!(acknowledged.keys().any(|(found, _)| found == kind), "no {kind} was answered");
    }
}

fn run_and_kill(directory: &Path, round: u64, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    // The first child gets the time to do something of each kind; the others may be killed while they open.
    let least = if round == 0 { 400 } else { 0 };
    let [random, _] = Dice::system().bytes::<2>();
    std::thread::sleep(Duration::from_millis(least + 5 + u64::from(random) / 2));
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reader.join().unwrap() {
        let words: Vec<&str> = line.split(' ').collect();
        // A line that was cut has no end mark.
        if let ["ack", kind, what, "."] = words[..] {
            acknowledged.insert((kind.to_owned(), what.to_owned()), round);
        }
    }
}

async fn verify(directory: &Path, acknowledged: impl Iterator<Item = Answer<'_>>) {
    let store = SqliteStore::open(directory, Clock::system()).unwrap();
    let blobs = Blobs::local(&directory.join("blobs")).unwrap();
    let mut logs = BTreeMap::new();
    for ((kind, what), round) in acknowledged {
        let lost = format!("{kind} {what}, answered in round {round}, is lost");
        match kind.as_str() {
            "commit" => assert!(store.get(&Key::new(format!("a/{what}"))).await.unwrap().is_some(), "{lost}"),
            "blob" => {
                let digest: Vec<u8> =
                    (0..32).map(|at| u8::from_str_radix(&what[2 * at..2 * at + 2], 16).unwrap()).collect();
                let digest = base::id::Digest(digest.try_into().unwrap());
                assert!(blobs.get(&digest).await.unwrap().is_some(), "{lost}");
            }
            log => {
                if !logs.contains_key(log) {
                    logs.insert(log.to_owned(), records(&store, log).await);
                }
                assert!(logs[log].contains(what), "{lost}");
            }
        }
    }
    nothing_is_half_done(&store).await;
}

async fn records(store: &SqliteStore, log: &str) -> HashSet<String> {
    let log = LogName::new(log);
    let mut records = HashSet::new();
    let mut from = LogPosition::START;
    loop {
        let page = store.read(&log, from, 1 << 20).await.unwrap();
        if page.entries.is_empty() {
            return records;
        }
        records.extend(page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()));
        from = page.next;
    }
}

/// Both documents and the message of each commit are there, or none of them; so are all changes.
async fn nothing_is_half_done(store: &SqliteStore) {
    let [a, b] = [store.scan("a/", None, usize::MAX).await, store.scan("b/", None, usize::MAX).await];
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((&a.key.as_str()[2..], a.revision, &a.body), (&b.key.as_str()[2..], b.revision, &b.body));
    }
    assert_eq!(store.queue_depth("q").await.unwrap(), a.len() as u64);
    assert_eq!(store.revision().await.unwrap().0, a.len() as u64);
    let claimed = store.claim("q", usize::MAX, Duration::from_secs(0), NOW).await.unwrap();
    assert_eq!(claimed.len(), a.len());
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = Arc::new(SqliteStore::open(directory, Clock::system()).unwrap());
    let blobs = Blobs::local(&directory.join("blobs")).unwrap();
    println!();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(store.clone(), blobs.clone(), (round * WRITERS + writer) << 32));
    }
    writers.join_all().await;
}

async fn write(store: Arc<SqliteStore>, blobs: Blobs, first: u64) {
    for number in first.. {
        let text = number.to_string();
        let body = Bytes::from(text.clone().repeat(50));
        let [a, b] = ["a", "b"].map(|prefix| Key::new(format!("{prefix}/{text}")));
        let commit = Commit {
            require: vec![Require::Absent(a.clone()), Require::Absent(b.clone())],
            put: vec![(a, body.clone()), (b, body)],
            enqueue: vec![Enqueue { queue: "q".into(), body: Bytes::from(text.clone()), not_before: NOW }],
            ..Commit::default()
        };
        store.commit(commit).await.unwrap();
        acknowledge("commit", &text);
        for (log, sync) in [("now", Sync::Now), ("background", Sync::Background)] {
            let record = LogRecord { timestamp: NOW, bytes: Bytes::from(text.clone()) };
            store.append(&LogName::new(log), vec![record], sync).await.unwrap();
            acknowledge(log, &text);
        }
        if number % 16 == 0 {
            let digest = blobs.put(Bytes::from(text)).await.unwrap();
            acknowledge("blob", &digest.to_string());
        }
    }
}

/// One write a line: a pipe takes it whole or not at all.
fn acknowledge(kind: &str, what: &str) {
    let line = format!("ack {kind} {what} .\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
