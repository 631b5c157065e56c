//! Packages by the SHA-256 of their archive, and the cache of their unpacked directories.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base::id::Digest;
use base::random::Dice;
use bytes::Bytes;
use rustix::fs::MemfdFlags;
use sha2::Digest as _;
use store::{BlobError, Blobs};
use tokio::sync::OnceCell;

use crate::unzip::{Refusal, Unpacked};

/// Unpacks archives into fresh directories under the code directory, in a confined process.
#[async_trait]
pub trait Unpacker: Send + Sync + 'static {
    /// Unpacks into the new directory `into`; nothing is left of it after a refusal.
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal>;
    /// Removes a directory and all below it; one that is not there is fine.
    async fn remove(&self, name: &str);
}

/// An uploaded archive that was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// SHA-256 of the archive.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
    /// Bytes of what is in it.
    pub unzipped: u64,
}

/// An unpacked package that sandboxes can mount.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeDir {
    /// Its name under the code directory.
    pub name: String,
    /// What native modules in it were built for, such as `cpython-312`.
    pub native: Vec<String>,
}

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The archive is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The blob store is.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A package that is referred to has no blob.
    #[error("the archive {0} is missing from the blob store")]
    Missing(Digest),
    /// No memory for the archive.
    #[error("cannot hand the archive to the helper")]
    Memory(#[source] std::io::Error),
}

/// Packages and their directories. Cheap to clone.
///
/// The blob is the package; directories are a cache that is emptied at every start, so that one which was half made
/// when the power went is never trusted.
#[derive(Clone)]
pub struct Artifacts {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Blobs,
    unpacker: Arc<dyn Unpacker>,
    dice: Dice,
    ready: Mutex<HashMap<Digest, Arc<OnceCell<Arc<CodeDir>>>>>,
}

impl Artifacts {
    /// Packages in `blobs`, unpacked by `unpacker`.
    pub fn new(blobs: Blobs, unpacker: Arc<dyn Unpacker>, dice: Dice) -> Self {
        Self { inner: Arc::new(Inner { blobs, unpacker, dice, ready: Mutex::default() }) }
    }

    /// Removes what an earlier process left under the code directory. Call it before the first package.
    pub async fn sweep(&self, code_root: &Path) {
        for name in names(code_root) {
            self.inner.unpacker.remove(&name).await;
        }
    }

    /// Takes an archive in: unpacks it, which is what finds it good or bad, and stores it durably.
    pub async fn ingest(&self, archive: Bytes) -> Result<Package, ArtifactError> {
        let digest = Digest(sha2::Sha256::digest(&archive).into());
        let size = archive.len() as u64;
        let name = self.fresh_name();
        let unpacked = self.inner.unpacker.unpack(memory_file(&archive)?, &name).await?;
        if let Err(error) = self.inner.blobs.put(archive).await {
            self.inner.unpacker.remove(&name).await;
            return Err(error.into());
        }
        let made = Arc::new(CodeDir { name, native: unpacked.native });
        let kept = self.cell(digest).get_or_init(|| async { made.clone() }).await.clone();
        if !Arc::ptr_eq(&kept, &made) {
            // The same archive was here already; its directory may be mounted, so ours goes.
            self.inner.unpacker.remove(&made.name).await;
        }
        Ok(Package { digest, size, unzipped: unpacked.bytes })
    }

    /// The directory of a package; unpacked from its blob when the cache lost it, once however many ask.
    pub async fn ready(&self, digest: &Digest) -> Result<Arc<CodeDir>, ArtifactError> {
        let cell = self.cell(*digest);
        let made = cell.get_or_try_init(|| async {
            let archive = self.inner.blobs.get(digest).await?.ok_or(ArtifactError::Missing(*digest))?;
            let name = self.fresh_name();
            let unpacked = self.inner.unpacker.unpack(memory_file(&archive)?, &name).await?;
            Ok::<_, ArtifactError>(Arc::new(CodeDir { name, native: unpacked.native }))
        });
        made.await.cloned()
    }

    /// The archive as it was uploaded.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Bytes>, ArtifactError> {
        Ok(self.inner.blobs.get(digest).await?)
    }

    /// Forgets a package that nothing refers to any more.
    pub async fn remove(&self, digest: &Digest) -> Result<(), ArtifactError> {
        let cell = self.map().remove(digest);
        if let Some(made) = cell.as_ref().and_then(|cell| cell.get()) {
            self.inner.unpacker.remove(&made.name).await;
        }
        Ok(self.inner.blobs.delete(digest).await?)
    }

    /// Forgets every package.
    pub async fn clear(&self) -> Result<(), ArtifactError> {
        let cells: Vec<_> = self.map().drain().map(|(_, cell)| cell).collect();
        for made in cells.iter().filter_map(|cell| cell.get()) {
            self.inner.unpacker.remove(&made.name).await;
        }
        Ok(self.inner.blobs.clear().await?)
    }

    fn cell(&self, digest: Digest) -> Arc<OnceCell<Arc<CodeDir>>> {
        self.map().entry(digest).or_default().clone()
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<OnceCell<Arc<CodeDir>>>>> {
        self.inner.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh_name(&self) -> String {
        self.inner.dice.hex::<16>()
    }
}

/// An archive as a file that the confined helper can read, without a name anywhere.
fn memory_file(archive: &[u8]) -> Result<File, ArtifactError> {
    let fill = || -> std::io::Result<File> {
        let mut file = File::from(rustix::fs::memfd_create("archive", MemfdFlags::CLOEXEC)?);
        file.write_all(archive)?;
        file.rewind()?;
        Ok(file)
    };
    fill().map_err(ArtifactError::Memory)
}

fn names(root: &Path) -> Vec<String> {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(root).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests;
