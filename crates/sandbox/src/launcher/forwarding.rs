//! Whether the host forwards packets: switched on with consent, and off again by the last who needs it.
//!
//! All Samovars of one network namespace share a file that holds what was changed. Whoever needs the change holds a
//! shared lock on it, which the kernel releases however a launcher ends; who finds it unlocked undoes the change.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock};

use crate::plan::egress::Families;

const FORWARD4: &str = "/proc/sys/net/ipv4/ip_forward";
const FORWARD6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
const INTERFACES6: &str = "/proc/sys/net/ipv6/conf";

/// A share in what was switched on; the last one that is dropped switches it off.
pub(super) struct Forwarding {
    /// What was changed, a line each: a path, a space, the former value.
    changed: File,
    /// Where that file is, also once the launcher has left the host's file system.
    runs: OwnedFd,
    name: String,
}

impl Forwarding {
    /// Undoes what was left behind, or takes a share in what others still need. `runs` is a directory that all
    /// Samovars share.
    pub(super) fn take_over(runs: &Path) -> io::Result<Self> {
        let name = format!("forwarding-{}", fs::metadata("/proc/self/ns/net")?.ino());
        let path = runs.join(&name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let runs = rustix::fs::open(runs, flags, Mode::empty())?;
        loop {
            let mut changed =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            if flock(&changed, FlockOperation::NonBlockingLockExclusive).is_ok() {
                undo(&mut changed)?;
            }
            flock(&changed, FlockOperation::LockShared)?;
            // Whoever was last may have removed the file between the two calls; then the lock is on nothing.
            if fs::metadata(&path)
                .is_ok_and(|named| changed.metadata().is_ok_and(|own| own.ino() == named.ino()))
            {
                return Ok(Self { changed, runs, name });
            }
        }
    }

    /// What the host forwards now.
    pub(super) fn found() -> Families {
        let is_on = |path| fs::read_to_string(path).is_ok_and(|value| value.trim() == "1");
        Families { v4: is_on(FORWARD4), v6: is_on(FORWARD6) }
    }

    /// What it forwards because a Samovar said so.
    pub(super) fn is_ours(&self) -> Families {
        let text = text(&self.changed).unwrap_or_default();
        Families { v4: text.contains(FORWARD4), v6: text.contains(FORWARD6) }
    }

    /// Switches forwarding on.
    pub(super) fn switch_on(&mut self, families: Families) -> io::Result<()> {
        let mut paths = Vec::new();
        if families.v6 {
            // A host that forwards heeds no router's advertisement unless it is told to heed them all the same;
            // without them it would lose its own addresses and routes. The order matters.
            paths.extend(heeding_routers()?.into_iter().map(|path| (path, "2")));
            paths.push((PathBuf::from(FORWARD6), "1"));
        }
        if families.v4 {
            paths.push((PathBuf::from(FORWARD4), "1"));
        }
        self.changed.seek(SeekFrom::End(0))?;
        for (path, value) in paths {
            let former = fs::read_to_string(&path)?;
            writeln!(self.changed, "{} {}", path.display(), former.trim())?;
            fs::write(&path, value)?;
        }
        Ok(())
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        if flock(&self.changed, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        if let Err(error) = undo(&mut self.changed) {
            return crate::sys::say(format_args!("the host's forwarding is left switched on: {error}"));
        }
        let _ = rustix::fs::unlinkat(&self.runs, self.name.as_str(), AtFlags::empty());
    }
}

/// The settings of interfaces that heed routers' advertisements only as long as the host does not forward.
fn heeding_routers() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for interface in fs::read_dir(INTERFACES6)?.flatten() {
        let path = interface.path().join("accept_ra");
        let is_one = fs::read_to_string(&path).is_ok_and(|value| value.trim() == "1");
        // New interfaces begin as `default` says, and ours shall not heed what a sandbox says.
        if is_one && !matches!(interface.file_name().to_str(), Some("all" | "default")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Undoes the changes, the latest first, and forgets them.
fn undo(changed: &mut File) -> io::Result<()> {
    for line in text(changed)?.lines().rev() {
        let Some((path, former)) = line.split_once(' ') else { continue };
        match fs::write(path, former) {
            // The interface is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    changed.set_len(0)?;
    changed.seek(SeekFrom::Start(0)).map(drop)
}

fn text(mut file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
