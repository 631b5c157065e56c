//! Where an invocation runs: the environments of each version, idle ones first.

pub mod census;
pub mod pools;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::id::EnvironmentId;
use base::limits::LEASE_PATIENCE;
use tokio::sync::{mpsc, oneshot};

use self::pools::Pools;
use crate::admission::budget::Place;
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
    /// Where. Dropped before its run ended, it destroys the environment.
    pub lease: Lease,
}

/// The exclusive right to run on one environment.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    member: Member,
    /// The caller has its answer: the environment will soon take the next call.
    answered: bool,
    ended: bool,
}

impl Lease {
    const fn on(pool: Arc<Pool>, member: Member) -> Self {
        Self { pool, member, answered: false, ended: false }
    }

    /// Moves the lease with its job into the environment's own task; gives the job back when there is none
    /// any more.
    fn start(self, job: Box<Job>) -> Result<(), Box<Job>> {
        let commands = self.member.commands.clone();
        let assignment = Assignment { job, lease: self };
        commands.send(Command::Run(assignment)).map_err(|refused| match refused.0 {
            Command::Run(assignment) => assignment.job,
            Command::Close => unreachable!("a run was sent"),
        })
    }

    /// Tells the pool that this environment is about to be free.
    pub fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.pool.lock().ending += 1;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.answered {
            self.pool.lock().ending -= 1;
        }
        if !self.ended {
            // A task that is gone has destroyed its environment already.
            let _ = self.member.commands.send(Command::Close);
        }
    }
}

#[derive(Debug, Clone)]
struct Member {
    id: EnvironmentId,
    commands: mpsc::UnboundedSender<Command>,
}

/// What an environment that can take a call does next.
#[derive(Debug)]
pub enum Next {
    /// Run this.
    Run(Assignment),
    /// Wait for a command, at most for the idle expiry.
    Rest,
    /// End: the pool keeps no idle environments any more.
    Close,
}

/// The environments of one version at one generation.
pub struct Pool {
    key: PoolKey,
    pools: Weak<Pools>,
    state: Mutex<State>,
}

/// Idle list and waiting queue under one lock, so that no wake-up falls between them. It is never held
/// across an await.
#[derive(Default)]
struct State {
    /// Oldest first; the newest is taken first.
    idle: VecDeque<(Member, Timestamp)>,
    /// Oldest first. Each waits for a starting environment of its own or any that becomes idle earlier.
    waiting: VecDeque<(Box<Job>, Timestamp)>,
    /// Every environment that has not ended.
    members: HashMap<EnvironmentId, Member>,
    /// How many of them have not been offered yet.
    starting: usize,
    /// How many of them have answered their caller and are about to be free.
    ending: usize,
    /// Whether somebody will look at the queue again after [`LEASE_PATIENCE`].
    watched: bool,
    /// Those that are made though nobody waits for them, until they are offered.
    preparing: HashMap<EnvironmentId, Herald>,
    /// Set when the generation was replaced: nothing idles here any more.
    retired: bool,
    /// Set when the pool was forgotten: jobs must look for another.
    forgotten: bool,
}

/// Tells who asked for an environment that nobody waits for what became of its init.
type Herald = oneshot::Sender<Result<(), InitError>>;

/// One environment's membership in its pool, held by its task. It ends when dropped.
#[derive(Debug)]
pub struct Membership {
    pool: Arc<Pool>,
    id: EnvironmentId,
    offered: bool,
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
    pub version: Arc<catalogue::Version>,
}

impl Pool {
    fn new(key: PoolKey, pools: Weak<Pools>) -> Self {
        Self { key, pools, state: Mutex::default() }
    }

    /// What the pool is of.
    pub const fn key(&self) -> &PoolKey {
        &self.key
    }

    /// The state is whole between any two statements that can panic, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a job on the newest idle environment, or queues it and says what else is to be done.
    /// A forgotten pool gives the job back.
    fn submit(self: &Arc<Self>, mut job: Box<Job>, now: Timestamp) -> Result<Submitted, Box<Job>> {
        loop {
            let member = {
                let mut state = self.lock();
                if state.forgotten {
                    return Err(job);
                }
                match state.idle.pop_back() {
                    Some((member, _)) => member,
                    None => {
                        state.waiting.push_back((job, now));
                        return Ok(state.wanted());
                    }
                }
            };
            match Lease::on(Arc::clone(self), member).start(job) {
                Ok(()) => return Ok(Submitted::Done),
                Err(returned) => job = returned,
            }
        }
    }

    /// How many environments must be started for jobs that waited too long, and whether to look again.
    fn impatient(&self, now: Timestamp) -> (usize, bool) {
        let mut state = self.lock();
        let late = state.waiting.iter().take_while(|(_, since)| now.since(*since) >= LEASE_PATIENCE).count();
        let more = late.saturating_sub(state.starting);
        state.starting += more;
        state.watched = state.waiting.len() > state.starting;
        (more, state.watched)
    }

    /// Enters an environment that [`Pool::submit`] asked for.
    fn enter(
        self: &Arc<Self>,
        id: EnvironmentId,
        herald: Option<Herald>,
    ) -> (Membership, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let mut state = self.lock();
        state.members.insert(id, Member { id, commands });
        if let Some(herald) = herald {
            state.preparing.insert(id, herald);
        }
        drop(state);
        let pool = Arc::clone(self);
        (Membership { pool, id, offered: false, failure: None }, receiver)
    }

