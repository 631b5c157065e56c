//! What the launcher's short-lived helpers do: unpack an archive, or remove a directory.
//!
//! Both work on what strangers wrote, as the owner of unpacked code and with no other right.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::process::Resource;
use rustix::thread::{CapabilitySet, UnshareFlags};

use crate::identity::CODE_OWNER_UID;
use crate::limits::{
    FUNCTION_CORE, UNPACK_ADDRESS_SPACE, UNPACK_CPU_SECONDS, UNPACK_FILE_BYTES, UNPACK_REPORT_BYTES,
};
use crate::plan::rooms::ROOT;
use crate::seccomp::Program;
use crate::setup::{Isolation, Unpack};
use crate::sys::{self, mounts, process};

/// Exit status of a helper that did its work.
pub(crate) const DONE: i32 = 0;

/// Exit status of a helper whose function refused the archive.
pub(crate) const REFUSED: i32 = 3;

/// Exit status of a helper that could not confine itself or do its work.
pub(crate) const BROKEN: i32 = 4;

/// One archive to unpack.
pub(crate) struct Unpacking<'a> {
    /// The archive.
    pub(crate) archive: OwnedFd,
    /// The empty directory it goes into.
    pub(crate) into: Target,
    /// Takes the function's report.
    pub(crate) report: OwnedFd,
    /// The set-up's function.
    pub(crate) unpack: Unpack,
    /// What it may call.
    pub(crate) filter: &'a Program,
}

/// The empty directory of an archive.
pub(crate) enum Target {
    /// In the launcher's tree; becomes the helper's root, in namespaces of its own.
    Root(PathBuf),
    /// All that the helper holds, where it has no walls but its filter: it starts nothing and reaches no network.
    Directory(OwnedFd),
}

/// Unpacks in the process that was just forked, as pid 1 of a new namespace; returns its exit status.
pub(crate) fn unpack(unpacking: Unpacking<'_>) -> i32 {
    // Nobody could tell a failure of these walls from a stranger's crash, so it is told before they stand.
    try_unpack(unpacking).unwrap_or_else(|error| {
        sys::say(format_args!("a package cannot be unpacked: {error}"));
        BROKEN
    })
}

fn try_unpack(Unpacking { archive, into, report, unpack, filter }: Unpacking<'_>) -> io::Result<i32> {
    let into_fd = match &into {
        Target::Root(_) => None,
        Target::Directory(directory) => Some(directory.as_fd()),
    };
    let kept: Vec<_> = [archive.as_fd(), report.as_fd()].into_iter().chain(into_fd).collect();
    process::close_all_but(&kept)?;
    process::die_with_parent()?;
    rustix::thread::set_name(c"samovar-unpack")?;
    let isolation = match &into {
        Target::Root(_) => Isolation::Full,
        Target::Directory(_) => Isolation::None,
    };
    let root = match into {
        Target::Root(path) => enter(&path)?,
        Target::Directory(directory) => {
            silence("/dev/null".as_ref())?;
            directory
        }
    };

    for (resource, value) in [
        (Resource::As, UNPACK_ADDRESS_SPACE),
        (Resource::Cpu, UNPACK_CPU_SECONDS),
        (Resource::Fsize, UNPACK_FILE_BYTES),
        (Resource::Nofile, base::limits::FUNCTION_FILES),
        (Resource::Nproc, 0),
    ] {
        process::limit_within(resource, value)?;
    }
    process::limit_within(Resource::Core, FUNCTION_CORE)?;
    become_owner(isolation)?;
    process::filter_calls(filter)?;

    let (status, text) = match unpack(&File::from(archive), root.as_fd()) {
        Ok(text) => (DONE, text),
        Err(text) => (REFUSED, text),
    };
    if text.len() > UNPACK_REPORT_BYTES {
        return Ok(BROKEN);
    }
    File::from(report).write_all(&text)?;
    Ok(status)
}

/// Makes the directory the root of this process, in namespaces of its own.
fn enter(into: &Path) -> io::Result<OwnedFd> {
    let separate = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWNET;
    process::unshare(separate)?;
    silence(&Path::new(ROOT).join("dev/null"))?;
    // A mount of its own makes the directory fit to be a root.
    mounts::bind(into, into)?;
    mounts::enter(into)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/", flags, Mode::empty())?)
}

/// Removes all that is in a directory, in the process that was just forked; returns its exit status.
pub(crate) fn clear(directory: OwnedFd, isolation: Isolation) -> i32 {
    let cleared = process::close_all_but(&[directory.as_fd()])
        .and_then(|()| process::die_with_parent())
        .and_then(|()| become_owner(isolation))
        .and_then(|()| empty(directory.as_fd()));
    match cleared {
        Ok(()) => DONE,
        Err(error) => {
            sys::say(format_args!("unpacked code cannot be removed: {error}"));
            BROKEN
        }
    }
}

/// Leaves the terminal: what a helper says could be a stranger's words.
fn silence(null: &Path) -> io::Result<()> {
    let null = rustix::fs::open(null, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    (0..3).try_for_each(|standard| process::place_fd(null.as_fd(), standard))
}

fn become_owner(isolation: Isolation) -> io::Result<()> {
    if isolation == Isolation::Full {
        process::bound_capabilities(CapabilitySet::empty())?;
        process::become_user(CODE_OWNER_UID, CODE_OWNER_UID)?;
    }
    process::hold_capabilities(CapabilitySet::empty())?;
    process::no_new_privileges()?;
    process::die_with_parent()
}

/// A directory on the way down, with the directories in it that are still to be removed.
struct Level {
    name: CString,
    directory: OwnedFd,
    below: Vec<CString>,
}

/// Empties a directory without ever following a link, however deep it goes.
fn empty(top: BorrowedFd<'_>) -> io::Result<()> {
    // Depth lives on the heap, and only one descriptor a level is held.
    let mut path: Vec<Level> = Vec::new();
    let mut below_top = remove_files(top)?;
    loop {
        let (current, below) = match path.last_mut() {
            Some(level) => (level.directory.as_fd(), &mut level.below),
            None => (top, &mut below_top),
        };
        if let Some(name) = below.pop() {
            let directory = open_writable(current, &name)?;
            let below = remove_files(directory.as_fd())?;
            path.push(Level { name, directory, below });
        } else {
            let Some(Level { name, .. }) = path.pop() else { return Ok(()) };
            let parent = path.last().map_or(top, |level| level.directory.as_fd());
            rustix::fs::unlinkat(parent, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Removes what is no directory; the names of the directories.
///
/// Each directory is read once: reading a large one again for every name in it keeps a helper busy for minutes, and
/// strangers choose what is in it.
fn remove_files(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            directories.push(name.to_owned());
        } else {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
        }
    }
    Ok(directories)
}

/// Opens a directory whatever mode its archive gave it; its owner may change that.
fn open_writable(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}
