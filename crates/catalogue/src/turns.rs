//! Turns among those who change one root: side by side, all but one of them would have to decide anew.

use base::fnv;
use store::Key;
use tokio::sync::{Mutex, MutexGuard};

/// Roots that can be changed side by side. Ours: of the commits that share an fsync, few wait for another's turn.
const TURNS: usize = 1024;

/// Locks that roots share by the hash of their keys, so that nobody may hold two.
pub(crate) struct Turns(Box<[Mutex<()>]>);

impl Default for Turns {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(TURNS).collect())
    }
}

impl Turns {
    /// Waits for this root's turn.
    pub(crate) async fn of(&self, root: &Key) -> MutexGuard<'_, ()> {
        let place = u64::from(fnv::hash32(root.as_str())) % TURNS as u64;
        self.0[place as usize].lock().await
    }
}
