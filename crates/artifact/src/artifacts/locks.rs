//! One lock a package, there as long as somebody has it or waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base::id::Digest;
use tokio::sync::OwnedMutexGuard;

type Table = Arc<Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>>;

/// All locks.
#[derive(Debug, Default)]
pub(super) struct Locks {
    table: Table,
}

/// Work on one package, until dropped.
pub(super) struct Held {
    digest: Digest,
    table: Table,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    pub(super) async fn take(&self, digest: &Digest) -> Held {
        let lock = Arc::clone(open(&self.table).entry(*digest).or_default());
        // Made before waiting, so that a waiter that is dropped tidies up as well.
        let mut held = Held { digest: *digest, table: Arc::clone(&self.table), guard: None };
        held.guard = Some(lock.lock_owned().await);
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = open(&self.table);
        self.guard = None;
        // The table's own is the last: whoever waits has one as well.
        if table.get(&self.digest).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            table.remove(&self.digest);
        }
    }
}

fn open(table: &Table) -> MutexGuard<'_, HashMap<Digest, Arc<tokio::sync::Mutex<()>>>> {
    table.lock().expect("nobody panics while holding the table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_works_at_a_time_and_nothing_is_left() {
        let locks = Arc::new(Locks::default());
        let digest = Digest([1; 32]);
        let first = locks.take(&digest).await;
        let other = locks.take(&Digest([2; 32])).await;
        let second = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.take(&digest).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(other);
        drop(first);
        second.await.unwrap();
        assert!(open(&locks.table).is_empty());
    }
}
