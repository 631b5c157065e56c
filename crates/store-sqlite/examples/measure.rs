//! Measures the store on the disk below the directory given, or below the current one: commits, queue steps
//! and appends a second, and how long an answer takes. Run it with `--release`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use bytes::Bytes;
use store::{Commit, Enqueue, Key, LogName, LogRecord, Store, StoreError, Sync};
use store_sqlite::SqliteStore;
use tokio::task::JoinSet;

/// How long each line is measured.
const TIME: Duration = Duration::from_secs(2);

/// What a message, document or record holds, in bytes.
const BODY: usize = 1024;

/// What is measured.
#[derive(Debug, Clone, Copy)]
enum Step {
    Put,
    Enqueue,
    ClaimAndSettle,
    Append(Sync),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let below = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = tempfile::tempdir_in(below)?;
    let clock = Clock::system();
    let store = Arc::new(SqliteStore::open(directory.path(), clock)?);
    println!("{:<18} {:>9} {:>10} {:>9} {:>9}", "step", "producers", "steps/s", "p50 us", "p99 us");
    let steps = [
        Step::Put,
        Step::Enqueue,
        Step::ClaimAndSettle,
        Step::Append(Sync::Now),
        Step::Append(Sync::Background),
    ];
    for step in steps {
        for producers in [1, 16, 64, 256] {
            measure(step, producers, &store, clock).await?;
        }
    }
    Ok(())
}

async fn measure(
    step: Step,
    producers: usize,
    store: &Arc<SqliteStore>,
    clock: Clock,
) -> Result<(), StoreError> {
    let end = clock.now() + TIME;
    let mut running = JoinSet::new();
    for producer in 0..producers {
        let store = store.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            loop {
                let start = clock.now();
                if start >= end {
                    return Ok::<_, StoreError>(times);
                }
                perform(step, producer, &store, clock).await?;
                times.push(clock.now().since(start).as_micros());
            }
        });
    }
    let mut times: Vec<u128> = Vec::new();
    for of_one in running.join_all().await {
        times.extend(of_one?);
    }
    times.sort_unstable();
    let rate = times.len() as f64 / TIME.as_secs_f64();
    let [p50, p99] = [50, 99].map(|percent| times[times.len() * percent / 100]);
    println!("{:<18} {producers:>9} {rate:>10.0} {p50:>9} {p99:>9}", format!("{step:?}"));
    Ok(())
}

async fn perform(step: Step, producer: usize, store: &SqliteStore, clock: Clock) -> Result<(), StoreError> {
    let body = Bytes::from_static(&[b'x'; BODY]);
    let now = clock.now();
    match step {
        Step::Put => {
            let put = vec![(Key::new(format!("measure/{producer}")), body)];
            store.commit(Commit { put, ..Commit::default() }).await?;
        }
        Step::Enqueue => {
            let enqueue = vec![Enqueue { queue: "measure".into(), body, not_before: now }];
            store.commit(Commit { enqueue, ..Commit::default() }).await?;
        }
        Step::ClaimAndSettle => {
            let claimed = store.claim("measure", 16, Duration::from_secs(60), now).await?;
            let settle = claimed.into_iter().map(|claimed| claimed.token).collect();
            store.commit(Commit { settle, ..Commit::default() }).await?;
        }
        Step::Append(sync) => {
            let records = vec![LogRecord { timestamp: now, bytes: body }];
            store.append(&LogName::new(format!("measure/{producer}")), records, sync).await?;
        }
    }
    Ok(())
}
