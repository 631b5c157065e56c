//! One process a directory.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::OpenError;

/// Holds the directory until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Guard {
    _lock: File,
}

impl Guard {
    /// Makes the directory, if it is not there, with mode 0700, and takes it.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Directory { path: directory.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
        std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(refused)?;
        let whole = directory.canonicalize().map_err(refused)?;
        whole.parent().map_or(Ok(()), sync_directory).map_err(refused)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(directory.join("lock")).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = directory.to_owned();
                return Err(OpenError::InUse { path, holder: holder(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        sign(&mut lock).map_err(refused)?;
        Ok(Self { _lock: lock })
    }
}

/// Writes who holds the lock, for the message that others get.
fn sign(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    write!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    match lock.take(20).read_to_string(&mut pid) {
        Ok(1..) => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    }
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
