//! The file that holds the master key, and the retired ones beside it: `retired-<id>.key`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base::random::Dice;
use rustix::fs::{AtFlags, CWD, OFlags};

use super::ring::{KeyId, id_of};
use crate::secret::KeyBytes;

/// How the name of a retired key's file begins and ends; its id is between.
const RETIRED: (&str, &str) = ("retired-", ".key");

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Others than the server could have read or replaced the key.
    #[error(
        "key file {} may be read or written by others (mode {mode:03o}); run `chmod 600` on it, and consider what \
         it protected as read",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("key file {} belongs to user {owner} and the server is user {user}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// Who the server is.
        user: u32,
    },
    /// It is no key.
    #[error("key file {} is not a file of exactly 32 bytes; put the right one back from a backup", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A key file and what tells its key from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The key's id.
    pub id: KeyId,
    /// Where it is.
    pub path: PathBuf,
}

/// Reads the key, and makes one if there is none. Of two that make one at the same time, both read the same.
pub(super) fn open_or_make(path: &Path, dice: &Dice) -> Result<KeyBytes, OpenError> {
    match open(path) {
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path, dice).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
            open(path)
        }
        other => other,
    }
}

/// Reads a key that nobody but this user can have read or replaced.
pub(super) fn open(path: &Path) -> Result<KeyBytes, OpenError> {
    let file = handle(path)?;
    trusted(&file, path)?;
    read(&file, path)
}

/// The files of the keys that were current before the one in `key_file`, by name.
pub(super) fn retired(key_file: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let directory = directory_of(key_file);
    let refused = |source| OpenError::Io { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(RETIRED.0) && name.ends_with(RETIRED.1)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The current key's file and those of the retired ones.
pub(super) fn list(key_file: &Path) -> Result<Vec<KeyFile>, OpenError> {
    let paths = std::iter::once(key_file.to_owned()).chain(retired(key_file)?);
    let mut listed: Vec<KeyFile> = Vec::new();
    for path in paths {
        let id = id_of(&read(&handle(&path)?, &path)?);
        if listed.iter().all(|other| other.id != id) {
            listed.push(KeyFile { id, path });
        }
    }
    Ok(listed)
}

/// Puts a new key in the place of the one that has the id `old`, which gets a second name first.
pub(super) fn replace(path: &Path, old: KeyId, dice: &Dice) -> Result<(), OpenError> {
    let (begin, end) = RETIRED;
    let retired = path.with_file_name(format!("{begin}{old}{end}"));
    let replaced = keep_as(path, &retired).and_then(|()| {
        let draft = draft(path, dice)?;
        std::fs::rename(&draft, path).inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
        settle(path)
    });
    replaced.map_err(|source| OpenError::Io { path: path.to_owned(), source })
}

/// Gives the file a further name; one that was interrupted here has given it already.
fn keep_as(path: &Path, name: &Path) -> io::Result<()> {
    match rustix::fs::linkat(CWD, path, CWD, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => settle(path),
        Err(error) => Err(error.into()),
    }
}

/// Makes the names in the file's directory durable.
fn settle(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn handle(path: &Path) -> Result<File, OpenError> {
    // Non-blocking, so that a fifo in the file's place is seen for what it is.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    opened.map_err(|source| OpenError::Io { path: path.to_owned(), source })
}

/// Refuses a file that others can have read or replaced.
fn trusted(file: &File, path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    let (owner, user, mode) = (metadata.uid(), rustix::process::geteuid().as_raw(), metadata.mode() & 0o7777);
    if !metadata.is_file() {
        return Err(OpenError::Shape { path });
    }
    if mode & 0o077 != 0 {
        return Err(OpenError::Exposed { path, mode });
    }
    if owner != user {
        return Err(OpenError::Foreign { path, owner, user });
    }
    Ok(())
}

fn read(mut file: &File, path: &Path) -> Result<KeyBytes, OpenError> {
    let (mut key, mut more) = (KeyBytes([0; 32]), [0]);
    let path = path.to_owned();
    match file.read_exact(&mut key.0).and_then(|()| file.read(&mut more)) {
        Ok(0) => Ok(key),
        Ok(_) => Err(OpenError::Shape { path }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::Shape { path }),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(OpenError::Shape { path }),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

/// Writes a key beside `path` and links it into its place when it is whole and durable. A key that appeared
/// there meanwhile is kept.
fn make(path: &Path, dice: &Dice) -> io::Result<()> {
    let draft = draft(path, dice)?;
    let made = match rustix::fs::linkat(CWD, &draft, CWD, path, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => settle(path),
        Err(error) => Err(error.into()),
    };
    let removed = std::fs::remove_file(&draft);
    made.and(removed)
}

/// A new key, whole and durable, in a file beside `path`.
fn draft(path: &Path, dice: &Dice) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", dice.hex::<8>()));
    let draft = path.with_file_name(name);
    write(&draft, dice).inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
    Ok(draft)
}

fn write(draft: &Path, dice: &Dice) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let key = KeyBytes(dice.bytes());
    file.write_all(&key.0)?;
    file.sync_all()
}
