//! Packages: their blobs, their unpacked directories, and when both may go.
//!
//! A document names a package's directory only after it was unpacked whole, and is durable before the blob is
//! put. So after a kill at any moment, every directory without a document is half-made or left over, and
//! every blob has a document.

mod in_process;
mod locks;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use base::clock::{Clock, Timestamp};
use base::id::Digest;
use base::limits::{CODE_LINK_LIFE, PACKAGES_AT_ONCE};
use base::random::Dice;
use bytes::Bytes;
use rustix::fs::MemfdFlags;
use sha2::{Digest as _, Sha256};
use store::{BlobError, Blobs, Commit, Key, Store, StoreError};
use tokio::sync::Semaphore;

pub use self::in_process::InProcess;
use self::locks::Locks;
use crate::record::{self, PackageRecord};
use crate::{Refusal, Unpacked};

/// Documents that are loaded at once.
const PAGE: usize = 1000;

/// Unpacks archives into directories below the code root. The launcher's confined helper does it.
#[async_trait]
pub trait Unpacker: Send + Sync + 'static {
    /// Unpacks `archive` into the new directory `into`. What a refused archive leaves there is removed with
    /// [`Unpacker::remove`].
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal>;

    /// Removes a directory and all below it. One that is not there is no error.
    async fn remove(&self, name: &str) -> Result<(), Refusal>;
}

/// Why a package is not to be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArtifactError {
    /// The archive was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such package.
    #[error("package {0} is gone")]
    Missing(Digest),
    /// The blob store refused.
    #[error("package storage")]
    Blobs(#[source] Arc<BlobError>),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored record cannot be read.
    #[error("record {key}: {reason}")]
    Corrupt {
        /// The document.
        key: Key,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error("{doing}")]
    Io {
        /// What was being done, as a noun phrase.
        doing: &'static str,
        /// Why.
        source: Arc<std::io::Error>,
    },
}

impl From<BlobError> for ArtifactError {
    fn from(error: BlobError) -> Self {
        Self::Blobs(Arc::new(error))
    }
}

/// A package that is stored and can be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// SHA-256 of the archive.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
    /// What is in it.
    pub contents: Arc<Unpacked>,
}

/// An unpacked package. Its directory stays as long as somebody has one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeDir {
    name: Arc<str>,
    contents: Arc<Unpacked>,
}

impl CodeDir {
    /// The directory below the code root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it.
    pub fn contents(&self) -> &Unpacked {
        &self.contents
    }
}

/// All packages. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    blobs: Blobs,
    unpacker: Arc<dyn Unpacker>,
    clock: Clock,
    dice: Dice,
    known: Mutex<HashMap<Digest, Known>>,
    /// One task at a time works on a package.
    locks: Locks,
    turns: Semaphore,
}

/// A package that has a document.
#[derive(Debug, Clone)]
struct Known {
    contents: Arc<Unpacked>,
    /// None when the directory was lost.
    directory: Option<Arc<str>>,
    /// Since when it is known that nobody needs it.
    unheld: Option<Timestamp>,
}

impl Artifacts {
    /// Loads what is known, and begins to remove directories that are half-made or left over.
    ///
    /// `code_root` is where the unpacker's directories are seen. Needs a tokio runtime.
    pub async fn open(
        store: Arc<dyn Store>,
        blobs: Blobs,
        unpacker: Arc<dyn Unpacker>,
        code_root: &Path,
        clock: Clock,
        dice: Dice,
    ) -> Result<Self, ArtifactError> {
        let present = directories(code_root.to_owned()).await?;
        let known = load(store.as_ref(), &present).await?;
        let wanted: HashSet<&str> = known.values().filter_map(|known| known.directory.as_deref()).collect();
        let left: Vec<String> =
            present.iter().filter(|name| !wanted.contains(name.as_str())).cloned().collect();
        let (locks, turns) = (Locks::default(), Semaphore::new(PACKAGES_AT_ONCE));
        let known = Mutex::new(known);
        let inner = Arc::new(Inner { store, blobs, unpacker, clock, dice, known, locks, turns });
        let sweeper = Arc::clone(&inner);
        tokio::spawn(async move {
            for name in left {
                sweeper.discard(&name).await;
            }
        });
        Ok(Self { inner })
    }

