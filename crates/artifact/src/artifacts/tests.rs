use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::memory::MemoryStore;
use tokio::sync::Notify;

use super::*;
use crate::unzip::tests::archive::{Entry, archive};

/// An unpacker that counts, and that waits where a test wants it to.
struct Counting {
    inner: InProcess,
    unpacked: AtomicUsize,
    gate: Option<Arc<Notify>>,
}

#[async_trait]
impl Unpacker for Counting {
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal> {
        self.unpacked.fetch_add(1, Ordering::SeqCst);
        let unpacked = self.inner.unpack(archive, into).await;
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        unpacked
    }

    async fn remove(&self, name: &str) -> Result<(), Refusal> {
        self.inner.remove(name).await
    }
}

struct Bench {
    code: tempfile::TempDir,
    store: MemoryStore,
    blobs: Blobs,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_millis(0));
        let code = tempfile::tempdir().unwrap();
        Self { code, store: MemoryStore::new(clock), blobs: Blobs::memory(), clock }
    }

    async fn open(&self) -> (Artifacts, Arc<Counting>) {
        self.open_with(None).await
    }

    async fn open_with(&self, gate: Option<Arc<Notify>>) -> (Artifacts, Arc<Counting>) {
        let inner = InProcess::new(self.code.path());
        let unpacker = Arc::new(Counting { inner, unpacked: AtomicUsize::new(0), gate });
        let artifacts = Artifacts::open(
            Arc::new(self.store.clone()),
            self.blobs.clone(),
            Arc::clone(&unpacker) as Arc<dyn Unpacker>,
            self.code.path(),
            self.clock,
            Dice::system(),
        );
        (artifacts.await.unwrap(), unpacker)
    }

    fn directories(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.code).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn documents(&self) -> usize {
        self.store.scan("", None, 100).await.unwrap().len()
    }

    /// Waits until `done`, for work that goes on in the background.
    async fn until(&self, done: impl Fn() -> bool) {
        for _ in 0..1000 {
            if done() {
                return;
            }
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.unwrap();
        }
        panic!("it never came to pass");
    }
}

fn zip(content: &str) -> Bytes {
    archive(&[Entry::file("app.py", content.as_bytes())]).into()
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_package_is_taken_in_once_and_ready_at_once() {
    let bench = Bench::new();
    let (artifacts, unpacker) = bench.open().await;
    let package = artifacts.ingest(zip("one")).await.unwrap();
    assert_eq!(package.size, zip("one").len() as u64);
    assert_eq!((package.contents.bytes, package.contents.entries), (3, 1));
    assert_eq!(artifacts.ingest(zip("one")).await.unwrap(), package);
    assert_eq!(artifacts.blob(&package.digest).await.unwrap(), Some(zip("one")));
    let directory = artifacts.ready(&package.digest).await.unwrap();
    assert_eq!(fs::read(bench.code.path().join(directory.name()).join("app.py")).unwrap(), b"one");
    assert_eq!(unpacker.unpacked.load(Ordering::SeqCst), 1);
    assert_eq!(bench.directories(), [directory.name()]);
}

#[tokio::test]
async fn a_refused_archive_leaves_nothing_behind() {
    let bench = Bench::new();
    let (artifacts, _) = bench.open().await;
    let bad = archive(&[Entry::file("fine", b"x"), Entry::file("../bad", b"x")]);
    for bytes in [Bytes::from_static(b""), Bytes::from_static(b"junk"), bad.into()] {
        let error = artifacts.ingest(bytes).await.unwrap_err();
        assert!(matches!(error, ArtifactError::Refused(_)), "{error}");
    }
    assert!(bench.directories().is_empty());
    assert_eq!(bench.documents().await, 0);
}

#[tokio::test]
async fn a_lost_directory_is_made_again_by_one_of_many_that_want_it() {
    let bench = Bench::new();
    let digest = bench.open().await.0.ingest(zip("one")).await.unwrap().digest;
    fs::remove_dir_all(bench.code.path().join(&bench.directories()[0])).unwrap();
    let (artifacts, unpacker) = bench.open().await;
    let wanted: Vec<_> = (0..20)
        .map(|_| {
            let artifacts = artifacts.clone();
            tokio::spawn(async move { artifacts.ready(&digest).await.unwrap() })
        })
        .collect();
    let mut names = HashSet::new();
    for wanted in wanted {
        names.insert(wanted.await.unwrap().name().to_owned());
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), bench.directories());
    assert_eq!(unpacker.unpacked.load(Ordering::SeqCst), 1);
    let error = artifacts.ready(&Digest([9; 32])).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Missing(_)), "{error}");
}

