//! Unpacks hostile zip archives. Synchronous; runs in a confined helper process.
//!
//! - Nothing that a header says is believed: entries and bytes are counted as they come out.
//! - Names that are absolute, empty, have `..`, NUL or a backslash are refused.
//! - Links are stored as they are and never followed: every path is opened with `openat2`,
//!   `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`.
//! - Of two entries with one name the later wins, as with other unpackers; a directory and a file of one name
//!   are refused.
//! - Permissions: directories are 0755. Files keep their archive's permissions without setuid, setgid and sticky
//!   bits, and may be read by all (and run by all if their owner may): a file of mode 0600, as Python's
//!   `ZipFile.writestr` makes them, cannot be read by a function on AWS; here it can, and
//!   [`Unpacked::unreadable`] tells so. Files from archives without Unix permissions are 0644.
//! - Devices, sockets, fifos and encrypted entries are refused.

mod path;
mod tree;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::BorrowedFd;

use base::limits;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use self::path::EntryPath;
use self::tree::Tree;
use crate::native::{self, NativeModule};

/// Longest symbolic link, in bytes. Source: Linux, `PATH_MAX` less its NUL.
const LINK: usize = 4095;

const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// What may come out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnzipLimits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, links and directories, those included that no entry names.
    pub entries: u64,
    /// Directories within directories.
    pub depth: usize,
}

impl Default for UnzipLimits {
    fn default() -> Self {
        Self { bytes: limits::UNZIPPED_BYTES, entries: limits::ZIP_ENTRIES as u64, depth: limits::ZIP_DEPTH }
    }
}

/// What came out of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, links and directories.
    pub entries: u64,
    /// The first compiled module of each kind.
    pub native: Vec<NativeModule>,
    /// Whether there is a `bootstrap` at the top.
    pub bootstrap: Bootstrap,
    /// The first file that a function could not read on AWS, because its archive lets only its owner read it.
    pub unreadable: Option<String>,
}

/// The program that a `provided.*` runtime starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bootstrap {
    /// There is none at the top.
    #[default]
    Absent,
    /// There is one that may not be executed.
    NotExecutable,
    /// There is one.
    Executable,
}

/// Why an archive was refused. Crosses a process boundary as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It holds nothing. AWS: `Uploaded file must be a non-empty zip`.
    #[error("the archive is empty")]
    Empty,
    /// It is no zip archive, or a damaged one.
    /// AWS: `Could not unzip uploaded file. Please check your file, then try to upload again.`
    #[error("not a zip archive: {reason}")]
    NotZip {
        /// What is wrong with it.
        reason: String,
    },
    /// More bytes come out than may. AWS: `Unzipped size must be smaller than 262144000 bytes`.
    #[error("more than {limit} bytes are in the archive")]
    TooLarge {
        /// How many may.
        limit: u64,
    },
    /// More files, links and directories come out than may.
    #[error("more than {limit} entries are in the archive")]
    TooManyEntries {
        /// How many may.
        limit: u64,
    },
    /// An entry has a name or is of a kind that is not unpacked.
    #[error("entry {name:?} {reason}")]
    BadEntry {
        /// The entry's name, shortened.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused; the archive may be good.
    #[error("{doing} (error {errno})")]
    Io {
        /// What was being done, as a noun phrase.
        doing: String,
        /// The system's error number.
        errno: i32,
    },
    /// The helper process died or ran out of its limits; the archive is most likely at fault.
    #[error("the unpacking process died")]
    Died,
}

impl Refusal {
    pub(crate) fn not_zip(reason: impl ToString) -> Self {
        Self::NotZip { reason: reason.to_string() }
    }

    pub(crate) fn entry(name: &[u8], reason: impl Into<String>) -> Self {
        let name = String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned();
        Self::BadEntry { name, reason: reason.into() }
    }

    pub(crate) fn io(doing: &str, errno: Errno) -> Self {
        Self::Io { doing: doing.into(), errno: errno.raw_os_error() }
    }
}

/// Unpacks `archive` into the empty directory `into`. What came out before a refusal stays there.
pub fn unpack(archive: &File, into: BorrowedFd<'_>, limits: &UnzipLimits) -> Result<Unpacked, Refusal> {
    let length = archive.metadata().map_err(|error| read_error("the archive's length", &error))?.len();
    if length == 0 {
        return Err(Refusal::Empty);
    }
    let mut zip = ZipArchive::new(BufReader::with_capacity(64 * 1024, archive)).map_err(zip_error)?;
    if zip.is_empty() {
        return Err(Refusal::Empty);
    }
    if zip.len() as u64 > limits.entries {
        return Err(Refusal::TooManyEntries { limit: limits.entries });
    }
    let mut unpacking = Unpacking { tree: Tree::new(into, limits), report: Unpacked::default(), limits };
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(zip_error)?;
        unpacking.entry(entry)?;
    }
    Ok(Unpacked { entries: unpacking.tree.made(), ..unpacking.report })
}

/// [`unpack`] under AWS's limits with its result as JSON, as the confined helper hands it back.
pub fn unpack_to_report(archive: &File, into: BorrowedFd<'_>) -> Result<Vec<u8>, Vec<u8>> {
    match unpack(archive, into, &UnzipLimits::default()) {
        Ok(unpacked) => Ok(json(&unpacked)),
        Err(refusal) => Err(json(&refusal)),
    }
}