    /// Takes a package in: unpacks it to see that it is one, and stores it. Durable when it answers.
    ///
    /// Goes on when the caller stops waiting. The package stays at least [`CODE_LINK_LIFE`], so that a function
    /// can be made with it.
    pub async fn ingest(&self, zip: Bytes) -> Result<Package, ArtifactError> {
        if zip.is_empty() {
            return Err(Refusal::Empty.into());
        }
        let inner = Arc::clone(&self.inner);
        finish(tokio::spawn(async move { inner.ingest(zip).await })).await
    }

    /// The directory of a package, unpacked again when it was lost.
    pub async fn ready(&self, digest: &Digest) -> Result<CodeDir, ArtifactError> {
        if let Some(directory) = self.inner.directory(digest) {
            return Ok(directory);
        }
        let (inner, digest) = (Arc::clone(&self.inner), *digest);
        finish(tokio::spawn(async move { inner.unpack_again(&digest).await })).await
    }

    /// The archive of a package.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Bytes>, ArtifactError> {
        Ok(self.inner.blobs.get(digest).await?)
    }

    /// Removes packages that `holds` denied for [`CODE_LINK_LIFE`], asked again just before. Answers how many.
    ///
    /// To be called every minute or so: a package goes at the first call after its time.
    pub async fn sweep(&self, holds: impl Fn(&Digest) -> bool + Send + Sync) -> Result<usize, ArtifactError> {
        let (mut removed, mut failed) = (0, None);
        for digest in self.inner.unheld(&holds) {
            let _lock = self.inner.locks.take(&digest).await;
            if let Some(known) = self.inner.take_unheld(&digest, &holds) {
                let gone = self.inner.remove(&digest, &known).await;
                if let Err(error) = gone {
                    // Its document is still there; so it stays known and its turn comes again.
                    self.inner.known().insert(digest, Known { directory: None, ..known });
                    failed = Some(error);
                } else {
                    removed += 1;
                }
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    /// Removes everything. For `/_samovar/reset`, while nothing is running; the store is cleared by its owner.
    pub async fn clear(&self) -> Result<(), ArtifactError> {
        let known = std::mem::take(&mut *self.inner.known());
        for directory in known.into_values().filter_map(|known| known.directory) {
            self.inner.discard(&directory).await;
        }
        Ok(self.inner.blobs.clear().await?)
    }
}

impl Inner {
    async fn ingest(&self, zip: Bytes) -> Result<Package, ArtifactError> {
        let _turn = self.turn().await;
        let (digest, archive) = blocking({
            let zip = zip.clone();
            move || Ok((Digest(Sha256::digest(&zip).into()), in_memory(&zip)?))
        })
        .await?;
        let _lock = self.locks.take(&digest).await;
        let size = zip.len() as u64;
        let contents = match self.renew(&digest) {
            Some(contents) => contents,
            None => {
                let directory = self.unpack(&digest, archive).await?;
                Arc::clone(&directory.contents)
            }
        };
        if !self.blobs.exists(&digest).await? {
            self.blobs.put(zip).await?;
        }
        Ok(Package { digest, size, contents })
    }

    async fn unpack_again(&self, digest: &Digest) -> Result<CodeDir, ArtifactError> {
        let _turn = self.turn().await;
        let _lock = self.locks.take(digest).await;
        if let Some(directory) = self.directory(digest) {
            return Ok(directory);
        }
        let zip = self.blobs.get(digest).await?.ok_or(ArtifactError::Missing(*digest))?;
        let archive = blocking(move || in_memory(&zip)).await?;
        self.unpack(digest, archive).await
    }

    /// Unpacks into a fresh directory, which counts from the moment its document is durable.
    async fn unpack(&self, digest: &Digest, archive: File) -> Result<CodeDir, ArtifactError> {
        let name: Arc<str> = format!("{digest}-{}", self.dice.hex::<4>()).into();
        let stored = match self.unpacker.unpack(archive, &name).await {
            Ok(contents) => {
                let document = (record::key_of(digest), PackageRecord::write(&contents, &name));
                let commit = Commit { put: vec![document], ..Commit::default() };
                self.store.commit(commit).await.map(|_| contents).map_err(ArtifactError::from)
            }
            Err(refusal) => Err(refusal.into()),
        };
        match stored {
            Ok(contents) => {
                let contents = Arc::new(contents);
                let directory = Some(Arc::clone(&name));
                let known = Known { contents: Arc::clone(&contents), directory, unheld: None };
                self.known().insert(*digest, known);
                Ok(CodeDir { name, contents })
            }
            Err(error) => {
                self.discard(&name).await;
                Err(error)
            }
        }
    }

    /// Blob, directory and document, in this order: what has a document is found again.
    async fn remove(&self, digest: &Digest, known: &Known) -> Result<(), ArtifactError> {
        self.blobs.delete(digest).await?;
        if let Some(directory) = &known.directory {
            self.discard(directory).await;
        }
        self.store.commit(Commit { delete: vec![record::key_of(digest)], ..Commit::default() }).await?;
        Ok(())
    }

    /// Removes a directory. One that stays is removed at the next start.
    async fn discard(&self, name: &str) {
        if let Err(error) = self.unpacker.remove(name).await {
            tracing::warn!(%name, %error, "a code directory stays until the next start");
        }
    }

    /// Keeps a known package for another while.
    fn renew(&self, digest: &Digest) -> Option<Arc<Unpacked>> {
        let mut known = self.known();
        let known = known.get_mut(digest)?;
        known.unheld = None;
        Some(Arc::clone(&known.contents))
    }

    fn directory(&self, digest: &Digest) -> Option<CodeDir> {
        let known = self.known();
        let known = known.get(digest)?;
        Some(CodeDir { name: known.directory.clone()?, contents: Arc::clone(&known.contents) })
    }

    /// Notes which packages nobody needs, and answers those that nobody has needed for long enough.
    fn unheld(&self, holds: &impl Fn(&Digest) -> bool) -> Vec<Digest> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for (digest, known) in self.known().iter_mut() {
            if holds(digest) {
                known.unheld = None;
            } else if now.since(*known.unheld.get_or_insert(now)) >= CODE_LINK_LIFE {
                due.push(*digest);
            }
        }
        due
    }

    /// Forgets a package unless somebody came to need it, or works in its directory.
    fn take_unheld(&self, digest: &Digest, holds: &impl Fn(&Digest) -> bool) -> Option<Known> {
        let mut known = self.known();
        let candidate = known.get(digest)?;
        let due = candidate.unheld.is_some_and(|since| self.clock.now().since(since) >= CODE_LINK_LIFE);
        let in_use = candidate.directory.as_ref().is_some_and(|directory| Arc::strong_count(directory) > 1);
        if due && !in_use && !holds(digest) { known.remove(digest) } else { None }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, Known>> {
        self.known.lock().expect("nobody panics while holding what is known")
    }

    async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns.acquire().await.expect("nobody closes the turns")
    }
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("packages", &self.inner.known().len()).finish_non_exhaustive()
    }
}

