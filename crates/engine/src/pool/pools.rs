//! All pools, and the machine's places among them.

pub mod keeping;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base::clock::Clock;
use base::id::EnvironmentId;
use base::limits::{LEASE_PATIENCE, START_RETRY, TEARDOWN_TIME};
use base::random::Dice;
use catalogue::Version;
use record::report::InitializationType;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::rules::{Kind, Leaving, Left, Patience};
use super::{Command, Herald, Membership, Needed, Newcomer, Pool, PoolKey};
use crate::admission::Admission;
use crate::admission::budget::{Budget, Lack, Place, Pledge};
use crate::initialize::InitError;
use crate::invoke::{InvokeError, Job};

/// Starts the task of a new environment.
pub type Spawn = Box<dyn Fn(Newcomer) + Send + Sync>;

/// Every pool of the machine.
pub struct Pools {
    pools: Mutex<HashMap<PoolKey, Arc<Pool>>>,
    budget: Budget,
    admission: Admission,
    clock: Clock,
    dice: Dice,
    spawn: Spawn,
    /// Environments that have not ended.
    alive: watch::Sender<usize>,
    draining: AtomicBool,
    /// Raised when provisioned concurrency may lack an environment.
    tend: Notify,
    this: Weak<Self>,
}

impl Pools {
    /// No pools yet; `spawn` runs what each new environment gets.
    pub fn new(budget: Budget, admission: Admission, clock: Clock, dice: Dice, spawn: Spawn) -> Arc<Self> {
        let (alive, _) = watch::channel(0);
        let draining = AtomicBool::new(false);
        Arc::new_cyclic(|this| Self {
            pools: Mutex::default(),
            budget,
            admission,
            clock,
            dice,
            spawn,
            alive,
            draining,
            tend: Notify::new(),
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
                Ok(Needed::Nothing) => return,
                Ok(Needed::Start) => return self.start(&pool, version, Kind::OnDemand),
                Ok(Needed::Watch) => return self.watch(pool, version),
                // It was forgotten between the two; the next look makes a new one.
                Err(returned) => job = returned,
            }
        }
    }

    /// Starts an environment that nobody waits for, and tells what becomes of its init.
    pub fn prepare(&self, version: &Arc<Version>) -> oneshot::Receiver<Result<(), InitError>> {
        let (herald, told) = oneshot::channel();
        if self.draining.load(Ordering::Acquire) {
            let _ = herald.send(Err(InvokeError::ShuttingDown.into()));
            return told;
        }
        loop {
            let pool = self.pool_of(version);
            let prepared = pool.lock().prepare();
            // It was forgotten between the two; the next look makes a new one.
            if prepared {
                self.begin(&pool, Arc::clone(version), Kind::OnDemand, Some(herald));
                return told;
            }
        }
    }

