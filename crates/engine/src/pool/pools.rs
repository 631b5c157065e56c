//! All pools, and the machine's places among them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base::clock::Clock;
use base::id::EnvironmentId;
use base::limits::{LEASE_PATIENCE, TEARDOWN_TIME};
use base::random::Dice;
use catalogue::Version;
use tokio::sync::{oneshot, watch};

use super::{Herald, Newcomer, Pool, PoolKey, Submitted};
use crate::admission::budget::Budget;
use crate::initialize::InitError;
use crate::invoke::{InvokeError, Job};

/// Starts the task of a new environment.
pub type Spawn = Box<dyn Fn(Newcomer) + Send + Sync>;

/// Every pool of the machine.
pub struct Pools {
    pools: Mutex<HashMap<PoolKey, Arc<Pool>>>,
    budget: Budget,
    clock: Clock,
    dice: Dice,
    spawn: Spawn,
    /// Environments that have not ended.
    alive: watch::Sender<usize>,
    draining: AtomicBool,
    this: Weak<Self>,
}

impl Pools {
    /// No pools yet; `spawn` runs what each new environment gets.
    pub fn new(budget: Budget, clock: Clock, dice: Dice, spawn: Spawn) -> Arc<Self> {
        let (alive, _) = watch::channel(0);
        let draining = AtomicBool::new(false);
        Arc::new_cyclic(|this| Self {
            pools: Mutex::default(),
            budget,
            clock,
            dice,
            spawn,
            alive,
            draining,
            this: this.clone(),
        })
    }

    /// Runs a job: at once on an idle environment, else on the next that can take it.
    pub fn run(&self, mut job: Box<Job>) {
        if self.draining.load(Ordering::Acquire) {
            return job.refuse(InvokeError::ShuttingDown);
        }
        let version = Arc::clone(&job.invocation.version);
        loop {
            let pool = self.pool_of(&version);
            match pool.submit(job, self.clock.now()) {
                Ok(Submitted::Done) => return,
                Ok(Submitted::Start) => return self.start(&pool, version, None),
                Ok(Submitted::Watch) => return self.watch(pool, version),
                // It was forgotten between the two; the next look makes a new one.
                Err(returned) => job = returned,
            }
        }
    }

    /// Starts an environment that nobody waits for, and tells what becomes of its init.
    pub fn prepare(&self, version: Arc<Version>) -> oneshot::Receiver<Result<(), InitError>> {
        let (herald, told) = oneshot::channel();
        if self.draining.load(Ordering::Acquire) {
            let _ = herald.send(Err(InvokeError::ShuttingDown.into()));
            return told;
        }
        let pool = self.pool_of(&version);
        pool.prepare();
        self.start(&pool, version, Some(herald));
        told
    }

    /// Starts an environment that nobody waits for in the room that was made for it.
    pub(super) fn stand_by(&self, pool: &Arc<Pool>, version: Arc<Version>) {
        self.start(pool, version, Some(oneshot::channel().0));
    }

    /// How many environments there are.
    pub fn alive(&self) -> usize {
        *self.alive.borrow()
    }

    /// How many environments the machine carries.
    pub const fn places(&self) -> usize {
        self.budget.size()
    }

    /// Closes the idle environments of every pool that `outdated` names; what runs there ends as usual.
    pub fn retire(&self, outdated: impl Fn(&PoolKey) -> bool) {
        for pool in self.matching(outdated) {
            pool.retire();
        }
    }

    /// Closes every environment at once; jobs under way are lost.
    pub async fn destroy(&self) {
        for pool in self.matching(|_| true) {
            pool.destroy();
        }
        let _ = tokio::time::timeout(TEARDOWN_TIME, self.empty()).await;
    }

    /// Takes no more jobs, waits at most `bound` for those under way, then closes everything.
    pub async fn drain(&self, bound: Duration) {
        self.draining.store(true, Ordering::Release);
        self.retire(|_| true);
        let _ = tokio::time::timeout(bound, self.empty()).await;
        self.destroy().await;
    }

    /// One environment has ended; its pool is forgotten when it was the last.
    pub(super) fn left(&self, key: &PoolKey, last: bool) {
        if last {
            self.forget(key);
        }
        self.alive.send_modify(|alive| *alive -= 1);
    }

    /// Removes a pool without environments and jobs.
    fn forget(&self, key: &PoolKey) {
        let mut pools = self.lock();
        let Some(pool) = pools.get(key) else { return };
        let mut state = pool.lock();
        if state.members.is_empty() && state.waiting.is_empty() && state.starting == 0 {
            state.forgotten = true;
            drop(state);
            pools.remove(key);
        }
    }

    async fn empty(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.alive.subscribe().wait_for(|alive| *alive == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PoolKey, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn matching(&self, wanted: impl Fn(&PoolKey) -> bool) -> Vec<Arc<Pool>> {
        self.lock().values().filter(|pool| wanted(pool.key())).cloned().collect()
    }

    fn pool_of(&self, version: &Version) -> Arc<Pool> {
        let key = PoolKey {
            version: version.arn.qualified(version.qualifier.clone()),
            generation: version.generation,
        };
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&key) {
            return Arc::clone(pool);
        }
        let pool = Arc::new(Pool::new(key.clone(), self.this.clone()));
        if self.draining.load(Ordering::Acquire) {
            pool.retire();
        }
        pools.insert(key, Arc::clone(&pool));
        pool
    }

    /// Starts one environment; where the machine is full, in the place of the one that idles longest.
    fn start(&self, pool: &Arc<Pool>, version: Arc<Version>, herald: Option<Herald>) {
        let id = EnvironmentId::fresh(&self.dice);
        let (membership, commands) = pool.enter(id, herald);
        self.alive.send_modify(|alive| *alive += 1);
        let budget = self.budget.clone();
        if let Some(place) = budget.try_take() {
            self.welcome(Newcomer { membership, commands, place, version });
        } else if self.evict() {
            let Some(this) = self.this.upgrade() else { return };
            tokio::spawn(async move {
                let place = budget.take().await;
                this.welcome(Newcomer { membership, commands, place, version });
            });
        } else {
            membership.fail(InvokeError::NoPlace { budget: budget.size() });
        }
    }

    /// Starts environments for jobs that have waited in vain for one that was about to be free.
    fn watch(&self, pool: Arc<Pool>, version: Arc<Version>) {
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            loop {
                this.clock.sleep(LEASE_PATIENCE).await;
                let (more, again) = pool.impatient(this.clock.now());
                for _ in 0..more {
                    this.start(&pool, Arc::clone(&version), None);
                }
                if !again {
                    return;
                }
            }
        });
    }

    fn welcome(&self, newcomer: Newcomer) {
        (self.spawn)(newcomer);
    }

    fn evict(&self) -> bool {
        let pools = self.matching(|_| true);
        let oldest = pools.iter().filter_map(|pool| Some((pool.oldest_idle()?, pool)));
        oldest.min_by_key(|(since, _)| *since).is_some_and(|(_, pool)| pool.evict())
    }
}
