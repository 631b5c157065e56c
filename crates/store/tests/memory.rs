//! The backend in memory does what every backend does.

use std::sync::Arc;

use async_trait::async_trait;
use base::clock::Clock;
use store::Store;
use store::conformance::Subject;
use store::memory::MemoryStore;

struct Memory(MemoryStore);

#[async_trait]
impl Subject for Memory {
    async fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

store::conformance_tests!(Memory(MemoryStore::new(Clock::system())));
