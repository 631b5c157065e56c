//! The queries that run or ran lately, in bounded number and memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base::arn::Scope;
use base::clock::Timestamp;
use record::insights::{Execution, Results};
use tokio::sync::{Notify, Semaphore};
use wire::error::ServiceError;
use wire::logs::{QueryStatus, exception};

use super::ended_by;

/// Queries of one account and region that wait or run. Source: CloudWatch Logs User Guide, "Analyzing log data with
/// CloudWatch Logs Insights".
const AT_ONCE: usize = 100;

/// Most queries that run at the same time; others wait. Ours: each may use `QUERY_BYTES`.
const WORKERS: usize = 4;

/// How long an answer is kept. Ours; AWS keeps it for seven days, on disk.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Queries that are remembered, the latest ones. Ours.
const REMEMBERED: usize = 1000;

/// How old partial results may be: making them costs about as much as the query itself. Ours.
const PARTIAL: Duration = Duration::from_secs(1);

/// Bytes of answers that are kept; the oldest go first. Ours.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// All queries. Clones share them.
#[derive(Debug, Clone)]
pub struct Queries {
    entries: Arc<Mutex<Vec<Arc<Entry>>>>,
    /// The right to run.
    workers: Arc<Semaphore>,
}

/// A query.
#[derive(Debug)]
pub struct Entry {
    pub about: About,
    progress: Mutex<Progress>,
    work: Mutex<Work>,
    /// What was found until a moment; let go of at the end.
    partial: Mutex<(Timestamp, Arc<Results>)>,
    stopped: AtomicBool,
    /// Told when it was stopped.
    pub stopping: Notify,
}

/// What never changes about a query.
#[derive(Debug)]
pub struct About {
    pub id: String,
    pub scope: Scope,
    pub text: String,
    pub groups: Vec<String>,
    /// Events from this moment on, and before that one.
    pub from: Timestamp,
    pub until: Timestamp,
    pub created: Timestamp,
}

/// How far a query is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub status: QueryStatus,
    pub records: u64,
    /// Of messages.
    pub bytes: u64,
    pub ended: Option<Timestamp>,
    /// What its answer takes, about; nothing while it runs, for which there is a limit of its own.
    pub answer_bytes: usize,
}

/// What a query has found.
#[derive(Debug)]
pub enum Work {
    Under(Box<Execution>),
    Done(Arc<Results>),
}

impl Default for Queries {
    fn default() -> Self {
        // Half of the cores at most: invocations come first.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = (cores / 2).clamp(1, WORKERS);
        Self { entries: Arc::default(), workers: Arc::new(Semaphore::new(workers)) }
    }
}

impl Queries {
    /// Remembers a query that is to run, with what lets it.
    ///
    /// # Errors
    /// `LimitExceededException` when too many wait or run already.
    pub fn add(
        &self,
        about: About,
        execution: Execution,
    ) -> Result<(Arc<Entry>, Arc<Semaphore>), ServiceError> {
        let mut entries = self.entries(about.created);
        let same = entries.iter().filter(|entry| entry.about.scope == about.scope && !entry.has_ended());
        if same.count() >= AT_ONCE {
            let message = format!("Account maximum query concurrency limit of [{AT_ONCE}] reached.");
            return Err(exception::LIMIT_EXCEEDED.with(message));
        }
        if entries.len() >= REMEMBERED
            && let Some(oldest) = entries.iter().position(|entry| entry.has_ended())
        {
            entries.remove(oldest);
        }
        let progress =
            Progress { status: QueryStatus::Scheduled, records: 0, bytes: 0, ended: None, answer_bytes: 0 };
        let entry = Arc::new(Entry {
            partial: Mutex::new((about.created, Arc::default())),
            about,
            progress: Mutex::new(progress),
            work: Mutex::new(Work::Under(Box::new(execution))),
            stopped: AtomicBool::new(false),
            stopping: Notify::new(),
        });
        entries.push(entry.clone());
        Ok((entry, self.workers.clone()))
    }

    /// A query by its number.
    pub fn get(&self, id: &str, now: Timestamp) -> Option<Arc<Entry>> {
        self.entries(now).iter().find(|entry| entry.about.id == id).cloned()
    }

    /// All that are remembered.
    pub fn latest_first(&self, now: Timestamp) -> Vec<Arc<Entry>> {
        self.entries(now).iter().rev().cloned().collect()
    }

    /// The queries, without those whose answers are no longer kept.
    fn entries(&self, now: Timestamp) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        let mut entries = self.entries.lock().expect("nobody panics while holding the queries");
        let fresh = |entry: &Entry| entry.progress().ended.is_none_or(|ended| now.since(ended) < KEPT);
        entries.retain(|entry| fresh(entry));
        let mut room = ANSWER_BYTES;
        for at in (0..entries.len()).rev() {
            match room.checked_sub(entries[at].progress().answer_bytes) {
                Some(left) => room = left,
                None => drop(entries.remove(at)),
            }
        }
        entries
    }
}

impl Entry {
    pub fn progress(&self) -> Progress {
        *self.locked_progress()
    }

    /// Keeps the answer, and lets go of what came before it.
    pub fn done(&self, results: Results) {
        *self.work() = Work::Done(Arc::new(results));
        self.partial.lock().expect("nobody panics while holding partial results").1 = Arc::default();
    }

    pub fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.locked_progress());
    }

    /// Held while events are taken, so not to be waited for where others wait too.
    pub fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().expect("nobody panics while holding a query's work")
    }

    /// Tells a query to stop; answers whether it was waiting or running.
    pub fn stop(&self) -> bool {
        let ends = !self.has_ended() && !self.stopped.swap(true, Ordering::Relaxed);
        self.stopping.notify_one();
        ends
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// How far it is, and what it has found until then or a little earlier.
    pub async fn results(self: &Arc<Self>, now: Timestamp) -> (Progress, Arc<Results>) {
        let progress = self.progress();
        if progress.ended.is_none() {
            let mut partial = self.partial.lock().expect("nobody panics while holding partial results");
            if now.since(partial.0) < PARTIAL {
                return (progress, partial.1.clone());
            }
            // Others who ask meanwhile get the earlier ones.
            partial.0 = now;
        }
        let entry = self.clone();
        let found = move || {
            let execution = match &*entry.work() {
                Work::Done(results) => return results.clone(),
                Work::Under(execution) => execution.clone(),
            };
            let results = Arc::new(execution.finish().unwrap_or_else(ended_by));
            let mut partial = entry.partial.lock().expect("nobody panics while holding partial results");
            partial.1 = results.clone();
            results
        };
        (progress, tokio::task::spawn_blocking(found).await.unwrap_or_default())
    }

    fn has_ended(&self) -> bool {
        self.progress().ended.is_some()
    }

    fn locked_progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("nobody panics while holding a query's progress")
    }
}