#[tokio::test]
async fn a_start_keeps_whole_directories_and_removes_half_made_ones() {
    let bench = Bench::new();
    let digest = bench.open().await.0.ingest(zip("one")).await.unwrap().digest;
    let kept = bench.directories();
    fs::create_dir_all(bench.code.path().join("half-made/x")).unwrap();
    let (artifacts, unpacker) = bench.open().await;
    bench.until(|| bench.directories() == kept).await;
    assert_eq!(artifacts.ready(&digest).await.unwrap().name(), kept[0]);
    assert_eq!(unpacker.unpacked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn taking_in_goes_on_when_nobody_waits() {
    let bench = Bench::new();
    let gate = Arc::new(Notify::new());
    let (artifacts, _) = bench.open_with(Some(Arc::clone(&gate))).await;
    let caller = tokio::spawn({
        let artifacts = artifacts.clone();
        async move { artifacts.ingest(zip("one")).await }
    });
    bench.until(|| !bench.directories().is_empty()).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    let digest = Digest(Sha256::digest(zip("one")).into());
    bench.until(|| artifacts.inner.directory(&digest).is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_package_goes_ten_minutes_after_nobody_holds_it() {
    let bench = Bench::new();
    let (artifacts, _) = bench.open().await;
    let digest = artifacts.ingest(zip("one")).await.unwrap().digest;
    let other = artifacts.ingest(zip("two")).await.unwrap().digest;
    assert_eq!(artifacts.sweep(|_| true).await.unwrap(), 0);
    tokio::time::advance(30 * MINUTE).await;
    // From here on only the other is held.
    assert_eq!(artifacts.sweep(|held| *held == other).await.unwrap(), 0);
    tokio::time::advance(10 * MINUTE - Duration::from_millis(1)).await;
    assert_eq!(artifacts.sweep(|held| *held == other).await.unwrap(), 0);
    assert!(artifacts.blob(&digest).await.unwrap().is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(artifacts.sweep(|held| *held == other).await.unwrap(), 1);
    assert!(artifacts.blob(&digest).await.unwrap().is_none());
    assert!(artifacts.blob(&other).await.unwrap().is_some());
    assert_eq!((bench.directories().len(), bench.documents().await), (1, 1));
    assert!(matches!(artifacts.ready(&digest).await, Err(ArtifactError::Missing(_))));
    artifacts.ingest(zip("one")).await.unwrap();
    assert!(artifacts.ready(&digest).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_package_that_is_held_again_or_taken_in_again_stays() {
    let bench = Bench::new();
    let (artifacts, _) = bench.open().await;
    let digest = artifacts.ingest(zip("one")).await.unwrap().digest;
    for renew in [0, 1] {
        assert_eq!(artifacts.sweep(|_| false).await.unwrap(), 0);
        tokio::time::advance(9 * MINUTE).await;
        match renew {
            0 => assert_eq!(artifacts.sweep(|_| true).await.unwrap(), 0),
            _ => assert_eq!(artifacts.ingest(zip("one")).await.unwrap().digest, digest),
        }
        tokio::time::advance(9 * MINUTE).await;
        assert_eq!(artifacts.sweep(|_| false).await.unwrap(), 0);
    }
    // Held at the last moment: asked once for the list, and once more before it would go.
    tokio::time::advance(10 * MINUTE).await;
    let asked = AtomicUsize::new(0);
    assert_eq!(artifacts.sweep(|_| asked.fetch_add(1, Ordering::SeqCst) > 0).await.unwrap(), 0);
    assert!(artifacts.blob(&digest).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_directory_in_use_stays_with_its_package() {
    let bench = Bench::new();
    let (artifacts, _) = bench.open().await;
    let digest = artifacts.ingest(zip("one")).await.unwrap().digest;
    let in_use = artifacts.ready(&digest).await.unwrap();
    artifacts.sweep(|_| false).await.unwrap();
    tokio::time::advance(20 * MINUTE).await;
    assert_eq!(artifacts.sweep(|_| false).await.unwrap(), 0);
    assert_eq!(bench.directories(), [in_use.name()]);
    drop(in_use);
    assert_eq!(artifacts.sweep(|_| false).await.unwrap(), 1);
    assert!(bench.directories().is_empty());
}

#[tokio::test]
async fn packages_that_no_function_was_made_of_are_known_after_a_restart() {
    let bench = Bench::new();
    bench.open().await.0.ingest(zip("one")).await.unwrap();
    let (artifacts, _) = bench.open().await;
    assert_eq!(artifacts.inner.unheld(&|_: &Digest| false), Vec::new());
    assert_eq!(artifacts.inner.known().len(), 1);
    artifacts.clear().await.unwrap();
    assert!(bench.directories().is_empty());
    assert!(artifacts.inner.known().is_empty());
}
