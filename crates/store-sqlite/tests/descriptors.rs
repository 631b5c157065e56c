//! Thousands of logs do not need thousands of descriptors. Alone in its process, for it counts them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use base::clock::{Clock, Timestamp};
use base::limits::LOG_OPEN_FILES;
use bytes::Bytes;
use rustix::process::Resource;
use store::{LogName, LogPosition, LogRecord, Store, Sync};
use store_sqlite::SqliteStore;

#[tokio::test]
async fn descriptors_are_bounded_however_many_logs_there_are() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), Clock::system()).unwrap();
    let names: Vec<LogName> =
        (0..4 * LOG_OPEN_FILES).map(|number| LogName::new(number.to_string())).collect();
    let mut most = 0;
    for round in 0..2 {
        for (index, name) in names.iter().enumerate() {
            let record =
                LogRecord { timestamp: Timestamp::from_millis(round), bytes: Bytes::from_static(b"x") };
            store.append(name, vec![record], Sync::Background).await.unwrap();
            if index % 50 == 0 {
                most = most.max(std::fs::read_dir("/proc/self/fd").unwrap().count());
            }
        }
    }
    assert!(most < 3 * LOG_OPEN_FILES + 50, "{most} descriptors");
    for name in &names {
        assert_eq!(store.read(name, LogPosition::START, 100).await.unwrap().entries.len(), 2);
    }
}
