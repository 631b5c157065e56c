//! Measures logs on the disk below the directory given, or below the current one: lines a second taken in beside
//! the bare store and a bare file, and megabytes a second filtered, cold and warm, once compressed. Run it
//! with `--release`; a second argument is the size of a group in megabytes, instead of 200.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::random::Dice;
use bytes::Bytes;
use record::logs::{EventQuery, GroupSettings};
use record::pattern::Pattern;
use record::{LogEvent, Logs};
use store::{LogName, LogRecord, Store, Sync};
use store_sqlite::SqliteStore;

type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Megabytes of the group that is filtered.
const GROUP: usize = 200;

/// Events that are written at once, as a busy function's output comes.
const BATCH: usize = 100;

#[tokio::main]
async fn main() -> Done {
    let below = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = below.join(format!("measure-logs-{}", std::process::id()));
    let megabytes = std::env::args().nth(2).map_or(Ok(GROUP), |size| size.parse())?;
    let measured = measure(&directory, megabytes * 1_000_000).await;
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &Path, bytes: usize) -> Done {
    let clock = Clock::system();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory, clock)?);
    let logs = Logs::open(store.clone(), clock, Dice::system()).await?;
    let scope = Scope { account: "000000000000".parse()?, region: "us-east-1".parse()? };
    let lines = bytes / line(0).len();
    println!("{:<34} {:>12} {:>9} {:>9}", "taking in", "lines/s", "MB/s", "CPU s");

    let mut file = File::create(directory.join("floor"))?;
    let (start, cpu) = (clock.now(), cpu_seconds());
    for first in (0..lines).step_by(BATCH) {
        let batch: Vec<u8> = (first..first + BATCH).flat_map(|number| line(number).into_bytes()).collect();
        file.write_all(&batch)?;
    }
    file.sync_data()?;
    rate("a bare file", lines, clock.now().since(start), cpu);

    let (start, cpu) = (clock.now(), cpu_seconds());
    for first in (0..lines).step_by(BATCH) {
        let records = events(first, clock.now()).into_iter();
        let records = records.map(|LogEvent { timestamp, message }| LogRecord { timestamp, bytes: message });
        store.append(&LogName::new("floor"), records.collect(), Sync::Background).await?;
    }
    rate("the bare store, one writer", lines, clock.now().since(start), cpu);

    for writers in [1, 16] {
        let group = format!("g{writers}");
        logs.create_group(&scope, &group, GroupSettings::default()).await?;
        let (start, cpu) = (clock.now(), cpu_seconds());
        let mut running = tokio::task::JoinSet::new();
        for number in 0..writers {
            let writer = logs.writer(&scope, &group, &format!("s{number}"));
            running.spawn(async move {
                for first in (0..lines / writers).step_by(BATCH) {
                    writer.write(events(first, clock.now())).await?;
                }
                writer.flush().await;
                Ok::<_, record::logs::LogError>(())
            });
        }
        for written in running.join_all().await {
            written?;
        }
        rate(&format!("log events, {writers} writers of a group"), lines, clock.now().since(start), cpu);
    }

    println!("{:<34} {:>12} {:>9} {:>9}", "filtering", "lines/s", "MB/s", "CPU s");
    let (start, cpu) = (clock.now(), cpu_seconds());
    while unsealed(directory)? {
        clock.sleep(Duration::from_millis(50)).await;
    }
    let (left, more) = (clock.now().since(start).as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "(compressed to {} MB, {left:.1} s and {more:.1} CPU s after the last line)",
        store.log_space().await?.logs >> 20
    );
    for (text, what) in [("", "everything in pages"), ("nowhere", "a word that is nowhere")] {
        for cold in [true, false] {
            if cold {
                drop_cache(directory)?;
            }
            let (start, cpu) = (clock.now(), cpu_seconds());
            filter(&logs, &scope, text).await?;
            let cache = if cold { "cold" } else { "warm" };
            rate(&format!("{what}, {cache}"), lines, clock.now().since(start), cpu);
        }
    }
    let (start, cpu) = (clock.now(), cpu_seconds());
    let mut scan = logs.scan(&scope, "g1", Timestamp::from_millis(0), clock.now(), false).await?;
    let mut count = 0;
    while let Some(events) = scan.next().await? {
        count += events.len();
    }
    rate("a query's scan, warm", count, clock.now().since(start), cpu);
    Ok(logs.close().await?)
}

async fn filter(logs: &Logs, scope: &Scope, text: &str) -> Done {
    let pattern = Pattern::parse(text)?;
    let mut token = None::<String>;
    loop {
        let query = EventQuery {
            limit: 10_000,
            token: token.as_deref(),
            pattern: Some(&pattern),
            ..EventQuery::default()
        };
        match logs.filter_events(scope, "g1", &query).await?.next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

fn line(number: usize) -> String {
    format!(
        "2026-11-21T10:00:00.000Z INFO request {number:09} of user {:05} took {:03} ms\n",
        number % 7919,
        number % 997
    )
}

fn events(first: usize, now: Timestamp) -> Vec<LogEvent> {
    (first..first + BATCH)
        .map(|number| LogEvent { timestamp: now, message: Bytes::from(line(number)) })
        .collect()
}

fn rate(what: &str, lines: usize, time: Duration, cpu: f64) {
    let (lines, seconds) = (lines as f64, time.as_secs_f64());
    let megabytes = lines * line(0).len() as f64 / 1e6;
    println!(
        "{what:<42} {:>12.0} {:>9.0} {:>9.2}",
        lines / seconds,
        megabytes / seconds,
        cpu_seconds() - cpu
    );
}

/// CPU time of this process, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn unsealed(directory: &Path) -> Done<bool> {
    for log in std::fs::read_dir(directory.join("logs"))? {
        let files = std::fs::read_dir(log?.path())?.collect::<Result<Vec<_>, _>>()?;
        if files.iter().filter(|file| file.path().extension().is_some_and(|kind| kind == "log")).count() > 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Has the system forget the files of the logs.
fn drop_cache(directory: &Path) -> Done {
    for log in std::fs::read_dir(directory.join("logs"))? {
        for file in std::fs::read_dir(log?.path())? {
            let file = File::open(file?.path())?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
