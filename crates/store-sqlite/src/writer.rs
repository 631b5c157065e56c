//! The one thread that writes to the database. What waits for it shares a transaction and its fsync.

use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::STORE_GROUP;
use rusqlite::Connection;
use store::{Claimed, Commit, LeaseToken, Revision, StoreError};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::broken;
use crate::checkpoint::Checkpoints;
use crate::ledger::{Claim, Ledger};

/// Where an answer goes. Nobody may be waiting for it any more.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer can do.
#[derive(Debug)]
pub enum Work {
    /// See [`store::Store::commit`].
    Commit(Commit, Reply<Revision>),
    /// See [`store::Store::claim`].
    Claim(Claim, Reply<Vec<Claimed>>),
    /// See [`store::Store::release`].
    Release(LeaseToken, Timestamp, Reply<()>),
    /// See [`store::Store::extend`].
    Extend(LeaseToken, Timestamp, Reply<()>),
    /// See [`store::Store::clear`]; without the logs.
    Clear(Reply<()>),
}

/// Work, and its share of the bytes that may wait.
#[derive(Debug)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// How much it writes, roughly.
    pub bytes: usize,
    /// Given back when the work is done.
    pub room: OwnedSemaphorePermit,
}

/// Gives an answer once it is known how the transaction ended.
type Waiting = Box<dyn FnOnce(Result<(), StoreError>)>;

/// What the thread owns.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    ledger: Ledger,
    current: Arc<watch::Sender<Revision>>,
    checkpoints: Checkpoints,
}

impl Writer {
    /// Reads the counters. `current` is kept at the revision of the last commit that is durable.
    pub fn new(connection: Connection, checkpoints: Checkpoints) -> rusqlite::Result<Self> {
        let ledger = Ledger::load(&connection)?;
        let current = Arc::new(watch::Sender::new(ledger.revision));
        Ok(Self { connection, ledger, current, checkpoints })
    }

    /// Tells the last durable revision.
    pub fn current(&self) -> watch::Receiver<Revision> {
        self.current.subscribe()
    }

    /// Works until nobody can ask for more, and all that was asked is done.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(STORE_GROUP);
        while inbox.blocking_recv_many(&mut jobs, STORE_GROUP) > 0 {
            self.checkpoints.join(&self.connection);
            let (count, bytes) = (jobs.len(), jobs.iter().map(|job| job.bytes).sum());
            self.group(std::mem::take(&mut jobs));
            self.checkpoints.written(count, bytes);
        }
    }

    /// Does jobs in one transaction and answers all when it is durable.
    ///
    /// When the storage fails nothing of the group happened, and all are told so.
    fn group(&mut self, jobs: Vec<Job>) {
        let before = self.ledger.clone();
        let mut waiting: Vec<(Waiting, OwnedSemaphorePermit)> = Vec::with_capacity(jobs.len());
        let mut ended = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(broken);
        for Job { work, room, .. } in jobs {
            let (answer, failed) = self.step(work, ended.is_ok());
            waiting.push((answer, room));
            ended = ended.and(failed.map_or(Ok(()), Err));
        }
        ended = ended.and_then(|()| {
            self.ledger.store(&self.connection).map_err(broken)?;
            self.connection.execute_batch("COMMIT").map_err(broken)
        });
        match &ended {
            Ok(()) => self.publish(),
            Err(error) => {
                tracing::error!(%error, source = ?std::error::Error::source(error), "a transaction failed");
                self.abandon(before);
            }
        }
        for (answer, room) in waiting {
            answer(ended.clone());
            drop(room);
        }
    }

    /// Does one job, unless the transaction has failed. Answers also the error that fails the transaction.
    fn step(&mut self, work: Work, alive: bool) -> (Waiting, Option<StoreError>) {
        let (ledger, connection) = (&mut self.ledger, &self.connection);
        match work {
            Work::Commit(commit, reply) => later(reply, alive, || ledger.commit(connection, commit)),
            Work::Claim(claim, reply) => {
                later(reply, alive, || ledger.claim(connection, &claim).map_err(broken))
            }
            Work::Release(token, due, reply) => {
                later(reply, alive, || ledger.release(connection, token, due))
            }
            Work::Extend(token, due, reply) => later(reply, alive, || ledger.extend(connection, token, due)),
            Work::Clear(reply) => later(reply, alive, || ledger.clear(connection).map_err(broken)),
        }
    }

    fn publish(&self) {
        let revision = self.ledger.revision;
        self.current.send_if_modified(|current| std::mem::replace(current, revision) != revision);
    }

    /// Takes the transaction back; SQLite may have done so itself.
    fn abandon(&mut self, before: Ledger) {
        self.ledger = before;
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction cannot be taken back");
        }
    }
}

/// Does the work now and keeps its answer until the transaction has ended.
fn later<T: 'static>(
    reply: Reply<T>,
    alive: bool,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> (Waiting, Option<StoreError>) {
    let done = if alive { work() } else { Err(StoreError::Closed) };
    let failed = match &done {
        Err(error @ (StoreError::Io { .. } | StoreError::Corrupt(_))) => Some(error.clone()),
        _ => None,
    };
    let waiting = move |ended: Result<(), StoreError>| {
        // Who asked may have gone; what was asked is done all the same.
        let _ = reply.send(ended.and(done));
    };
    (Box::new(waiting), failed)
}
