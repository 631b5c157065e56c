//! The store: hands what is asked to the threads that do it.

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use base::clock::{Clock, Timestamp};
use base::limits::{LOG_WAITING_BYTES, STORE_WAITING_BYTES};
use rusqlite::Connection;
use store::{
    Change, Claimed, Commit, Document, History, Key, LeaseToken, LogName, LogPage, LogPosition, LogRecord,
    LogSpace, LogUsage, Revision, Store, StoreError, Sync, Watch,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::checkpoint::checkpoints;
use crate::guard::Guard;
use crate::ledger::Claim;
use crate::logs::{self, Appender, Shelf, Syncer};
use crate::readers::{Readers, WeakReaders};
use crate::writer::{Job, Reply, Work, Writer};
use crate::{OpenError, query, schema};

/// Jobs that may wait for a thread, whatever their size.
const LINE: usize = 1024;

/// What a job takes of the bytes that may wait, beside its own.
const JOB_BYTES: usize = 256;

/// Threads that read the database, and as many that read logs. A long scan must not hold up the others.
const READERS: usize = 2;

/// How much less the threads that read logs weigh than others when all want a core: filters and queries are long,
/// and invocations come first. Ours.
const LOG_NICENESS: i32 = 5;

/// Documents, queues and logs in a directory.
///
/// Dropping it waits until everything that was asked is done and the files are closed: a few milliseconds.
#[derive(Debug)]
pub struct SqliteStore {
    clock: Clock,
    current: watch::Receiver<Revision>,
    writer: mpsc::Sender<Job>,
    writer_room: Arc<Semaphore>,
    appender: mpsc::Sender<logs::Job>,
    appender_room: Arc<Semaphore>,
    documents: Readers<Connection>,
    logs: Readers<Arc<Shelf>>,
    // These two last: fields are dropped in order. The threads end when nobody can ask them any more,
    // and the directory is free when they have ended.
    _threads: Threads,
    _guard: Guard,
}

#[derive(Debug, Default)]
struct Threads(Vec<JoinHandle<()>>);

impl SqliteStore {
    /// Opens the store in `directory`, which is made if it is not there. `clock` stamps what is appended to logs.
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, OpenError> {
        let guard = Guard::take(directory)?;
        let refused = |source| OpenError::Directory { path: directory.to_owned(), source };
        let database = directory.join("documents.db");
        let connection = schema::prepare(&database, clock.now())?;
        let (checkpoints, checkpointer) = checkpoints(&database)?;
        let documents = (0..READERS).map(|_| schema::connect(&database)).collect::<Result<Vec<_>, _>>()?;
        let shelf = Arc::new(Shelf::open(directory).map_err(refused)?);
        let syncer = Arc::new(Syncer::new(shelf.clone()));
        let writer = Writer::new(connection, checkpoints)?;
        let appender = Appender::new(shelf.clone(), syncer.clone());
        let current = writer.current();

        let mut threads = Threads::default();
        threads.start("store-checkpoint", move || checkpointer.run())?;
        threads.start("log-syncer", move || syncer.run())?;
        let sealing = shelf.clone();
        threads.start("log-sealer", move || logs::seal_segments(&sealing))?;
        let (writer_line, jobs) = mpsc::channel(LINE);
        threads.start("store-writer", move || writer.run(jobs))?;
        let (appender_line, jobs) = mpsc::channel(LINE);
        threads.start("log-appender", move || appender.run(jobs))?;
        Ok(Self {
            clock,
            current,
            writer: writer_line,
            writer_room: Arc::new(Semaphore::new(STORE_WAITING_BYTES)),
            appender: appender_line,
            appender_room: Arc::new(Semaphore::new(LOG_WAITING_BYTES)),
            documents: threads.read("store-reader", 0, documents)?,
            logs: threads.read("log-reader", LOG_NICENESS, vec![shelf; READERS])?,
            _threads: threads,
            _guard: guard,
        })
    }

    /// Has the writer do something, and waits for its answer.
    async fn write<T>(&self, bytes: usize, work: impl FnOnce(Reply<T>) -> Work) -> Result<T, StoreError> {
        let room = room(&self.writer_room, bytes).await?;
        let (reply, answer) = oneshot::channel();
        let job = Job { work: work(reply), bytes, room };
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Has the appender do something, and waits for its answer.
    async fn log<T>(&self, bytes: usize, work: impl FnOnce(Reply<T>) -> logs::Work) -> Result<T, StoreError> {
        let room = room(&self.appender_room, bytes).await?;
        let (reply, answer) = oneshot::channel();
        let job = logs::Job { work: work(reply), room };
        self.appender.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Waits until `bytes` more may wait.
async fn room(all: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
    let bytes = u32::try_from(bytes + JOB_BYTES).expect("requests are checked against base::limits");
    all.clone().acquire_many_owned(bytes).await.map_err(|_| StoreError::Closed)
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        commit.check()?;
        self.write(commit.bytes(), |reply| Work::Commit(commit, reply)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        let key = key.clone();
        self.documents.ask(move |connection| query::get(connection, &key)).await
    }

    async fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        self.documents.ask(move |connection| query::scan(connection, &prefix, after.as_ref(), limit)).await
    }

    async fn watch(&self, from: Revision) -> Result<Watch, StoreError> {
        self.documents.ask(move |connection| query::reachable(connection, from)).await?;
        let history = Arc::new(Followed(self.documents.downgrade()));
        Ok(Watch::new(history, self.current.clone(), from))
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(*self.current.borrow())
    }

    async fn claim(
        &self,
        queue: &str,
        max: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let claim = Claim { queue: queue.into(), max, now, deadline: now + lease };
        self.write(queue.len(), |reply| Work::Claim(claim, reply)).await
    }

    async fn release(&self, token: LeaseToken, not_before: Timestamp) -> Result<(), StoreError> {
        self.write(0, |reply| Work::Release(token, not_before, reply)).await
    }

    async fn extend(&self, token: LeaseToken, deadline: Timestamp) -> Result<(), StoreError> {
        self.write(0, |reply| Work::Extend(token, deadline, reply)).await
    }

    async fn queue_depth(&self, queue: &str) -> Result<u64, StoreError> {
        let queue = queue.to_owned();
        self.documents.ask(move |connection| query::depth(connection, &queue)).await
    }

    async fn queues(&self, prefix: &str) -> Result<Vec<Arc<str>>, StoreError> {
        let prefix = prefix.to_owned();
        self.documents.ask(move |connection| query::queues(connection, &prefix)).await
    }

    async fn queue_due(&self, queue: &str) -> Result<Option<Timestamp>, StoreError> {
        let queue = queue.to_owned();
        self.documents.ask(move |connection| query::due(connection, &queue)).await
    }

    async fn append(
        &self,
        log: &LogName,
        records: Vec<LogRecord>,
        sync: Sync,
    ) -> Result<LogPosition, StoreError> {
        let bytes = LogRecord::check(log, &records)?;
        if records.is_empty() {
            return self.log_end(log).await;
        }
        let (name, ingested) = (log.clone(), self.clock.now());
        self.log(bytes, |reply| logs::Work::Append(name, records, ingested, sync, reply)).await
    }

    async fn read(&self, log: &LogName, from: LogPosition, max_bytes: usize) -> Result<LogPage, StoreError> {
        let log = log.clone();
        self.logs.ask(move |shelf| logs::read(shelf, &log, from, max_bytes)).await
    }

    async fn read_back(
        &self,
        log: &LogName,
        before: LogPosition,
        max_bytes: usize,
    ) -> Result<LogPage, StoreError> {
        let log = log.clone();
        self.logs.ask(move |shelf| logs::read_back(shelf, &log, before, max_bytes)).await
    }

    async fn log_end(&self, log: &LogName) -> Result<LogPosition, StoreError> {
        let log = log.clone();
        self.logs.ask(move |shelf| logs::end(shelf, &log)).await
    }

    async fn trim_log(&self, log: &LogName, before: LogPosition) -> Result<LogUsage, StoreError> {
        let log = log.clone();
        self.log(0, |reply| logs::Work::Trim(log, before, reply)).await
    }

    async fn log_usage(&self, log: &LogName) -> Result<LogUsage, StoreError> {
        let log = log.clone();
        self.logs.ask(move |shelf| logs::usage(shelf, &log)).await
    }

    async fn log_space(&self) -> Result<LogSpace, StoreError> {
        self.logs.ask(|shelf| logs::space(shelf)).await
    }

    async fn drop_log(&self, log: &LogName) -> Result<(), StoreError> {
        let log = log.clone();
        self.log(0, |reply| logs::Work::Drop(log, reply)).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.write(0, Work::Clear).await?;
        self.log(0, logs::Work::Clear).await
    }
}

/// The history, for followers. They may outlive the store and must not keep it open.
struct Followed(WeakReaders<Connection>);

#[async_trait]
impl History for Followed {
    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        let readers = self.0.upgrade().ok_or(StoreError::Closed)?;
        readers.ask(move |connection| query::changes(connection, after, limit)).await
    }
}

impl Threads {
    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        self.0.push(Builder::new().name(name.to_owned()).spawn(run).map_err(OpenError::Thread)?);
        Ok(())
    }

    fn read<S: Send + 'static>(
        &mut self,
        name: &str,
        niceness: i32,
        sources: Vec<S>,
    ) -> Result<Readers<S>, OpenError> {
        let (readers, requests) = Readers::line();
        for source in sources {
            let requests = requests.clone();
            self.start(name, move || {
                // Where it cannot be set, readers weigh as much as others.
                let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
                requests.serve(source);
            })?;
        }
        Ok(readers)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}
