//! What lies in the directory: who may use it, and what happens to files that are not as they were left.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use bytes::Bytes;
use store::{Commit, Key, LogName, LogPosition, LogRecord, Revision, Store, StoreError, Sync};
use store_sqlite::{OpenError, SqliteStore};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, Clock::system()).unwrap()
}

async fn append(store: &SqliteStore, log: &LogName, text: &str) -> LogPosition {
    let record = LogRecord { timestamp: NOW, bytes: Bytes::copy_from_slice(text.as_bytes()) };
    store.append(log, vec![record], Sync::Background).await.unwrap()
}

async fn texts(store: &SqliteStore, log: &LogName) -> Vec<String> {
    let page = store.read(log, LogPosition::START, 1000).await.unwrap();
    page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut files = files(&directory.join("logs"));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files
}

#[tokio::test]
async fn a_second_user_of_the_directory_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let error = SqliteStore::open(directory.path(), Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let text =
        format!("the directory {} is in use by process {}", directory.path().display(), std::process::id());
    assert_eq!(error.to_string(), text);
    drop(first);
    open(directory.path());
}

#[tokio::test]
async fn files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("made/on/the/way");
    let store = open(&directory);
    append(&store, &LogName::new("l"), "x").await;
    store.commit(Commit { put: vec![(Key::new("a"), Bytes::new())], ..Commit::default() }).await.unwrap();
    let all = files(&directory);
    assert!(all.iter().any(|path| path.ends_with("documents.db-wal")), "{all:?}");
    assert!(all.iter().any(|path| path.extension().is_some_and(|extension| extension == "log")), "{all:?}");
    for path in all {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let mode = path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "the directory of {}", path.display());
    }
}

type Tear = fn(&File);

#[tokio::test]
async fn a_torn_end_of_a_log_is_cut_off() {
    let torn: [(&str, Tear); 4] = [
        ("cut", |file| file.set_len(file.metadata().unwrap().len() - 1).unwrap()),
        ("garbled", |file| file.write_all_at(b"?", file.metadata().unwrap().len() - 1).unwrap()),
        ("head only", |file| file.set_len(file.metadata().unwrap().len() - 10).unwrap()),
        ("zeroed", |file| file.write_all_at(&[0; 29], file.metadata().unwrap().len() - 29).unwrap()),
    ];
    for (how, tear) in torn {
        let directory = tempfile::tempdir().unwrap();
        let log = LogName::new("l");
        let store = open(directory.path());
        let kept = append(&store, &log, "one").await;
        append(&store, &log, "three").await;
        drop(store);
        tear(&OpenOptions::new().write(true).open(&segments(directory.path())[0]).unwrap());
        let store = open(directory.path());
        assert_eq!(texts(&store, &log).await, ["one"], "{how}");
        assert_eq!(store.log_end(&log).await.unwrap(), kept, "{how}");
        append(&store, &log, "2").await;
        drop(store);
        assert_eq!(texts(&open(directory.path()), &log).await, ["one", "2"], "{how}");
    }
}

#[tokio::test]
async fn bytes_behind_the_end_of_a_log_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogName::new("l");
    append(&open(directory.path()), &log, "one").await;
    let path = segments(directory.path()).remove(0);
    let whole = std::fs::read(&path).unwrap();
    // A whole record of another place is no record here.
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&whole[16..]).unwrap();
    assert_eq!(texts(&open(directory.path()), &log).await, ["one"]);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn a_segment_without_a_beginning_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogName::new("l");
    let end = append(&open(directory.path()), &log, "one").await;
    let first = segments(directory.path()).remove(0);
    let next = first.with_file_name(format!("{:020}.log", end.0));
    std::fs::write(&next, b"SMVR").unwrap();
    let store = open(directory.path());
    assert_eq!(store.log_end(&log).await.unwrap(), end);
    append(&store, &log, "two").await;
    assert_eq!(texts(&store, &log).await, ["one", "two"]);
    assert!(next.with_extension("damaged").exists());
}

#[tokio::test]
async fn damage_inside_a_log_is_told_and_not_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let log = LogName::new("l");
    let store = open(directory.path());
    append(&store, &log, "one").await;
    append(&store, &log, "two").await;
    let file = OpenOptions::new().write(true).open(&segments(directory.path())[0]).unwrap();
    file.write_all_at(b"?", 16 + 24).unwrap();
    let answers = [
        store.read(&log, LogPosition::START, 1000).await,
        store.read_back(&log, LogPosition(u64::MAX), 1000).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn dropped_logs_leave_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for log in ["a", "b", "c"].map(LogName::new) {
        append(&store, &log, "x").await;
    }
    store.drop_log(&LogName::new("a")).await.unwrap();
    assert_eq!(segments(directory.path()).len(), 2);
    store.clear().await.unwrap();
    assert_eq!(segments(directory.path()).len(), 0);
    append(&store, &LogName::new("a"), "y").await;
    drop(store);
    assert!(files(&directory.path().join("logs-dropped")).is_empty());
    let left_over = directory.path().join("logs-dropped/7");
    std::fs::create_dir(&left_over).unwrap();
    assert_eq!(texts(&open(directory.path()), &LogName::new("a")).await, ["y"]);
    assert!(!left_over.exists());
}

#[tokio::test]
async fn the_write_ahead_log_stays_bounded_under_a_steady_load() {
    let directory = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(open(directory.path()));
    let mut longest = 0;
    for round in 0..40 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let store = store.clone();
            let put = vec![(Key::new(format!("{writer}")), Bytes::from(vec![round; 256 * 1024]))];
            writers.spawn(async move { store.commit(Commit { put, ..Commit::default() }).await });
        }
        let answers = writers.join_all().await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        longest = longest.max(directory.path().join("documents.db-wal").metadata().unwrap().len());
    }
    let limit = base::limits::STORE_WAL_BYTES;
    assert!(longest < 3 * limit, "the write-ahead log grew to {longest} bytes");
}

#[tokio::test]
async fn a_follower_of_a_closed_store_comes_to_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.commit(Commit { put: vec![(Key::new("a"), Bytes::new())], ..Commit::default() }).await.unwrap();
    let mut behind = store.watch(Revision(0)).await.unwrap();
    let mut waiting = store.watch(Revision(1)).await.unwrap();
    let task = tokio::spawn(async move { waiting.next().await });
    drop(store);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap(), None);
    assert_eq!(behind.next().await, None);
}
