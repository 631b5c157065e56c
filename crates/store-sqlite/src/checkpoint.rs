//! Copies the write-ahead log into the database on a thread of its own, so that commits do not wait for it.
//!
//! A checkpoint beside a busy writer never gets to the end of the log, and only then does the log start over.
//! So when the log is long, the writer does the little that is left itself, between two transactions; and when the
//! thread does not keep up at all, the writer waits for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use base::limits::STORE_WAL_BYTES;
use rusqlite::Connection;

use crate::OpenError;
use crate::schema::connect;

/// Bytes written between two checkpoints, roughly.
const INTERVAL_BYTES: usize = 2 * 1024 * 1024;

/// What a job writes beside its keys and bodies: pages of tables and indexes.
const JOB_BYTES: usize = 2 * 4096;

/// Length of the log, in bytes, from which on the writer waits for the thread: on a busy machine that may get hardly
/// any time.
const TOO_LONG: u64 = 2 * STORE_WAL_BYTES;

/// What both ends share.
#[derive(Debug, Default)]
struct Shared {
    log_is_long: AtomicBool,
    /// Held by who copies: SQLite turns a second one away without a word.
    copying: Mutex<()>,
}

/// The writer's end.
#[derive(Debug)]
pub struct Checkpoints {
    due: SyncSender<()>,
    shared: Arc<Shared>,
    log: PathBuf,
    written: usize,
}

/// The thread's end.
#[derive(Debug)]
pub struct Checkpointer {
    due: Receiver<()>,
    shared: Arc<Shared>,
    connection: Connection,
}

/// Makes both ends.
pub fn checkpoints(path: &Path) -> Result<(Checkpoints, Checkpointer), OpenError> {
    let (sender, due) = sync_channel(1);
    let shared = Arc::new(Shared::default());
    let checkpointer = Checkpointer { due, shared: shared.clone(), connection: connect(path)? };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Ok((Checkpoints { due: sender, shared, log: log.into(), written: 0 }, checkpointer))
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
        if self.shared.log_is_long.swap(false, Ordering::Relaxed) || self.log_is_too_long() {
            let _alone = self.shared.copying.lock().expect("nobody panics while copying the log");
            checkpoint(writer);
        }
    }

    /// The file is cut back when the log starts over.
    fn log_is_too_long(&self) -> bool {
        self.log.metadata().is_ok_and(|log| log.len() > TOO_LONG)
    }
}

impl Checkpointer {
    /// Works until the writer is gone.
    pub fn run(self) {
        while self.due.recv().is_ok() {
            let copying = self.shared.copying.lock().expect("nobody panics while copying the log");
            let length = checkpoint(&self.connection);
            drop(copying);
            if length > STORE_WAL_BYTES {
                self.shared.log_is_long.store(true, Ordering::Relaxed);
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
