//! Running one query in the background, over its groups' events as one stream with the latest first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base::clock::Clock;
use record::insights::{Event, Results};
use record::logs::{FoundEvent, LogError, Scan};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use wire::logs::QueryStatus;

use super::ended_by;
use super::shelf::{Entry, Work};

/// Longest time a query waits and runs. Source: CloudWatch Logs quotas, "Query timeout".
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Events that are taken before a query is looked at again: whether it was stopped, how far it is.
const BATCH: usize = 2048;

/// How much less a query's thread weighs than the others when both want a core. Ours: invocations come first.
const NICENESS: i32 = 10;

/// Runs a query to its end, whatever that is.
pub async fn run(entry: Arc<Entry>, workers: Arc<Semaphore>, logs: record::Logs, clock: Clock) {
    let ended = tokio::select! {
        ended = to_the_end(&entry, workers, &logs) => ended,
        () = entry.stopping.notified() => QueryStatus::Cancelled,
        () = clock.sleep(LONGEST) => QueryStatus::Timeout,
    };
    finish(&entry, ended, clock).await;
}

async fn to_the_end(entry: &Arc<Entry>, workers: Arc<Semaphore>, logs: &record::Logs) -> QueryStatus {
    let Ok(place) = workers.acquire_owned().await else { return QueryStatus::Failed };
    entry.change(|progress| progress.status = QueryStatus::Running);
    let (done, ended) = oneshot::channel();
    let (entry, logs, runtime) = (entry.clone(), logs.clone(), Handle::current());
    // A thread of its own, which yields to all others: also what finds the events is done there, for it takes longer
    // than the query itself.
    let work = move || {
        let _place = place;
        // Linux has a niceness for each thread. Where it cannot be set, queries compete with invocations.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "a query runs without niceness");
        }
        let status = runtime.block_on(scan(&entry, &logs, &done)).unwrap_or_else(|error| {
            let source = std::error::Error::source(&error);
            tracing::warn!(%error, source, "a query of logs could not read them");
            QueryStatus::Failed
        });
        // Nobody waits for a query that was stopped.
        let _ = done.send(status);
    };
    match std::thread::Builder::new().name("query".into()).spawn(work) {
        Ok(_) => ended.await.unwrap_or(QueryStatus::Failed),
        Err(error) => {
            tracing::warn!(%error, "a query of logs has no thread");
            QueryStatus::Failed
        }
    }
}

/// Gives a query all its events, until it has what it wants or nobody waits for it.
async fn scan(
    entry: &Entry,
    logs: &record::Logs,
    asked: &oneshot::Sender<QueryStatus>,
) -> Result<QueryStatus, LogError> {
    let about = &entry.about;
    let mut merge = Merge(Vec::new());
    for group in &about.groups {
        let scan = logs.scan(&about.scope, group, about.from, about.until, true).await?;
        let log = format!("{}:{group}", about.scope.account).into();
        merge.0.push(Stream { log, scan, ahead: VecDeque::new(), ended: false });
    }
    while !asked.is_closed() {
        let batch = merge.batch().await?;
        if batch.is_empty() {
            return Ok(QueryStatus::Complete);
        }
        if let Some(status) = take(entry, &batch) {
            return Ok(status);
        }
    }
    Ok(QueryStatus::Cancelled)
}

/// Events, each with its account and group.
type Batch = Vec<(Arc<str>, FoundEvent)>;

/// Gives events to a query; answers how it ended, if it did.
fn take(entry: &Entry, batch: &[(Arc<str>, FoundEvent)]) -> Option<QueryStatus> {
    let mut work = entry.work();
    let Work::Under(execution) = &mut *work else { return Some(QueryStatus::Failed) };
    let (mut records, mut bytes) = (0, 0);
    let mut ended = None;
    for (log, found) in batch {
        if entry.is_stopped() {
            break;
        }
        let event = Event {
            timestamp: found.timestamp,
            ingested: found.ingested,
            log,
            stream: &found.stream,
            id: &found.id,
            message: &found.message,
        };
        records += 1;
        bytes += found.message.len() as u64;
        if let Err(limit) = execution.take(&event) {
            *work = Work::Done(Arc::new(ended_by(limit)));
            ended = Some(QueryStatus::Failed);
            break;
        }
        if execution.is_full() {
            ended = Some(QueryStatus::Complete);
            break;
        }
    }
    drop(work);
    entry.change(|progress| {
        progress.records += records;
        progress.bytes += bytes;
    });
    ended
}

/// Keeps the answer and lets go of the rest.
async fn finish(entry: &Arc<Entry>, status: QueryStatus, clock: Clock) {
    let last = entry.clone();
    let finished = tokio::task::spawn_blocking(move || {
        let Work::Under(execution) = std::mem::replace(&mut *last.work(), Work::Done(Arc::default())) else {
            return Some(0);
        };
        let results = execution.finish().map_err(ended_by).ok()?;
        let bytes = size(&results);
        last.done(results);
        Some(bytes)
    });
    let finished = finished.await.ok().flatten();
    entry.change(|progress| {
        let failed = finished.is_none() && status == QueryStatus::Complete;
        progress.status = if failed { QueryStatus::Failed } else { status };
        progress.ended = Some(clock.now());
        progress.answer_bytes = finished.unwrap_or_default();
    });
}

/// What an answer takes, about.
fn size(results: &Results) -> usize {
    let fields = results.rows.iter().flatten();
    fields.map(|(_, value)| 2 * size_of::<String>() + value.len()).sum()
}

/// Several groups' events as one stream.
struct Merge(Vec<Stream>);

struct Stream {
    /// Account and group.
    log: Arc<str>,
    scan: Scan,
    /// Read and not yet given away.
    ahead: VecDeque<FoundEvent>,
    ended: bool,
}

impl Merge {
    /// Some events, the latest first; none at the end.
    async fn batch(&mut self) -> Result<Batch, LogError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            for stream in &mut self.0 {
                while stream.ahead.is_empty() && !stream.ended {
                    match stream.scan.next().await? {
                        Some(events) => stream.ahead.extend(events),
                        None => stream.ended = true,
                    }
                }
            }
            let next = self.0.iter_mut().filter(|stream| !stream.ahead.is_empty());
            let Some(next) = next.max_by_key(|stream| stream.ahead.front().map(|event| event.timestamp))
            else {
                break;
            };
            batch.extend(next.ahead.pop_front().map(|event| (next.log.clone(), event)));
        }
        Ok(batch)
    }
}
