//! Blobs: bytes named by their SHA-256, in a local directory, in memory, or in any S3-compatible store.

use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::id::Digest;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest as _, Sha256};

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The storage refused.
    #[error("blob storage")]
    Storage(#[from] object_store::Error),
    /// The directory could not be made or read.
    #[error("blob directory {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is stored is not what was put.
    #[error("blob {0} is damaged")]
    Damaged(Digest),
}

/// A content-addressed store of immutable bytes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Blobs in any object store, each under its digest in hexadecimal.
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects }
    }

    /// Blobs in memory, for tests.
    pub fn memory() -> Self {
        Self::new(Arc::new(InMemory::new()))
    }

    /// Blobs as files in `directory`, which is made with mode 0700 if it is not there.
    ///
    /// File and directory are fsynced before a put answers. The files are in one directory and not in
    /// sub-directories: a put that found a fresh sub-directory would have to know whether that is durable yet.
    pub fn local(directory: &Path) -> Result<Self, BlobError> {
        let refused = |source| BlobError::Directory { path: directory.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
        std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(refused)?;
        sweep(directory).map_err(refused)?;
        let whole = directory.canonicalize().map_err(refused)?;
        let sync = |parent| File::open(parent)?.sync_all();
        whole.parent().map_or(Ok(()), sync).map_err(refused)?;
        let objects = LocalFileSystem::new_with_prefix(directory)?.with_fsync(true);
        Ok(Self::new(Arc::new(objects)))
    }

    /// Stores `bytes`; durable when it answers. Putting what is there already is no error.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = digest_of(bytes.clone()).await;
        self.objects.put(&location(&digest), bytes.into()).await?;
        Ok(digest)
    }

    /// The bytes of a blob, checked against its digest.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, BlobError> {
        let bytes = match self.objects.get(&location(digest)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if digest_of(bytes.clone()).await != *digest {
            return Err(BlobError::Damaged(*digest));
        }
        Ok(Some(bytes))
    }

    /// Whether the blob is there.
    pub async fn exists(&self, digest: &Digest) -> Result<bool, BlobError> {
        match self.objects.head(&location(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a blob. One that is not there is no error.
    pub async fn delete(&self, digest: &Digest) -> Result<(), BlobError> {
        match self.objects.delete(&location(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes every blob.
    pub async fn clear(&self) -> Result<(), BlobError> {
        let objects: Vec<_> = self.objects.list(None).try_collect().await?;
        for object in objects {
            match self.objects.delete(&object.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn location(digest: &Digest) -> object_store::path::Path {
    object_store::path::Path::from(digest.to_string())
}

/// Hashing 50 MB takes longer than a reactor may wait.
async fn digest_of(bytes: Bytes) -> Digest {
    tokio::task::spawn_blocking(move || Digest(Sha256::digest(&bytes).into()))
        .await
        .expect("hashing does not panic and is not cancelled")
}

/// Removes what puts left that were cut off: `object_store` stages them as `<name>#<number>`.
fn sweep(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().contains('#') {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(blobs: &Blobs) {
        let bytes = Bytes::from_static(b"abc");
        let digest = blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(blobs.put(bytes.clone()).await.unwrap(), digest);
        assert_eq!(blobs.get(&digest).await.unwrap(), Some(bytes.clone()));
        assert!(blobs.exists(&digest).await.unwrap());
        blobs.delete(&digest).await.unwrap();
        blobs.delete(&digest).await.unwrap();
        assert_eq!(blobs.get(&digest).await.unwrap(), None);
        assert!(!blobs.exists(&digest).await.unwrap());
        blobs.put(bytes).await.unwrap();
        blobs.clear().await.unwrap();
        assert!(!blobs.exists(&digest).await.unwrap());
    }

    #[tokio::test]
    async fn blobs_in_memory_are_put_read_and_removed() {
        check(&Blobs::memory()).await;
    }

    #[tokio::test]
    async fn local_blobs_are_put_read_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        check(&Blobs::local(&directory.path().join("blobs")).unwrap()).await;
    }

    #[tokio::test]
    async fn local_blobs_outlive_their_store_and_are_checked_when_read() {
        let directory = tempfile::tempdir().unwrap();
        let digest = Blobs::local(directory.path()).unwrap().put(Bytes::from_static(b"abc")).await.unwrap();
        std::fs::write(directory.path().join("00#1"), b"half").unwrap();
        let blobs = Blobs::local(directory.path()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the cut-off put is swept");
        let path = directory.path().join(digest.to_string());
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        std::fs::write(&path, b"abd").unwrap();
        assert!(matches!(blobs.get(&digest).await, Err(BlobError::Damaged(_))));
    }
}
