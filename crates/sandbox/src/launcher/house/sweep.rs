//! What launchers left behind that were killed: this directory's own, and those whose directories nobody starts again.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use base::clock::Clock;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use super::{EGRESS, LOCK, NETWORK, OWN_NETWORK, entries, remove_directory};
use crate::cgroups;
use crate::launcher::egress;
use crate::limits::CGROUP_RETRIES;

/// Time that a start spends on what others left. Ours; what remains is the next one's.
const OTHERS_TIME: Duration = Duration::from_secs(2);

/// How often a busy group of others is tried. Ours: what is killed is mostly gone at the second look.
const OTHERS_TRIES: u32 = 20;

/// Ends what the lines in the lock file name, and empties the file.
pub(super) fn own(lock: &mut fs::File, instance: &str) -> io::Result<()> {
    let notes = Notes::read(lock)?;
    notes.sweep(instance, CGROUP_RETRIES);
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0)).map(drop)
}

/// The same for every other instance whose launcher has ended. `runs` is where the locks are; one that is held is a
/// living launcher's, and nothing of it is touched.
pub(super) fn others(runs: &OwnedFd, own: &str) {
    let clock = Clock::system();
    let deadline = clock.now() + OTHERS_TIME;
    for name in entries(runs).unwrap_or_default() {
        let Some(instance) = name.strip_suffix(LOCK).filter(|_| name != own) else { continue };
        // Whatever cannot be swept now stays as it is.
        let _ = sweep_other(runs, &name, instance);
        if deadline < clock.now() {
            return;
        }
    }
}

fn sweep_other(runs: &OwnedFd, name: &str, instance: &str) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut lock = fs::File::from(rustix::fs::openat(runs, name, flags, Mode::empty())?);
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    // Its launcher may have started and ended between the two calls, and another started since.
    let named = rustix::fs::statat(runs, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino;
    let notes = Notes::read(&mut lock)?;
    if named != lock.metadata()?.ino() || !notes.is_in_reach()? {
        return Ok(());
    }
    notes.sweep(instance, OTHERS_TRIES);
    if !notes.is_swept() {
        return Ok(());
    }
    remove_directory(runs, instance)?;
    Ok(rustix::fs::unlinkat(runs, name, AtFlags::empty())?)
}

/// What a launcher noted of what it made.
#[derive(Default)]
struct Notes {
    groups: Vec<PathBuf>,
    blocks: Vec<String>,
    /// The network namespace it was in, as far as it mattered.
    network: Option<u64>,
}

impl Notes {
    fn read(lock: &mut fs::File) -> io::Result<Self> {
        let mut text = Vec::new();
        lock.read_to_end(&mut text)?;
        let mut notes = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let told = String::from_utf8_lossy(line);
            if let Some(block) = told.strip_prefix(EGRESS) {
                notes.blocks.push(block.to_owned());
            } else if let Some(network) = told.strip_prefix(NETWORK) {
                notes.network = network.parse().ok();
            } else {
                notes.groups.push(OsString::from_vec(line.to_vec()).into());
            }
        }
        Ok(notes)
    }

    /// Whether what was made on the network was made here; elsewhere it is out of sight.
    fn is_in_reach(&self) -> io::Result<bool> {
        let here = fs::metadata(OWN_NETWORK)?.ino();
        Ok(self.network.is_none_or(|network| network == here))
    }

    fn sweep(&self, instance: &str, tries: u32) {
        self.groups.iter().for_each(|group| cgroups::thaw(group));
        self.groups.iter().for_each(|group| cgroups::sweep(group, tries));
        self.blocks.iter().for_each(|block| egress::sweep(instance, block));
    }

    fn is_swept(&self) -> bool {
        self.groups.iter().all(|group| !group.exists())
    }
}
