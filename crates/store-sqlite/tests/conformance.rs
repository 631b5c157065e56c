//! The embedded store does what every backend does.

use std::sync::Arc;

use async_trait::async_trait;
use base::clock::Clock;
use store::Store;
use store::conformance::Subject;
use store_sqlite::SqliteStore;
use tempfile::TempDir;

struct Directory(TempDir);

#[async_trait]
impl Subject for Directory {
    async fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path(), Clock::system()).expect("the store opens"))
    }
}

store::conformance_tests!(Directory(tempfile::tempdir().expect("a directory")));
