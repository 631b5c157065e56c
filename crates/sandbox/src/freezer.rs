//! Stopping everything that runs in one sandbox, and letting it go on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::plan::groups::Version;

/// Stops and continues one sandbox's processes, all but its init.
///
/// A stopped process of version 1 does not die before it goes on, so whoever kills thaws.
#[derive(Debug)]
pub struct Freezer {
    file: OwnedFd,
    version: Version,
}

impl Freezer {
    pub(crate) const fn new(file: OwnedFd, version: Version) -> Self {
        Self { file, version }
    }

    /// That of a group; none where the kernel has none.
    pub(crate) fn open(group: BorrowedFd<'_>, version: Version) -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(group, version.freezer_file(), flags, Mode::empty()).ok()?;
        Some(Self { file, version })
    }

    /// Tells the kernel to stop everything, and does not wait until all stands.
    pub fn freeze(&self) -> io::Result<()> {
        self.write(true)
    }

    /// Lets everything go on. Harmless to what is not stopped.
    pub fn thaw(&self) -> io::Result<()> {
        self.write(false)
    }

    /// Whether everything stands, with version 1; version 2 says so elsewhere, and nobody here needs to know.
    pub(crate) fn is_frozen(&self) -> bool {
        let mut state = [0; 8];
        self.version == Version::V1
            && rustix::io::pread(&self.file, &mut state, 0)
                .is_ok_and(|length| state[..length] == *b"FROZEN\n")
    }

    /// The same for another process.
    pub(crate) fn share(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, version: self.version })
    }

    pub(crate) fn into_parts(self) -> (OwnedFd, Version) {
        (self.file, self.version)
    }

    fn write(&self, frozen: bool) -> io::Result<()> {
        rustix::io::pwrite(&self.file, self.version.freezer_value(frozen).as_bytes(), 0)?;
        Ok(())
    }
}

impl AsFd for Freezer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
