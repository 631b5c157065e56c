//! What pools do without being asked: they keep environments ready for provisioned concurrency, and leave the machine
//! its memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::limits::{ENVIRONMENT_MEMORY, MEMORY_LOOK};
use catalogue::{FunctionKey, Version};

use super::Pools;
use crate::pool::rules::{Kind, Standing, Tended, Wish};
use crate::pool::{Pool, PoolKey, close};

/// How provisioned concurrency of one version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// The version's qualified ARN.
    pub version: FunctionArn,
    /// How it stands.
    pub standing: Standing,
}

impl Pools {
    /// Keeps environments ready for these versions of a function, and for no others of it.
    pub fn provision(&self, function: &FunctionKey, wishes: &BTreeMap<u64, (Arc<Version>, Wish)>) {
        let wished: Vec<PoolKey> = wishes.values().map(|(version, _)| PoolKey::of(version)).collect();
        let of_function =
            |key: &PoolKey| key.version.name == function.name && key.version.scope == function.scope;
        self.unprovision(|key| of_function(key) && !wished.contains(key));
        for (version, wish) in wishes.values() {
            self.keep(version, *wish);
        }
        if !wishes.is_empty() {
            self.tend_soon();
        }
    }

    /// A pool that was forgotten meanwhile is made anew.
    fn keep(&self, version: &Arc<Version>, wish: Wish) {
        while !self.pool_of(version).lock().keep(wish) {}
    }

    /// Keeps nothing ready any more in the pools that `gone` names.
    pub fn unprovision(&self, gone: impl Fn(&PoolKey) -> bool) {
        let mut changed = false;
        for pool in self.matching(gone) {
            let mut roster = pool.lock();
            changed |= roster.wanted() > 0;
            roster.keep(Wish { count: 0, said: Timestamp::from_millis(0) });
        }
        if changed {
            self.tend_soon();
        }
    }

    /// Has somebody see soon to what is to be kept ready.
    pub(in crate::pool) fn tend_soon(&self) {
        self.tend.notify_one();
    }

    /// Starts and closes environments so that there are as many as are to be kept ready. Ends with the process.
    pub async fn tend_always(self: Arc<Self>) {
        loop {
            let again = self.tend_all();
            let told = self.tend.notified();
            match again {
                Some(moment) => {
                    let _ = tokio::time::timeout(moment.since(self.clock.now()), told).await;
                }
                None => told.await,
            }
        }
    }

    /// One look at all pools; when to look again at the latest.
    fn tend_all(&self) -> Option<Timestamp> {
        let mut soonest: Option<Timestamp> = None;
        for pool in self.matching(|_| true) {
            let Tended { start, close: surplus, again } = pool.lock().tend(self.clock.now());
            close(surplus);
            for _ in 0..start {
                self.start(&pool, Arc::clone(&pool.version), Kind::Provisioned);
            }
            soonest = soonest.into_iter().chain(again).min();
            self.forget(pool.key());
        }
        soonest
    }

    /// How provisioned concurrency of a version stands.
    pub fn standing(&self, version: &Version) -> Standing {
        let pool = self.lock().get(&PoolKey::of(version)).cloned();
        pool.map(|pool| pool.standing()).unwrap_or_default()
    }

    /// How all provisioned concurrency stands; versions are left out that have none.
    pub fn all_provisioned(&self) -> Vec<Provisioned> {
        let standing =
            |pool: Arc<Pool>| Provisioned { standing: pool.standing(), version: pool.key.version.clone() };
        let all = self.matching(|_| true).into_iter().map(standing);
        all.filter(|one| one.standing.wanted > 0 || one.standing.allocated > 0).collect()
    }

    /// Measures the machine's memory again and again, and closes what idles longest while too little is left. Ends with
    /// the process.
    pub async fn watch_memory(self: Arc<Self>) {
        loop {
            let short = self.budget.memory().measure(self.held());
            self.relieve(short);
            self.wake();
            self.clock.sleep(MEMORY_LOOK).await;
        }
    }

    /// Has who waits for memory look again.
    pub(in crate::pool) fn wake(&self) {
        if self.is_pressed() {
            self.budget.wake();
        }
    }

    /// The machine's memory.
    #[cfg(test)]
    pub(in crate::pool) const fn memory(&self) -> &crate::admission::memory::Memory {
        self.budget.memory()
    }

    /// Closes idle environments that hold so many bytes.
    pub(in crate::pool) fn relieve(&self, short: u64) {
        let mut left = short;
        while left > 0 {
            let Some(freed) = self.evict() else { return };
            tracing::info!(short, "an idle environment is closed because the machine lacks memory");
            left = left.saturating_sub(freed);
        }
    }

    /// Bytes that all environments hold, by what those of each version reported last.
    fn held(&self) -> u64 {
        self.matching(|_| true).iter().map(|pool| pool.expected() * pool.lock().measured()).sum()
    }
}

impl Pool {
    /// What one more environment is expected to hold, in bytes: as much as the last that told.
    pub(in crate::pool) fn expected(&self) -> u64 {
        match self.held.load(Ordering::Relaxed) {
            0 => ENVIRONMENT_MEMORY.min(self.version.configuration.memory.bytes()),
            held => held,
        }
    }
}
