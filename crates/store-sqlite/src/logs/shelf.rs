//! All logs: where they are, and what is known of those that were used lately.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use base::limits::LOG_REMEMBERED;
use sha2::{Digest, Sha256};
use store::LogName;

use super::log::Log;
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
        };
        if shelf.trash.exists() {
            std::fs::remove_dir_all(&shelf.trash)?;
        }
        for path in [&shelf.root, &shelf.trash] {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        sync_directory(directory)?;
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
            *known = Log::load(&self.directory(name))?.map_or(Slot::Absent, Slot::Present);
        }
        Ok(known)
    }

    /// The directory of a log, whether it exists or not.
    pub fn directory(&self, name: &LogName) -> PathBuf {
        self.root.join(hex::encode(Sha256::digest(name.as_str())))
    }

    /// The directory that the directories of logs are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a log away at once and for good; answers what is to be removed.
    pub fn drop_log(&self, name: &LogName) -> io::Result<Option<PathBuf>> {
        let slot = self.slot(name);
        let mut known = slot.lock().expect("nobody panics while holding a slot");
        let trash = self.discard(&self.directory(name))?;
        sync_directory(&self.root)?;
        *known = Slot::Absent;
        Ok(trash)
    }

    /// Takes all logs away; answers what is to be removed.
    pub fn clear(&self) -> io::Result<Option<PathBuf>> {
        let places = self.places.lock().expect("nobody panics while holding the places");
        let trash = self.discard(&self.root)?;
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

/// Forgets the half of the logs that was not used for longest, but none that is in use.
fn forget(places: &mut HashMap<LogName, Place>) {
    let mut uses: Vec<u64> = places.values().map(|place| place.used).collect();
    let middle = uses.len() / 2;
    let (_, &mut median, _) = uses.select_nth_unstable(middle);
    places.retain(|_, place| place.used >= median || Arc::strong_count(&place.slot) > 1);
}
