//! The cache, with an unpacker that only keeps a list.

use super::*;

/// Keeps the names of directories that are there.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

#[async_trait]
impl Unpacker for Shelf {
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal> {
        if archive.metadata().expect("stat").len() == 0 {
            return Err(Refusal::Empty);
        }
        self.0.lock().expect("shelf").push(into.to_owned());
        tokio::task::yield_now().await;
        Ok(Unpacked { bytes: 7, ..Unpacked::default() })
    }

    async fn remove(&self, name: &str) {
        self.0.lock().expect("shelf").retain(|kept| kept != name);
    }
}

fn artifacts() -> (Artifacts, Arc<Shelf>, Blobs) {
    let (shelf, blobs) = (Arc::new(Shelf::default()), Blobs::memory());
    (Artifacts::new(blobs.clone(), shelf.clone(), Dice::seeded(1)), shelf, blobs)
}

#[tokio::test]
async fn equal_archives_share_one_directory() {
    let (artifacts, shelf, _) = artifacts();
    let one = artifacts.ingest(Bytes::from_static(b"zip")).await.expect("taken in");
    let two = artifacts.ingest(Bytes::from_static(b"zip")).await.expect("taken in");
    assert_eq!((one, one.size, one.unzipped), (two, 3, 7));
    let ready = artifacts.ready(&one.digest).await.expect("ready");
    assert_eq!(shelf.0.lock().expect("shelf").as_slice(), std::slice::from_ref(&ready.name));
}

#[tokio::test]
async fn a_lost_directory_is_unpacked_once_however_many_ask() {
    let (first, _, blobs) = artifacts();
    let package = first.ingest(Bytes::from_static(b"zip")).await.expect("taken in");
    let shelf = Arc::new(Shelf::default());
    let again = Artifacts::new(blobs, shelf.clone(), Dice::seeded(2));
    let (a, b) = tokio::join!(again.ready(&package.digest), again.ready(&package.digest));
    assert_eq!(a.expect("ready"), b.expect("ready"));
    assert_eq!(shelf.0.lock().expect("shelf").len(), 1);
}

#[tokio::test]
async fn a_refused_archive_leaves_nothing() {
    let (artifacts, shelf, blobs) = artifacts();
    let refused = artifacts.ingest(Bytes::new()).await;
    assert!(matches!(refused, Err(ArtifactError::Refused(Refusal::Empty))));
    assert!(shelf.0.lock().expect("shelf").is_empty());
    assert!(!blobs.exists(&Digest(sha2::Sha256::digest(b"").into())).await.expect("asked"));
}

#[tokio::test]
async fn a_removed_package_is_gone() {
    let (artifacts, shelf, _) = artifacts();
    let package = artifacts.ingest(Bytes::from_static(b"zip")).await.expect("taken in");
    artifacts.remove(&package.digest).await.expect("removed");
    assert!(shelf.0.lock().expect("shelf").is_empty());
    assert!(matches!(artifacts.ready(&package.digest).await, Err(ArtifactError::Missing(_))));
}
