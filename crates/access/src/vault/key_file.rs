//! The file that holds the master key.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base::random::Dice;
use rustix::fs::{AtFlags, CWD, OFlags};

use crate::secret::KeyBytes;

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

/// Reads the key, and makes one if there is none. Of two that make one at the same time, both read the same.
pub(super) fn open_or_make(path: &Path, dice: &Dice) -> Result<KeyBytes, OpenError> {
    let refused = |source| OpenError::Io { path: path.to_owned(), source };
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path, dice).map_err(refused)?;
            read(open(path).map_err(refused)?, path)
        }
        other => read(other.map_err(refused)?, path),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Non-blocking, so that a fifo in the file's place is seen for what it is.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

fn read(file: File, path: &Path) -> Result<KeyBytes, OpenError> {
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
    let mut key = KeyBytes([0; 32]);
    match (&file).read_exact(&mut key.0) {
        Ok(()) if metadata.len() == 32 => Ok(key),
        Ok(()) => Err(OpenError::Shape { path }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::Shape { path }),
        Err(source) => Err(OpenError::Io { path, source }),
    }
}

/// Writes a key beside `path` and links it into its place when it is whole and durable. A key that appeared
/// there meanwhile is kept.
fn make(path: &Path, dice: &Dice) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", dice.hex::<8>()));
    let draft = directory.join(name);
    let made = write(&draft, dice).and_then(|()| {
        match rustix::fs::linkat(CWD, &draft, CWD, path, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => File::open(directory)?.sync_all(),
            Err(error) => Err(error.into()),
        }
    });
    let removed = std::fs::remove_file(&draft);
    made.and(removed)
}

fn write(draft: &Path, dice: &Dice) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let key = KeyBytes(dice.bytes());
    file.write_all(&key.0)?;
    file.sync_all()
}
