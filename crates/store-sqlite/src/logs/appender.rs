//! The one thread that writes to logs. Appends that must be durable share their fsyncs.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::{LOG_OPEN_FILES, LOG_SEGMENT_BYTES, STORE_GROUP};
use store::{LogName, LogPosition, LogRecord, LogUsage, StoreError, Sync};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::frame::encode;
use super::log::Log;
use super::shelf::{Shelf, Slot};
use super::syncer::{Syncer, Unsynced};
use crate::writer::Reply;

/// What the thread can do.
#[derive(Debug)]
pub enum Work {
    /// See [`store::Store::append`]. At least one record; the time is that of ingestion.
    Append(LogName, Vec<LogRecord>, Timestamp, Sync, Reply<LogPosition>),
    /// See [`store::Store::drop_log`].
    Drop(LogName, Reply<()>),
    /// See [`store::Store::trim_log`].
    Trim(LogName, LogPosition, Reply<LogUsage>),
    /// Removes all logs.
    Clear(Reply<()>),
}

/// Work, and its share of the bytes that may wait.
#[derive(Debug)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// Given back when the work is done.
    pub room: OwnedSemaphorePermit,
}

/// What the thread owns.
#[derive(Debug)]
pub struct Appender {
    shelf: Arc<Shelf>,
    syncer: Arc<Syncer>,
    /// Segments that were written lately, by path.
    open: HashMap<PathBuf, Open>,
    uses: u64,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    used: u64,
}

/// Where records went.
struct Written {
    path: PathBuf,
    unsynced: Unsynced,
    end: LogPosition,
}

/// Appends that are answered when their file is durable.
#[derive(Default)]
struct Group {
    files: HashMap<PathBuf, Unsynced>,
    answers: Vec<(Reply<LogPosition>, LogPosition, OwnedSemaphorePermit)>,
}

impl Appender {
    /// Holds no file at first.
    pub fn new(shelf: Arc<Shelf>, syncer: Arc<Syncer>) -> Self {
        Self { shelf, syncer, open: HashMap::new(), uses: 0 }
    }