async fn load(store: &dyn Store, present: &HashSet<String>) -> Result<HashMap<Digest, Known>, ArtifactError> {
    let mut all = HashMap::new();
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(record::PREFIX, after.as_ref(), PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map(|document| document.key.clone());
        for document in page {
            let corrupt = |reason| ArtifactError::Corrupt { key: document.key.clone(), reason };
            let digest =
                record::read_key(&document.key).ok_or_else(|| corrupt("the key has no digest".into()))?;
            let (contents, directory) = PackageRecord::read(&document.body).map_err(corrupt)?;
            let directory = present.contains(&directory).then(|| directory.into());
            all.insert(digest, Known { contents: Arc::new(contents), directory, unheld: None });
        }
        if !full {
            return Ok(all);
        }
    }
}

/// Names of all directories below the code root; none when it is not there yet.
async fn directories(code_root: PathBuf) -> Result<HashSet<String>, ArtifactError> {
    blocking(move || {
        let entries = match std::fs::read_dir(code_root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashSet::new()),
            other => other?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    })
    .await
}

/// The archive as a file that another process can read.
fn in_memory(zip: &Bytes) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("archive", MemfdFlags::CLOEXEC)?);
    file.write_all(zip)?;
    file.rewind()?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ArtifactError> {
    let done = tokio::task::spawn_blocking(work).await.expect("the work does not panic and is not cancelled");
    done.map_err(|error| ArtifactError::Io { doing: "handling a package", source: Arc::new(error) })
}

/// Waits for work that goes on when nobody waits.
async fn finish<T>(work: tokio::task::JoinHandle<Result<T, ArtifactError>>) -> Result<T, ArtifactError> {
    work.await.unwrap_or_else(|_| {
        let source = Arc::new(std::io::Error::other("the task was stopped"));
        Err(ArtifactError::Io { doing: "handling a package", source })
    })
}

#[cfg(test)]
mod tests;
