//! Makes files below a directory, and nowhere else.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::path::EntryPath;
use super::{Refusal, UnzipLimits};

/// Everything below one directory.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    /// The directory that was used last: archives keep those of one directory together.
    last: Option<(Vec<String>, OwnedFd)>,
    made: u64,
    limit: u64,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, limits: &UnzipLimits) -> Self {
        Self { root, last: None, made: 0, limit: limits.entries }
    }

    /// Files, links and directories that were made.
    pub(super) const fn made(&self) -> u64 {
        self.made
    }

    /// Makes a directory and those above it.
    pub(super) fn directory(&mut self, path: &EntryPath<'_>) -> Result<(), Refusal> {
        self.enter(&path.parts, path).map(|_| ())
    }

    /// Makes an empty file in place of what is there, unless that is a directory.
    pub(super) fn file(&mut self, path: &EntryPath<'_>) -> Result<File, Refusal> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.make(path, |parent, name| {
            rustix::fs::openat2(parent, name, flags, Mode::from_raw_mode(0o600), beneath())
        })?;
        Ok(file.into())
    }

    /// Makes a link in place of what is there, unless that is a directory. Its target is not looked at.
    pub(super) fn symlink(&mut self, path: &EntryPath<'_>, target: &[u8]) -> Result<(), Refusal> {
        self.make(path, |parent, name| rustix::fs::symlinkat(target, parent, name))
    }

    fn make<T>(
        &mut self,
        path: &EntryPath<'_>,
        make: impl Fn(BorrowedFd<'_>, &str) -> Result<T, Errno>,
    ) -> Result<T, Refusal> {
        let Some((name, above)) = path.parts.split_last() else {
            return Err(Refusal::entry(path.name.as_bytes(), "has no name"));
        };
        self.count()?;
        let parent = self.enter(above, path)?;
        let made = match make(parent, name) {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(parent, *name, AtFlags::empty()).and_then(|()| make(parent, name))
            }
            other => other,
        };
        made.map_err(|errno| refused(errno, path))
    }

    /// The directory, made if it is not there.
    fn enter(&mut self, parts: &[&str], path: &EntryPath<'_>) -> Result<BorrowedFd<'_>, Refusal> {
        if parts.is_empty() {
            return Ok(self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != parts) {
            let directory = match open(self.root, &parts.join("/")) {
                Err(Errno::NOENT) => self.make_all(parts, path)?,
                other => other.map_err(|errno| refused(errno, path))?,
            };
            self.last = Some((parts.iter().map(ToString::to_string).collect(), directory));
        }
        Ok(self.last.as_ref().map_or(self.root, |(_, directory)| directory.as_fd()))
    }

    fn make_all(&mut self, parts: &[&str], path: &EntryPath<'_>) -> Result<OwnedFd, Refusal> {
        let mut directory = None;
        for part in parts {
            let parent = directory.as_ref().map_or(self.root, OwnedFd::as_fd);
            match rustix::fs::mkdirat(parent, *part, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    self.count()?;
                    // Whatever the umask is. It is the directory just made, so this follows no link.
                    rustix::fs::chmodat(parent, *part, Mode::from_raw_mode(0o755), AtFlags::empty())
                        .map_err(|errno| refused(errno, path))?;
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(errno, path)),
            }
            directory = Some(open(parent, part).map_err(|errno| refused(errno, path))?);
        }
        directory.ok_or_else(|| Refusal::entry(path.name.as_bytes(), "has no name"))
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.made += 1;
        if self.made > self.limit { Err(Refusal::TooManyEntries { limit: self.limit }) } else { Ok(()) }
    }
}

/// Appends to a file that was just made.
pub(super) fn write(file: &mut File, bytes: &[u8]) -> Result<(), Refusal> {
    file.write_all(bytes).map_err(|error| Refusal::Io {
        doing: "writing a file".into(),
        errno: error.raw_os_error().unwrap_or_default(),
    })
}

/// Gives a file its permissions and time.
pub(super) fn finish(file: &File, mode: u32, modified: Option<i64>) -> Result<(), Refusal> {
    if let Some(seconds) = modified {
        let at = Timespec { tv_sec: seconds, tv_nsec: 0 };
        rustix::fs::futimens(file, &Timestamps { last_access: at, last_modification: at })
            .map_err(|errno| Refusal::io("setting a file's time", errno))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
        .map_err(|errno| Refusal::io("setting a file's permissions", errno))
}

fn open(below: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(below, path, flags, Mode::empty(), beneath())
}

fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

/// What an archive can bring about is its fault, the rest the system's.
fn refused(errno: Errno, path: &EntryPath<'_>) -> Refusal {
    let entry = |reason| Refusal::entry(path.name.as_bytes(), reason);
    match errno {
        Errno::LOOP | Errno::XDEV => entry("leads through a link"),
        Errno::NOTDIR => entry("is below something that is not a directory"),
        Errno::ISDIR | Errno::EXIST => entry("is a directory and something else"),
        other => Refusal::io("making a file or directory", other),
    }
}
