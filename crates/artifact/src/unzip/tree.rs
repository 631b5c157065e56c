//! Makes files, directories and links beneath one directory, never through a link.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, openat2, symlinkat, unlinkat};
use rustix::io::Errno;

use super::path::Path;
use super::{Refusal, TYPE_DIRECTORY, TYPE_MASK};

/// Mode of every directory, whatever the archive says: a function must be able to enter it.
const DIRECTORY_MODE: u32 = 0o755;
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const MAKE_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directory that is filled. Keeps the last parent open, since archives list their entries by directory.
pub struct Tree<'a> {
    root: BorrowedFd<'a>,
    last: Option<(String, OwnedFd)>,
}

impl<'a> Tree<'a> {
    /// Fills `root`.
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, last: None }
    }

    /// Makes a directory, and those above it.
    pub fn directory(&mut self, path: &Path<'_>) -> Result<(), Refusal> {
        let parent = self.parent(path)?;
        make_directory(parent, path.name, path)
    }

    /// Makes an empty file; an earlier file or link of that name is replaced, as unzip does.
    pub fn file(&mut self, path: &Path<'_>, mode: u32) -> Result<File, Refusal> {
        let parent = self.parent(path)?;
        let open = || openat2(parent, path.name, MAKE_FILE, Mode::from_raw_mode(mode), BENEATH);
        let made = match open() {
            Err(Errno::EXIST) => {
                replace(parent, path).and_then(|()| open().map_err(|errno| refused(errno, path)))
            }
            other => other.map_err(|errno| refused(errno, path)),
        }?;
        // The helper's umask must not decide what the archive says.
        rustix::fs::fchmod(&made, Mode::from_raw_mode(mode)).map_err(|errno| refused(errno, path))?;
        Ok(made.into())
    }

    /// Makes a link that points where it likes; nothing here ever follows it.
    pub fn link(&mut self, path: &Path<'_>, target: &[u8]) -> Result<(), Refusal> {
        let parent = self.parent(path)?;
        match symlinkat(target, parent, path.name) {
            Err(Errno::EXIST) => {
                replace(parent, path)?;
                symlinkat(target, parent, path.name).map_err(|errno| refused(errno, path))
            }
            other => other.map_err(|errno| refused(errno, path)),
        }
    }

    /// The directory that `path` lies in, made when missing.
    fn parent(&mut self, path: &Path<'_>) -> Result<BorrowedFd<'_>, Refusal> {
        if path.above.is_empty() {
            return Ok(self.root);
        }
        let wanted = path.above.join("/");
        if self.last.as_ref().is_none_or(|(open, _)| *open != wanted) {
            let mut directory = rustix::io::dup(self.root).map_err(|errno| refused(errno, path))?;
            for part in &path.above {
                make_directory(directory.as_fd(), part, path)?;
                directory = openat2(&directory, *part, OPEN_DIRECTORY, Mode::empty(), BENEATH)
                    .map_err(|errno| refused(errno, path))?;
            }
            self.last = Some((wanted, directory));
        }
        match &self.last {
            Some((_, directory)) => Ok(directory.as_fd()),
            None => Ok(self.root),
        }
    }
}

/// Makes one directory; one that is there is fine, anything else of that name is not.
fn make_directory(parent: BorrowedFd<'_>, name: &str, path: &Path<'_>) -> Result<(), Refusal> {
    match mkdirat(parent, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Ok(()) => rustix::fs::chmodat(parent, name, Mode::from_raw_mode(DIRECTORY_MODE), AtFlags::empty())
            .map_err(|errno| refused(errno, path)),
        Err(Errno::EXIST) if is_directory(parent, name) => Ok(()),
        Err(Errno::EXIST) => Err(Refusal::BadPath(path.to_string())),
        Err(errno) => Err(refused(errno, path)),
    }
}

fn is_directory(parent: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| stat.st_mode & TYPE_MASK == TYPE_DIRECTORY)
}

/// Takes an earlier file or link away; a directory stays and is an error.
fn replace(parent: BorrowedFd<'_>, path: &Path<'_>) -> Result<(), Refusal> {
    unlinkat(parent, path.name, AtFlags::empty()).map_err(|errno| refused(errno, path))
}

/// A link or a file in the way is the archive's fault; anything else the machine's.
fn refused(errno: Errno, path: &Path<'_>) -> Refusal {
    match errno {
        Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG | Errno::PERM => {
            Refusal::BadPath(path.to_string())
        }
        errno => Refusal::Io(errno.to_string()),
    }
}