fn json(report: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(report).expect("reports have text keys and no failing members")
}

/// Reads what [`unpack_to_report`] handed back. An empty refusal means that the helper died.
pub fn read_report(report: Result<Vec<u8>, Vec<u8>>) -> Result<Unpacked, Refusal> {
    match report {
        Ok(report) => serde_json::from_slice(&report).map_err(|_| Refusal::Died),
        Err(report) => Err(serde_json::from_slice(&report).unwrap_or(Refusal::Died)),
    }
}

struct Unpacking<'a> {
    tree: Tree<'a>,
    report: Unpacked,
    limits: &'a UnzipLimits,
}

impl Unpacking<'_> {
    fn entry<R: Read>(&mut self, mut entry: ZipFile<'_, R>) -> Result<(), Refusal> {
        let raw = entry.name_raw();
        // Names are UTF-8 in practice, whether the archive says so or not; else it is the old code page.
        let name = match std::str::from_utf8(raw) {
            Ok(name) => name.to_owned(),
            Err(_) => entry.name().map_err(zip_error)?.into_owned(),
        };
        let path = EntryPath::parse(&name, self.limits.depth)?;
        let mode = mode_of(&entry)?;
        match mode & TYPE {
            DIRECTORY => self.tree.directory(&path),
            _ if path.is_directory => self.tree.directory(&path),
            SYMLINK => self.symlink(&path, &mut entry),
            _ => self.file(&path, mode & 0o777, &mut entry),
        }
    }

    fn symlink(&mut self, path: &EntryPath<'_>, entry: &mut impl Read) -> Result<(), Refusal> {
        let mut target = Vec::new();
        entry
            .take(LINK as u64 + 1)
            .read_to_end(&mut target)
            .map_err(|error| read_error("an entry", &error))?;
        if target.is_empty() || target.len() > LINK || target.contains(&0) {
            return Err(Refusal::entry(path.name.as_bytes(), "is a link to no path"));
        }
        self.count(target.len())?;
        self.tree.symlink(path, &target)
    }

    fn file<R: Read>(
        &mut self,
        path: &EntryPath<'_>,
        mode: u32,
        entry: &mut ZipFile<'_, R>,
    ) -> Result<(), Refusal> {
        let modified = modified(entry);
        let mut file = self.tree.file(path)?;
        let mut buffer = [0; 64 * 1024];
        loop {
            let read = match entry.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_error("an entry", &error)),
            };
            self.count(read)?;
            tree::write(&mut file, &buffer[..read])?;
        }
        tree::finish(&file, readable_by_all(mode), modified)?;
        self.note(path, mode);
        Ok(())
    }

    fn note(&mut self, path: &EntryPath<'_>, mode: u32) {
        native::note(path.name, &mut self.report.native);
        if mode & 0o004 == 0 && self.report.unreadable.is_none() {
            let end = path.name.floor_char_boundary(256);
            self.report.unreadable = Some(path.name[..end].into());
        }
        if path.parts == ["bootstrap"] {
            let executable = readable_by_all(mode) & 0o001 != 0;
            self.report.bootstrap = if executable { Bootstrap::Executable } else { Bootstrap::NotExecutable };
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.report.bytes += bytes as u64;
        let limit = self.limits.bytes;
        if self.report.bytes > limit { Err(Refusal::TooLarge { limit }) } else { Ok(()) }
    }
}

/// Type and permissions. Archives made without either give a plain file of mode 0644.
fn mode_of<R: Read>(entry: &ZipFile<'_, R>) -> Result<u32, Refusal> {
    if entry.encrypted() {
        return Err(Refusal::entry(entry.name_raw(), "is encrypted"));
    }
    let mode = entry.external_attributes() >> 16;
    match mode & TYPE {
        // Made by a program that knows no Unix modes, or did not care.
        _ if mode == 0 => Ok(REGULAR | 0o644),
        0 => Ok(REGULAR | mode),
        REGULAR | DIRECTORY | SYMLINK => Ok(mode),
        // Other systems than Unix (3) and macOS (19) put what they like there.
        _ if !matches!(u8::from(entry.system()), 3 | 19) => Ok(REGULAR | 0o644),
        _ => Err(Refusal::entry(entry.name_raw(), "is a device, socket or fifo")),
    }
}

const fn readable_by_all(mode: u32) -> u32 {
    let executable = if mode & 0o100 != 0 { 0o111 } else { 0 };
    mode | 0o444 | executable
}

/// The entry's time of change in seconds since the epoch; zip knows no time zones, so it is taken for UTC.
fn modified<R: Read>(entry: &ZipFile<'_, R>) -> Option<i64> {
    let at = entry.last_modified()?;
    let date = chrono::NaiveDate::from_ymd_opt(at.year().into(), at.month().into(), at.day().into())?;
    let time = date.and_hms_opt(at.hour().into(), at.minute().into(), at.second().into())?;
    Some(time.and_utc().timestamp())
}

fn zip_error(error: ZipError) -> Refusal {
    match error {
        ZipError::Io(error) => read_error("the archive", &error),
        other => Refusal::not_zip(other),
    }
}

/// An error of the system has a number; others are what decoders think of the archive.
fn read_error(what: &str, error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(errno) => Refusal::Io { doing: format!("reading {what}"), errno },
        None => Refusal::not_zip(error),
    }
}

#[cfg(test)]
pub(crate) mod tests;
