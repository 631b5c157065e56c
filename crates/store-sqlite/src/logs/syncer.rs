//! Makes durable what was appended in the background, and removes what was dropped.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use base::limits::{LOG_OPEN_FILES, LOG_SYNC_DELAY};

use super::shelf::Shelf;
use crate::guard::sync_directory;

/// A segment file with what must be durable for it to be.
#[derive(Debug, Clone)]
pub struct Unsynced {
    /// The file.
    pub file: Arc<File>,
    /// Directories that got a name for its sake.
    pub directories: Vec<PathBuf>,
}

impl Unsynced {
    /// Makes file and names durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.directories.iter().try_for_each(|directory| match sync_directory(directory) {
            // The log was dropped meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            answer => answer,
        })
    }
}

#[derive(Debug, Default)]
struct Waiting {
    files: HashMap<PathBuf, Unsynced>,
    trash: Vec<PathBuf>,
    /// Files that the thread has taken and not finished.
    syncing: HashSet<PathBuf>,
    /// Somebody waits for room.
    urgent: bool,
    closed: bool,
}

/// What waits for the thread.
#[derive(Debug)]
pub struct Syncer {
    shelf: Arc<Shelf>,
    waiting: Mutex<Waiting>,
    /// The thread has something to do.
    more: Condvar,
    /// The thread has taken what there was, or finished a file.
    taken: Condvar,
}

impl Syncer {
    /// Nothing waits at first.
    pub fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf, waiting: Mutex::default(), more: Condvar::new(), taken: Condvar::new() }
    }

    /// Has a file made durable soon. Waits when there are too many already.
    pub fn add(&self, path: PathBuf, file: Arc<File>, directories: Vec<PathBuf>) {
        let mut waiting = self.lock();
        while waiting.files.len() >= LOG_OPEN_FILES && !waiting.files.contains_key(&path) {
            waiting.urgent = true;
            self.more.notify_one();
            waiting = self.taken.wait(waiting).expect("nobody panics while holding what waits");
        }
        // Once it has a file the thread waits for more of them, and not for this.
        if waiting.files.is_empty() {
            self.more.notify_one();
        }
        let unsynced =
            waiting.files.entry(path).or_insert_with(|| Unsynced { file, directories: Vec::new() });
        unsynced.directories.extend(directories);
    }

    /// Takes a file back, to be made durable by the caller: answers the directories that still have to be.
    ///
    /// Waits for the thread when it is just about this file.
    pub fn take(&self, path: &Path) -> Vec<PathBuf> {
        let at_it = |waiting: &mut Waiting| waiting.syncing.contains(path);
        let mut waiting =
            self.taken.wait_while(self.lock(), at_it).expect("nobody panics while holding what waits");
        waiting.files.remove(path).map(|unsynced| unsynced.directories).unwrap_or_default()
    }

    /// Takes back all files below a directory that is removed: another may get its name.
    pub fn forget(&self, directory: &Path) {
        self.lock().files.retain(|path, _| !path.starts_with(directory));
    }

    /// Has a directory removed.
    pub fn remove(&self, trash: PathBuf) {
        self.lock().trash.push(trash);
        self.more.notify_one();
    }

    /// Ends the thread when it has done everything.
    pub fn close(&self) {
        self.lock().closed = true;
        self.more.notify_one();
    }

    /// Works until closed.
    pub fn run(&self) {
        loop {
            let work = self.wait();
            // All names were given before this began: once is enough for each directory.
            let mut directories = HashSet::new();
            for (path, mut unsynced) in work.files {
                unsynced.directories.retain(|directory| directories.insert(directory.clone()));
                if let Err(error) = unsynced.sync() {
                    tracing::error!(%error, path = %path.display(), "a log is not durable, no more is appended");
                    self.shelf.fail();
                }
                self.lock().syncing.remove(&path);
                self.taken.notify_all();
            }
            for trash in work.trash {
                if let Err(error) = std::fs::remove_dir_all(&trash) {
                    tracing::warn!(%error, path = %trash.display(), "a dropped log is left for the next start");
                }
            }
            if work.closed {
                return;
            }
        }
    }

    /// Waits for work, and a little longer for more of it, so that one fsync does for many appends.
    fn wait(&self) -> Waiting {
        let idle =
            |waiting: &mut Waiting| waiting.files.is_empty() && waiting.trash.is_empty() && !waiting.closed;
        let patient = |waiting: &mut Waiting| !waiting.urgent && !waiting.closed;
        let waiting =
            self.more.wait_while(self.lock(), idle).expect("nobody panics while holding what waits");
        let (mut waiting, _) = self
            .more
            .wait_timeout_while(waiting, LOG_SYNC_DELAY, patient)
            .expect("nobody panics while holding what waits");
        let closed = waiting.closed;
        let work = std::mem::take(&mut *waiting);
        waiting.closed = closed;
        waiting.syncing = work.files.keys().cloned().collect();
        self.taken.notify_all();
        work
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while holding what waits")
    }
}