    /// Lets nothing idle any more and closes what does, and what would. What runs ends as if nothing had happened.
    fn retire(&self) {
        let closed = {
            let mut state = self.lock();
            state.retired = true;
            let alone = state.waiting.is_empty();
            let preparing = state.preparing.keys().filter(|_| alone);
            let preparing: Vec<Member> = preparing.filter_map(|id| state.members.get(id)).cloned().collect();
            std::mem::take(&mut state.idle).into_iter().map(|(member, _)| member).chain(preparing)
        };
        for member in closed {
            let _ = member.commands.send(Command::Close);
        }
    }

    /// Makes room for an environment that nobody waits for.
    fn prepare(&self) {
        self.lock().starting += 1;
    }

    /// Whether one should be made for calls to come: none is free or about to be. Makes room for it.
    fn stands_empty(&self) -> bool {
        let mut state = self.lock();
        let empty = state.idle.is_empty() && state.starting == 0 && !state.retired;
        state.starting += usize::from(empty);
        empty
    }

    /// Closes everything at once; jobs under way are lost.
    fn destroy(&self) {
        let members: Vec<Member> = {
            let mut state = self.lock();
            state.retired = true;
            state.idle.clear();
            state.members.values().cloned().collect()
        };
        for member in members {
            let _ = member.commands.send(Command::Close);
        }
    }

    /// When the environment that idles longest began to.
    fn oldest_idle(&self) -> Option<Timestamp> {
        self.lock().idle.front().map(|(_, since)| *since)
    }

    /// Closes the environment that idles longest.
    fn evict(&self) -> bool {
        let evicted = self.lock().idle.pop_front();
        evicted.is_some_and(|(member, _)| member.commands.send(Command::Close).is_ok())
    }

    fn leave(&self, id: EnvironmentId, offered: bool, failure: Option<InvokeError>) {
        let (refused, empty) = {
            let mut state = self.lock();
            state.members.remove(&id);
            state.preparing.remove(&id);
            state.idle.retain(|(member, _)| member.id != id);
            state.starting -= usize::from(!offered);
            // Each waiting job has a starting environment of its own; now the youngest has none and is told.
            let alone = !offered && state.waiting.len() > state.starting;
            let orphan = if alone { state.waiting.pop_back() } else { None };
            (
                orphan.map(|(job, _)| job),
                state.members.is_empty() && state.waiting.is_empty() && state.starting == 0,
            )
        };
        if let Some(job) = refused {
            job.refuse(failure.unwrap_or_else(|| StartError::Closed.into()));
        }
        if let Some(pools) = self.pools.upgrade() {
            pools.left(&self.key, empty);
        }
    }
}

/// What a submitted job needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Submitted {
    /// Nothing: it runs, or what it waits for is under way.
    Done,
    /// A new environment.
    Start,
    /// A look at the queue after [`LEASE_PATIENCE`].
    Watch,
}

impl State {
    fn wanted(&mut self) -> Submitted {
        if self.waiting.len() <= self.starting {
            Submitted::Done
        } else if self.waiting.len() > self.starting + self.ending {
            self.starting += 1;
            Submitted::Start
        } else if std::mem::replace(&mut self.watched, true) {
            Submitted::Done
        } else {
            Submitted::Watch
        }
    }
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
        let mut state = self.pool.lock();
        if let Some(mut lease) = ended {
            state.ending -= usize::from(std::mem::take(&mut lease.answered));
            lease.ended = true;
        }
        state.starting -= usize::from(!std::mem::replace(&mut self.offered, true));
        if let Some(herald) = state.preparing.remove(&self.id) {
            // Who asked may be gone.
            let _ = herald.send(Ok(()));
        }
        let Some(member) = state.members.get(&self.id).cloned() else { return Next::Close };
        if let Some((job, _)) = state.waiting.pop_front() {
            let lease = Lease::on(Arc::clone(&self.pool), member);
            return Next::Run(Assignment { job, lease });
        }
        if state.retired {
            return Next::Close;
        }
        state.idle.push_back((member, now));
        Next::Rest
    }

    /// Takes the environment out of the idle list; false when it has been given a job meanwhile.
    pub fn withdraw(&self) -> bool {
        let mut state = self.pool.lock();
        let before = state.idle.len();
        state.idle.retain(|(member, _)| member.id != self.id);
        state.idle.len() < before
    }

    /// Ends the membership of an environment that could not be started, and tells who waits for it.
    pub fn fail(mut self, error: InvokeError) {
        self.tell(Err(InitError::Hindered(error.clone())));
        self.failure = Some(error);
    }

    /// Notes that the environment will end because its init failed: who waits for it will be told.
    pub fn init_failed(&mut self, error: InitError) {
        self.tell(Err(error));
        self.failure = Some(RestoreError::Failed.into());
    }

    /// Has an environment made for the next call, if none is free or about to be.
    pub fn replace(&self, version: &Arc<catalogue::Version>) {
        if let Some(pools) = self.pool.pools.upgrade()
            && self.pool.stands_empty()
        {
            pools.stand_by(&self.pool, Arc::clone(version));
        }
    }

    fn tell(&self, news: Result<(), InitError>) {
        let herald = self.pool.lock().preparing.remove(&self.id);
        if let Some(herald) = herald {
            let _ = herald.send(news);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.pool.leave(self.id, self.offered, self.failure.take());
    }
}

#[cfg(test)]
mod tests;
