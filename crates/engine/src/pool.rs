//! Where an invocation runs: the environments of each version, idle ones first.

pub mod census;
pub mod pools;
pub mod rules;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::id::EnvironmentId;
use catalogue::Version;
use record::report::InitializationType;
use tokio::sync::{mpsc, oneshot};

use self::pools::Pools;
pub use self::rules::Footing;
use self::rules::{Kind, Leaving, Offered, Patience, Roster, Standing, Submitted};
use crate::admission::budget::{Place, Pledge};
use crate::environment::rules::restore::RestoreError;
use crate::initialize::InitError;
use crate::invoke::{InvokeError, Job};
use crate::starter::StartError;

/// One version at one generation: an update makes another pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The version's qualified ARN.
    pub version: FunctionArn,
    /// Changes with every change of code or configuration.
    pub generation: u64,
}

impl PoolKey {
    /// The pool of a version as it is.
    pub fn of(version: &Version) -> Self {
        Self { version: version.qualified_arn(), generation: version.generation }
    }
}

/// What the pool tells an environment's task.
#[derive(Debug)]
pub enum Command {
    /// Run this.
    Run(Assignment),
    /// End, whatever is under way.
    Close,
}

/// A job and the right to run it on one environment.
#[derive(Debug)]
pub struct Assignment {
    /// What to run.
    pub job: Box<Job>,
    /// How provisioned concurrency counts it.
    pub footing: Footing,
    /// Where. Dropped before its run ended, it destroys the environment.
    pub lease: Lease,
}

/// The exclusive right to run on one environment.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    handle: Handle,
    /// The caller has its answer: the environment will soon take the next call.
    answered: bool,
    ended: bool,
}

/// How an environment's task is reached.
type Handle = mpsc::UnboundedSender<Command>;

impl Lease {
    const fn on(pool: Arc<Pool>, handle: Handle) -> Self {
        Self { pool, handle, answered: false, ended: false }
    }

    /// Moves the lease with its job into the environment's own task; gives the job back when there is none
    /// any more.
    fn start(self, job: Box<Job>, footing: Footing) -> Result<(), Box<Job>> {
        let commands = self.handle.clone();
        let assignment = Assignment { job, footing, lease: self };
        commands.send(Command::Run(assignment)).map_err(|refused| match refused.0 {
            Command::Run(assignment) => assignment.job,
            Command::Close => unreachable!("a run was sent"),
        })
    }

    /// Tells the pool that this environment is about to be free.
    pub fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.pool.lock().answered();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.answered {
            self.pool.lock().freed();
        }
        if !self.ended {
            // A task that is gone has destroyed its environment already.
            let _ = self.handle.send(Command::Close);
        }
    }
}

/// What an environment that can take a call does next.
#[derive(Debug)]
pub enum Next {
    /// Run this.
    Run(Assignment),
    /// Wait for a command, at most for the idle expiry.
    Rest,
    /// Wait for a command.
    Stay,
    /// End: the pool does not keep it.
    Close,
}

/// The environments of one version at one generation.
pub struct Pool {
    key: PoolKey,
    pools: Weak<Pools>,
    /// Who environments are made for that no job asked for.
    version: Arc<Version>,
    /// The most that an environment has held lately, in bytes; zero until one has told.
    held: AtomicU64,
    /// Who is idle and who waits, under one lock, so that no wake-up falls between them. It is never held across an
    /// await.
    roster: Mutex<Roster<Handle, Box<Job>>>,
}

/// Tells who asked for an environment that nobody waits for what became of its init.
type Herald = oneshot::Sender<Result<(), InitError>>;

/// One environment's membership in its pool, held by its task. It ends when dropped.
#[derive(Debug)]
pub struct Membership {
    pool: Arc<Pool>,
    id: EnvironmentId,
    kind: Kind,
    /// Memory that is set aside until it has finished its init and can be measured.
    pledge: Option<Pledge>,
    /// Whom to tell of its init.
    herald: Option<Herald>,
    failure: Option<InvokeError>,
}

/// Everything that the task of a new environment gets.
#[derive(Debug)]
pub struct Newcomer {
    /// Its place in the pool.
    pub membership: Membership,
    /// Its commands.
    pub commands: mpsc::UnboundedReceiver<Command>,
    /// Its place on the machine.
    pub place: Place,
    /// Who it is for: the invocation that made the pool start it, as a template. It may run another.
    pub version: Arc<Version>,
    /// What it is made for.
    pub made_for: InitializationType,
}

impl Pool {
    fn new(version: Arc<Version>, pools: Weak<Pools>) -> Self {
        let key = PoolKey::of(&version);
        Self { key, pools, version, held: AtomicU64::new(0), roster: Mutex::default() }
    }

    /// What the pool is of.
    pub const fn key(&self) -> &PoolKey {
        &self.key
    }

    /// The roster is whole between any two statements that can panic, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Roster<Handle, Box<Job>>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a job on the newest idle environment, or queues it and says what else is to be done.
    /// A forgotten pool gives the job back.
    fn submit(self: &Arc<Self>, mut job: Box<Job>, now: Timestamp) -> Result<Needed, Box<Job>> {
        loop {
            let submitted = self.lock().submit(job, now);
            let (handle, taken, footing) = match submitted {
                Submitted::Run(_, handle, job, footing) => (handle, job, footing),
                Submitted::Wait => return Ok(Needed::Nothing),
                Submitted::Start => return Ok(Needed::Start),
                Submitted::Watch => return Ok(Needed::Watch),
                Submitted::Forgotten(job) => return Err(job),
            };
            match Lease::on(Arc::clone(self), handle).start(taken, footing) {
                Ok(()) => return Ok(Needed::Nothing),
                Err(returned) => job = returned,
            }
        }
    }