    /// Works until nobody can ask for more, and all that was asked is done.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(STORE_GROUP);
        while inbox.blocking_recv_many(&mut jobs, STORE_GROUP) > 0 {
            let mut group = Group::default();
            for job in jobs.drain(..) {
                self.step(job, &mut group);
            }
            self.finish(group);
        }
        self.syncer.close();
        self.shelf.sealer.close();
    }

    // Nobody may be waiting for an answer any more: what `send` says is of no interest.
    fn step(&mut self, Job { work, room }: Job, group: &mut Group) {
        match work {
            Work::Append(log, records, ingested, Sync::Background, reply) => {
                let written = self.append(&log, &records, ingested).map(|written| {
                    let Unsynced { file, directories } = written.unsynced;
                    self.syncer.add(written.path, file, directories);
                    written.end
                });
                let _ = reply.send(written);
            }
            Work::Append(log, records, ingested, Sync::Now, reply) => {
                match self.append(&log, &records, ingested) {
                    Ok(written) => {
                        self.gather(written.path, written.unsynced, group);
                        group.answers.push((reply, written.end, room));
                    }
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            // The files of the group may go; what was asked before is answered before.
            Work::Drop(log, reply) => {
                self.finish(std::mem::take(group));
                let _ = reply.send(self.drop_log(&log).map_err(refused));
            }
            Work::Trim(log, before, reply) => {
                self.finish(std::mem::take(group));
                let _ = reply.send(self.trim(&log, before.0));
            }
            Work::Clear(reply) => {
                self.finish(std::mem::take(group));
                let _ = reply.send(self.clear().map_err(refused));
            }
        }
    }

    fn append(
        &mut self,
        name: &LogName,
        records: &[LogRecord],
        ingested: Timestamp,
    ) -> Result<Written, StoreError> {
        if self.shelf.has_failed() {
            return Err(StoreError::Closed);
        }
        let slot = self.shelf.slot(name);
        let mut known = self.shelf.look(name, &slot).map_err(refused)?;
        let mut directories = Vec::new();
        if !matches!(*known, Slot::Present(_)) {
            let (log, file) = self.shelf.create(name).map_err(refused)?;
            directories.extend([log.directory().to_owned(), self.shelf.root().to_owned()]);
            self.keep(log.last().path, Arc::new(file));
            *known = Slot::Present(log);
        }
        let Slot::Present(log) = &mut *known else { unreachable!("it was made just now") };
        self.roll(name, log, &mut directories)?;
        let path = log.last().path;
        let file = self.file(&path).map_err(refused)?;
        let mut bytes = Vec::new();
        let mut position = log.end();
        for record in records {
            position = encode(record, position, ingested, &mut bytes);
        }
        log.write(&file, &bytes).map_err(refused)?;
        Ok(Written { path, unsynced: Unsynced { file, directories }, end: LogPosition(position) })
    }

    /// Starts a new segment when the last one is long.
    fn roll(
        &mut self,
        name: &LogName,
        log: &mut Log,
        directories: &mut Vec<PathBuf>,
    ) -> Result<(), StoreError> {
        let last = log.last();
        if last.end - last.base < LOG_SEGMENT_BYTES {
            return Ok(());
        }
        let file = self.file(&last.path).map_err(refused)?;
        let names = self.syncer.take(&last.path);
        self.sync(&Unsynced { file, directories: names })?;
        self.open.remove(&last.path);
        let file = log.roll().map_err(refused)?;
        self.keep(log.last().path, Arc::new(file));
        directories.push(log.directory().to_owned());
        self.shelf.sealer.add(name, [last.base]);
        Ok(())
    }

    fn trim(&mut self, name: &LogName, before: u64) -> Result<LogUsage, StoreError> {
        let slot = self.shelf.slot(name);
        let mut known = self.shelf.look(name, &slot).map_err(refused)?;
        let Slot::Present(log) = &mut *known else { return Ok(LogUsage::default()) };
        let last = log.last();
        if before >= last.end && last.base < last.end {
            // The end of the log is the name of its last segment: that must be durable before the others go.
            let owed = self.syncer.take(&last.path);
            self.open.remove(&last.path);
            let file = Arc::new(log.roll().map_err(refused)?);
            let directories = owed.into_iter().chain([log.directory().to_owned()]).collect();
            self.sync(&Unsynced { file: file.clone(), directories })?;
            self.keep(log.last().path, file);
        }
        while log.trim_one(before).map_err(refused)? {}
        Ok(log.usage())
    }

    /// Adds a file, with what the background owes it, to those that are made durable for a group.
    fn gather(&self, path: PathBuf, unsynced: Unsynced, group: &mut Group) {
        let owed = self.syncer.take(&path);
        let Unsynced { file, directories } = unsynced;
        let gathered = group.files.entry(path).or_insert_with(|| Unsynced { file, directories: Vec::new() });
        gathered.directories.extend(directories.into_iter().chain(owed));
    }

    /// Makes a group durable and answers it.
    fn finish(&self, group: Group) {
        let synced = group.files.values().try_for_each(|unsynced| self.sync(unsynced));
        for (reply, end, room) in group.answers {
            let _ = reply.send(synced.clone().map(|()| end));
            drop(room);
        }
    }

    fn sync(&self, unsynced: &Unsynced) -> Result<(), StoreError> {
        unsynced.sync().map_err(|error| {
            tracing::error!(%error, "a log is not durable, no more is appended");
            self.shelf.fail();
            refused(error)
        })
    }

    fn drop_log(&mut self, name: &LogName) -> io::Result<()> {
        let directory = self.shelf.directory(name);
        self.open.retain(|path, _| !path.starts_with(&directory));
        self.syncer.forget(&directory);
        if let Some(trash) = self.shelf.drop_log(name)? {
            self.syncer.remove(trash);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.open.clear();
        self.syncer.forget(self.shelf.root());
        if let Some(trash) = self.shelf.clear()? {
            self.syncer.remove(trash);
        }
        Ok(())
    }

    /// The open file of a segment.
    fn file(&mut self, path: &Path) -> io::Result<Arc<File>> {
        self.uses += 1;
        if let Some(open) = self.open.get_mut(path) {
            open.used = self.uses;
            return Ok(open.file.clone());
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        self.keep(path.to_owned(), file.clone());
        Ok(file)
    }

    /// Keeps a file open; closes those not used for longest when there are too many.
    fn keep(&mut self, path: PathBuf, file: Arc<File>) {
        if self.open.len() >= LOG_OPEN_FILES {
            let mut uses: Vec<u64> = self.open.values().map(|open| open.used).collect();
            let (_, &mut oldest, _) = uses.select_nth_unstable(LOG_OPEN_FILES / 4);
            self.open.retain(|_, open| open.used > oldest);
        }
        self.uses += 1;
        self.open.insert(path, Open { file, used: self.uses });
    }
}

fn refused(error: io::Error) -> StoreError {
    StoreError::io("writing a log", error)
}
