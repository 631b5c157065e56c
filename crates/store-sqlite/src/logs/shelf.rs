//! All logs: where they are, and what is known of those that were used lately.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use base::limits::LOG_REMEMBERED;
use sha2::{Digest, Sha256};
use store::{Disk, LogName, LogSpace};

use super::log::{Log, Used};
use super::sealer::Sealer;
use crate::guard::sync_directory;

/// What is known of one log. Whoever holds its lock may look at its files or change them.
#[derive(Debug)]
pub enum Slot {
    /// Its directory was not looked at.
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists.
    Present(Log),
}

/// A slot and when it was used last.
#[derive(Debug)]
struct Place {
    slot: Arc<Mutex<Slot>>,
    used: u64,
}

/// Where the logs are.
#[derive(Debug)]
pub struct Shelf {
    root: PathBuf,
    trash: PathBuf,
    places: Mutex<HashMap<LogName, Place>>,
    uses: AtomicU64,
    trashed: AtomicU64,
    failed: AtomicBool,
    used: Arc<Used>,
    /// What waits to be compressed.
    pub sealer: Sealer,
}

impl Shelf {
    /// Makes the directories that are not there, and removes what an earlier process did not get to remove.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let shelf = Self {
            root: directory.join("logs"),
            trash: directory.join("logs-dropped"),
            places: Mutex::default(),
            uses: AtomicU64::new(0),
            trashed: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            used: Arc::default(),
            sealer: Sealer::default(),
        };
        if shelf.trash.exists() {
            std::fs::remove_dir_all(&shelf.trash)?;
        }
        for path in [&shelf.root, &shelf.trash] {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        sync_directory(directory)?;
        for entry in std::fs::read_dir(&shelf.root)? {
            shelf.used.add(size(&entry?.path())?);
        }
        Ok(shelf)
    }

    /// The slot of a log. The same one for all who use it at once.
    pub fn slot(&self, name: &LogName) -> Arc<Mutex<Slot>> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut places = self.places.lock().expect("nobody panics while holding the places");
        if let Some(place) = places.get_mut(name) {
            place.used = used;
            return place.slot.clone();
        }
        if places.len() >= LOG_REMEMBERED {
            forget(&mut places);
        }
        let slot = Arc::new(Mutex::new(Slot::Unknown));
        places.insert(name.clone(), Place { slot: slot.clone(), used });
        slot
    }

    /// Locks a slot and looks its log up if that was not done.
    pub fn look<'a>(&self, name: &LogName, slot: &'a Mutex<Slot>) -> io::Result<MutexGuard<'a, Slot>> {
        let mut known = slot.lock().expect("nobody panics while holding a slot");
        if matches!(*known, Slot::Unknown) {
            let log = Log::load(&self.directory(name), self.used.clone())?;
            if let Some(log) = &log {
                self.sealer.add(name, log.unsealed());
            }
            *known = log.map_or(Slot::Absent, Slot::Present);
        }
        Ok(known)
    }

    /// The directory of a log, whether it exists or not.
    pub fn directory(&self, name: &LogName) -> PathBuf {
        self.root.join(hex::encode(Sha256::digest(name.as_str())))
    }

    /// Makes a log that does not exist, with its first segment.
    pub fn create(&self, name: &LogName) -> io::Result<(Log, File)> {
        Log::create(&self.directory(name), self.used.clone())
    }

    /// What all logs take, and the disk.
    pub fn space(&self) -> io::Result<LogSpace> {
        let disk = rustix::fs::statvfs(&self.root)?;
        let disk = Disk { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize };
        Ok(LogSpace { logs: self.used.bytes(), disk: Some(disk) })
    }

    /// The directory that the directories of logs are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a log away at once and for good; answers what is to be removed.
    pub fn drop_log(&self, name: &LogName) -> io::Result<Option<PathBuf>> {
        let slot = self.slot(name);
        let mut known = slot.lock().expect("nobody panics while holding a slot");
        let directory = self.directory(name);
        let bytes = size(&directory).unwrap_or_default();
        let trash = self.discard(&directory)?;
        self.used.subtract(bytes);
        sync_directory(&self.root)?;
        *known = Slot::Absent;
        Ok(trash)
    }

    /// Takes all logs away; answers what is to be removed.
    pub fn clear(&self) -> io::Result<Option<PathBuf>> {
        let places = self.places.lock().expect("nobody panics while holding the places");
        let trash = self.discard(&self.root)?;
        self.used.subtract(u64::MAX);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        self.root.parent().map_or(Ok(()), sync_directory)?;
        // Slots stay the same: somebody may be about to use one.
        for place in places.values() {
            *place.slot.lock().expect("nobody panics while holding a slot") = Slot::Absent;
        }
        Ok(trash)
    }

    /// Moves a directory to where it is as good as removed.
    fn discard(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let trash = self.trash.join(self.trashed.fetch_add(1, Ordering::Relaxed).to_string());
        match std::fs::rename(path, &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an fsync has failed.
    ///
    /// What the kernel could not write it forgets, and a later fsync succeeds all the same: from then on nothing
    /// here may be called durable until a process has looked at the files anew.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Remembers that an fsync has failed.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// Bytes of the files in a log's directory.
fn size(directory: &Path) -> io::Result<u64> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Forgets the half of the logs that was not used for longest, but none that is in use.
fn forget(places: &mut HashMap<LogName, Place>) {
    let mut uses: Vec<u64> = places.values().map(|place| place.used).collect();
    let middle = uses.len() / 2;
    let (_, &mut median, _) = uses.select_nth_unstable(middle);
    places.retain(|_, place| place.used >= median || Arc::strong_count(&place.slot) > 1);
}