    /// Enters an environment that the roster asked for.
    fn enter(
        self: &Arc<Self>,
        id: EnvironmentId,
        kind: Kind,
    ) -> (Membership, mpsc::UnboundedReceiver<Command>) {
        let (handle, commands) = mpsc::unbounded_channel();
        self.lock().enter(id, handle, kind);
        let pool = Arc::clone(self);
        (Membership { pool, id, kind, pledge: None, herald: None, failure: None }, commands)
    }

    /// Lets nothing idle any more and closes what does. What runs ends as if nothing had happened.
    fn retire(&self) {
        let closing = self.lock().retire();
        close(closing);
    }

    /// Closes everything at once; jobs under way are lost.
    fn destroy(&self) {
        let closing = self.lock().destroy();
        close(closing);
    }

    /// Closes the environment that idles longest.
    fn evict(&self) -> bool {
        let evicted = self.lock().evict();
        evicted.is_some_and(|handle| handle.send(Command::Close).is_ok())
    }

    /// How provisioned concurrency stands here.
    pub fn standing(&self) -> Standing {
        self.lock().standing()
    }
}

fn close(environments: Vec<Handle>) {
    for environment in environments {
        let _ = environment.send(Command::Close);
    }
}

/// What a submitted job needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// Nothing: it runs, or what it waits for is under way.
    Nothing,
    /// A new environment.
    Start,
    /// A look at the queue after [`base::limits::LEASE_PATIENCE`].
    Watch,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Membership {
    /// The environment's id.
    pub const fn id(&self) -> EnvironmentId {
        self.id
    }

    /// The environment can take a call: it gets the oldest waiting job, or idles. The lease of the run that
    /// ended goes back in the same step, so that no job finds the environment neither ending nor free.
    pub fn offer(&mut self, now: Timestamp, ended: Option<Lease>) -> Next {
        let pools = self.pool.pools.upgrade();
        let pressed = pools.as_ref().is_some_and(|pools| pools.is_pressed());
        let mut roster = self.pool.lock();
        if let Some(mut lease) = ended {
            if std::mem::take(&mut lease.answered) {
                roster.freed();
            }
            lease.ended = true;
        }
        let offered = roster.offer(self.id, now, pressed);
        drop(roster);
        self.tell(Ok(()));
        if let Some(pledge) = self.pledge.take() {
            pledge.settle();
            // The next one of those that are kept ready may be warmed.
            if let Some(pools) = pools.filter(|_| self.kind == Kind::Provisioned) {
                pools.tend_soon();
            }
        }
        match offered {
            Offered::Run(handle, job, footing) => {
                let lease = Lease::on(Arc::clone(&self.pool), handle);
                Next::Run(Assignment { job, footing, lease })
            }
            Offered::Rest => Next::Rest,
            Offered::Stay => Next::Stay,
            Offered::Close => Next::Close,
        }
    }

    /// Takes the environment out of the idle list; false when it has been given a job meanwhile.
    pub fn withdraw(&self) -> bool {
        self.pool.lock().withdraw(self.id)
    }

    /// Notes what the environment has held at most, in bytes: the next ones of its version will need as much.
    pub fn held(&self, bytes: u64) {
        self.pool.held.store(bytes, Ordering::Relaxed);
    }

    /// Ends the membership of an environment that could not be started, and tells the job that waits for it.
    pub fn fail(mut self, error: InvokeError) {
        self.tell(Err(InitError::Hindered(error.clone())));
        self.failure = Some(error);
    }

    /// Notes that the environment will end because its init failed: who waits for it will be told.
    pub fn init_failed(&mut self, error: InitError) {
        self.tell(Err(error));
        self.failure = Some(RestoreError::Failed.into());
    }

    /// Notes that the environment ends before it was of use: who waits for it gets another one.
    pub fn gave_up(&mut self) {
        self.failure = Some(StartError::Closed.into());
    }

    /// Has an environment made for the next call, if none is free or about to be.
    pub fn replace(&self) {
        if let Some(pools) = self.pool.pools.upgrade()
            && self.pool.lock().prepare_next()
        {
            pools.stand_by(&self.pool);
        }
    }

    /// Tells who asked, once; they may be gone.
    fn tell(&mut self, news: Result<(), InitError>) {
        if let Some(herald) = self.herald.take() {
            let _ = herald.send(news);
        }
    }

    /// Gives back what was sent to an environment that had ended: it runs elsewhere.
    pub fn give_back(self, mut commands: mpsc::UnboundedReceiver<Command>) {
        commands.close();
        let (pools, mut jobs) = (self.pool.pools.upgrade(), Vec::new());
        while let Ok(command) = commands.try_recv() {
            if let Command::Run(Assignment { job, .. }) = command {
                jobs.push(job);
            }
        }
        drop(self);
        if let Some(pools) = pools {
            jobs.into_iter().for_each(|job| pools.run(job));
        }
    }

    fn patience(&self, now: Timestamp) -> Patience {
        self.pool.lock().patience(self.id, now)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let failure = self.failure.take();
        if let Some(pools) = self.pool.pools.upgrade() {
            pools.left(&self.pool, self.id, failure);
        }
    }
}

impl InvokeError {
    /// What it means for whoever waits that an environment ended with it.
    fn leaving(&self) -> Leaving {
        match self {
            Self::NoPlace { .. } | Self::NoMemory { .. } => Leaving::Placeless,
            Self::Sandbox(error) if error.is_passing() => Leaving::Busy,
            _ => Leaving::Unstarted,
        }
    }

    /// What a job is told whose environment ended before it could take it.
    fn of_start(failure: Option<Self>) -> Self {
        failure.unwrap_or_else(|| StartError::Closed.into())
    }
}

#[cfg(test)]
mod tests;
