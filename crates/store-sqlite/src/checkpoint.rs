//! Copies the write-ahead log into the database on a thread of its own, so that commits do not wait for it.
//!
//! A checkpoint beside a busy writer never gets to the end of the log, and only then does the log start over.
//! So when the log is long, the writer does the little that is left itself, between two transactions.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use base::limits::STORE_WAL_BYTES;
use rusqlite::Connection;

use crate::OpenError;
use crate::schema::connect;

/// Bytes written between two checkpoints, roughly.
const INTERVAL_BYTES: usize = 2 * 1024 * 1024;

/// What a job writes beside its keys and bodies: pages of tables and indexes.
const JOB_BYTES: usize = 2 * 4096;

/// The writer's end.
#[derive(Debug)]
pub struct Checkpoints {
    due: SyncSender<()>,
    log_is_long: Arc<AtomicBool>,
    written: usize,
}

/// The thread's end.
#[derive(Debug)]
pub struct Checkpointer {
    due: Receiver<()>,
    log_is_long: Arc<AtomicBool>,
    connection: Connection,
}

/// Makes both ends.
pub fn checkpoints(path: &Path) -> Result<(Checkpoints, Checkpointer), OpenError> {
    let (sender, due) = sync_channel(1);
    let log_is_long = Arc::new(AtomicBool::new(false));
    let checkpointer = Checkpointer { due, log_is_long: log_is_long.clone(), connection: connect(path)? };
    Ok((Checkpoints { due: sender, log_is_long, written: 0 }, checkpointer))
}

impl Checkpoints {
    /// Counts what a transaction wrote, and has it copied when it is enough.
    pub fn written(&mut self, jobs: usize, bytes: usize) {
        self.written += bytes + jobs * JOB_BYTES;
        if self.written >= INTERVAL_BYTES {
            self.written = 0;
            // A full channel means that the thread is about to look anyway.
            let _ = self.due.try_send(());
        }
    }

    /// Finishes the checkpoint when the log is long, so that the next transaction starts it over.
    pub fn join(&self, writer: &Connection) {
        if self.log_is_long.swap(false, Ordering::Relaxed) {
            checkpoint(writer);
        }
    }
}

impl Checkpointer {
    /// Works until the writer is gone.
    pub fn run(self) {
        while self.due.recv().is_ok() {
            if checkpoint(&self.connection) > STORE_WAL_BYTES {
                self.log_is_long.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Copies what no reader holds back, without waiting for anybody. Answers the length of the log, in bytes.
fn checkpoint(connection: &Connection) -> u64 {
    const FRAME: u64 = 4096 + 24;
    let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get::<_, i64>(1));
    match pages {
        Ok(pages) => u64::try_from(pages).unwrap_or(0) * FRAME,
        Err(error) => {
            tracing::warn!(%error, "a checkpoint failed, the next one will do its work");
            0
        }
    }
}
