//! Unpacks a hostile zip archive beneath one directory.
//!
//! Nothing here trusts the archive: bytes are counted while they are inflated, every path is opened beneath the target
//! without following any link, links are stored as they are, and only plain files, directories and links are made.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::fd::BorrowedFd;

use base::limits;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;
use zip::result::ZipError;

mod path;
mod tree;

use path::EntryPath;
use tree::Tree;

/// Longest target of a symbolic link, in bytes. Source: Linux `PATH_MAX`.
const LINK_BYTES: u64 = 4096;
/// Different kinds of native modules that are worth telling; ours.
const NATIVE_KINDS: usize = 16;
const COPY_BYTES: usize = 64 * 1024;
/// Mode of a file whose archive tells none (made on DOS or Windows): readable, as AWS leaves it, not executable.
const MODE_UNTOLD: u32 = 0o644;
/// Read, write and execute; setuid, setgid and sticky are dropped.
const MODE_KEPT: u32 = 0o777;
const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct UnzipLimits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, directories and links together.
    pub entries: usize,
}

impl Default for UnzipLimits {
    fn default() -> Self {
        Self { bytes: limits::UNZIPPED_BYTES, entries: limits::ZIP_ENTRIES }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, directories and links together.
    pub entries: u64,
    /// What native modules were built for, such as `cpython-312`.
    pub native: Vec<String>,
}

/// Why an archive was not unpacked. Crosses a process boundary, so it is plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The archive holds nothing.
    #[error("the archive is empty")]
    Empty,
    /// Not a zip archive, a damaged one, an encrypted one, or one with an unknown compression.
    #[error("not a readable zip archive: {0}")]
    NotZip(String),
    /// More bytes than allowed come out.
    #[error("unpacks to more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// More entries than allowed.
    #[error("holds more than {limit} entries")]
    TooManyEntries {
        /// Entries allowed.
        limit: usize,
    },
    /// An entry that would land elsewhere, or on something that is not of its kind.
    #[error("entry {0:?} does not name a place beneath the package")]
    BadPath(String),
    /// A device, socket or pipe.
    #[error("entry {0:?} is neither a file, a directory nor a link")]
    Special(String),
    /// The disk or the kernel said no; not the archive's fault.
    #[error("cannot write the package: {0}")]
    Io(String),
    /// The helper ended without an answer.
    #[error("the unpacking helper ended without an answer")]
    Crashed,
}

/// Unpacks `archive` beneath the empty directory `into`.
///
/// Runs in a confined process; what it leaves behind after an error is the caller's to remove.
pub fn unpack(archive: &File, into: BorrowedFd<'_>, limits: &UnzipLimits) -> Result<Unpacked, Refusal> {
    let mut zip = ZipArchive::new(BufReader::new(archive)).map_err(not_zip)?;
    if zip.is_empty() {
        return Err(Refusal::Empty);
    }
    if zip.len() > limits.entries {
        return Err(Refusal::TooManyEntries { limit: limits.entries });
    }
    let mut work = Work { tree: Tree::new(into), left: limits.bytes, limits, native: BTreeSet::new() };
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(not_zip)?;
        let facts =
            Facts { name: entry.name_raw().to_vec(), mode: entry.unix_mode(), directory: entry.is_dir() };
        work.entry(entry, &facts)?;
    }
    Ok(Unpacked {
        bytes: limits.bytes - work.left,
        entries: zip.len() as u64,
        native: work.native.into_iter().collect(),
    })
}

/// What an entry says of itself.
struct Facts {
    name: Vec<u8>,
    mode: Option<u32>,
    directory: bool,
}

struct Work<'a> {
    tree: Tree<'a>,
    left: u64,
    limits: &'a UnzipLimits,
    native: BTreeSet<String>,
}

impl Work<'_> {
    fn entry(&mut self, content: impl Read, facts: &Facts) -> Result<(), Refusal> {
        let shown = || String::from_utf8_lossy(&facts.name).into_owned();
        let path = EntryPath::parse(&facts.name).ok_or_else(|| Refusal::BadPath(shown()))?;
        let kind = facts.mode.map_or(0, |mode| mode & TYPE_MASK);
        match (kind, path) {
            // The package's own directory is there already.
            (_, EntryPath::Root) if facts.directory => Ok(()),
            (_, EntryPath::Root) => Err(Refusal::BadPath(shown())),
            (0 | TYPE_DIRECTORY, EntryPath::Below(path)) if facts.directory => self.tree.directory(&path),
            (TYPE_LINK, EntryPath::Below(path)) => self.link(content, &path),
            (0 | TYPE_FILE, EntryPath::Below(path)) => {
                let mode = facts.mode.map_or(MODE_UNTOLD, |mode| mode & MODE_KEPT);
                self.file(content, &path, mode)
            }
            (_, EntryPath::Below(_)) => Err(Refusal::Special(shown())),
        }
    }

    fn file(&mut self, mut content: impl Read, path: &path::Path<'_>, mode: u32) -> Result<(), Refusal> {
        let mut file = self.tree.file(path, mode)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = content.read(&mut buffer).map_err(damaged)?;
            if count == 0 {
                break;
            }
            self.take(count as u64)?;
            file.write_all(&buffer[..count]).map_err(|error| Refusal::Io(error.to_string()))?;
        }
        if self.native.len() < NATIVE_KINDS {
            self.native.extend(path.native_kind());
        }
        Ok(())
    }

    fn link(&mut self, content: impl Read, path: &path::Path<'_>) -> Result<(), Refusal> {
        let mut target = Vec::new();
        content.take(LINK_BYTES + 1).read_to_end(&mut target).map_err(damaged)?;
        self.take(target.len() as u64)?;
        if target.is_empty() || target.len() as u64 > LINK_BYTES || target.contains(&0) {
            return Err(Refusal::BadPath(path.to_string()));
        }
        self.tree.link(path, &target)
    }

    /// Counts what was inflated, whatever the headers promised.
    fn take(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(bytes).ok_or(Refusal::TooLarge { limit: self.limits.bytes })?;
        Ok(())
    }
}

fn not_zip(error: ZipError) -> Refusal {
    Refusal::NotZip(error.to_string())
}

fn damaged(error: std::io::Error) -> Refusal {
    Refusal::NotZip(error.to_string())
}

#[cfg(test)]
mod tests;