    /// Starts an environment that nobody waits for, and that the pool's roster asked for.
    pub(super) fn stand_by(&self, pool: &Arc<Pool>) {
        self.start(pool, Arc::clone(&pool.version), Kind::OnDemand);
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
        self.budget.wake();
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
    pub(super) fn left(&self, pool: &Arc<Pool>, id: EnvironmentId, failure: Option<InvokeError>) {
        let why = failure.as_ref().map_or(Leaving::Ended, InvokeError::leaving);
        let Left { refused, again, short } = pool.lock().leave(id, why, self.clock.now());
        if let Some(job) = refused {
            job.refuse(self.refusal(failure));
        }
        if again {
            self.start_later(Arc::clone(pool));
        }
        if short {
            self.tend_soon();
        }
        self.forget(pool.key());
        self.alive.send_modify(|alive| *alive -= 1);
    }

    /// What a job is told whose environment did not come.
    fn refusal(&self, failure: Option<InvokeError>) -> InvokeError {
        if self.draining.load(Ordering::Acquire) {
            return InvokeError::ShuttingDown;
        }
        InvokeError::of_start(failure)
    }

    /// Removes a pool without environments and jobs, for which none are wanted.
    fn forget(&self, key: &PoolKey) {
        let mut pools = self.lock();
        if pools.get(key).is_some_and(|pool| pool.lock().forget()) {
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

    fn pool_of(&self, version: &Arc<Version>) -> Arc<Pool> {
        let key = PoolKey::of(version);
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&key) {
            return Arc::clone(pool);
        }
        let pool = Arc::new(Pool::new(Arc::clone(version), self.this.clone()));
        if self.draining.load(Ordering::Acquire) {
            pool.retire();
        }
        pools.insert(key, Arc::clone(&pool));
        pool
    }

    /// Starts one environment that the pool's roster asked for; where the machine is full, in the place of the one
    /// that idles longest, or when there is room again.
    fn start(&self, pool: &Arc<Pool>, version: Arc<Version>, kind: Kind) {
        self.begin(pool, version, kind, None);
    }

    fn begin(&self, pool: &Arc<Pool>, version: Arc<Version>, kind: Kind, herald: Option<Herald>) {
        let id = EnvironmentId::fresh(&self.dice);
        let (mut membership, commands) = pool.enter(id, kind);
        membership.herald = herald;
        self.alive.send_modify(|alive| *alive += 1);
        if kind == Kind::OnDemand
            && let Err(reason) = self.admission.start(&pool.key().version, self.clock.now())
        {
            return membership.fail(reason.into());
        }
        let arrival = Arrival { membership, commands, version, kind };
        // Nobody passes those who wait already.
        if self.is_pressed() {
            return self.await_place(arrival);
        }
        match self.budget.try_take(pool.expected()) {
            Ok((place, pledge)) => self.welcome(arrival, place, pledge),
            Err(_) => self.await_place(arrival),
        }
    }

    /// Closes what idles longest in the machine, and lets the environment wait until there is room, at most for as
    /// long as who needs it has patience.
    fn await_place(&self, arrival: Arrival) {
        let Some(this) = self.this.upgrade() else { return };
        let waiting = self.budget.wait();
        self.evict();
        tokio::spawn(async move {
            let expected = arrival.membership.pool.expected();
            loop {
                let freed = waiting.freed();
                let lack = match this.budget.try_take(expected) {
                    Ok((place, pledge)) => return this.welcome(arrival, place, pledge),
                    Err(lack) => lack,
                };
                let Patience::For(patience) = arrival.membership.patience(this.clock.now()) else {
                    return arrival.membership.fail(lack.into());
                };
                if matches!(lack, Lack::Memory(_)) {
                    this.evict();
                }
                let _ = tokio::time::timeout(patience, freed).await;
            }
        });
    }

    /// Starts another environment for a job whose own could not be started just now.
    fn start_later(&self, pool: Arc<Pool>) {
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            this.clock.sleep(START_RETRY).await;
            let version = Arc::clone(&pool.version);
            this.start(&pool, version, Kind::OnDemand);
        });
    }

    /// Starts environments for jobs that have waited in vain for one that was about to be free.
    fn watch(&self, pool: Arc<Pool>, version: Arc<Version>) {
        let Some(this) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            loop {
                this.clock.sleep(LEASE_PATIENCE).await;
                let (more, again) = pool.lock().impatient(this.clock.now());
                for _ in 0..more {
                    this.start(&pool, Arc::clone(&version), Kind::OnDemand);
                }
                if !again {
                    return;
                }
            }
        });
    }

    fn welcome(&self, arrival: Arrival, place: Place, pledge: Pledge) {
        let Arrival { mut membership, commands, version, kind } = arrival;
        membership.pledge = Some(pledge);
        let made_for = match kind {
            Kind::OnDemand if version.snap_starts() => InitializationType::SnapStart,
            Kind::OnDemand => InitializationType::OnDemand,
            Kind::Provisioned => InitializationType::ProvisionedConcurrency,
        };
        (self.spawn)(Newcomer { membership, commands, place, version, made_for });
    }

    /// Closes the environment that idles longest; what it probably holds.
    fn evict(&self) -> Option<u64> {
        let pools = self.matching(|_| true);
        let oldest = pools.iter().filter_map(|pool| Some((pool.lock().oldest_idle()?, pool)));
        let (_, pool) = oldest.min_by_key(|(since, _)| *since)?;
        pool.evict().then(|| pool.expected())
    }

    /// Whether environments wait for a place on the machine.
    pub(super) fn is_pressed(&self) -> bool {
        self.budget.is_pressed()
    }
}

/// An environment that has no place on the machine yet.
struct Arrival {
    membership: Membership,
    commands: mpsc::UnboundedReceiver<Command>,
    version: Arc<Version>,
    kind: Kind,
}
