//! Which environment a job gets, and which environments there are to be, as pure decisions.
//!
//! One [`Roster`] holds what one version has at one generation: its environments, those that are idle, and the jobs
//! that wait. The pool around it ([`super::Pool`]) carries out what it decides. It is generic over what reaches an
//! environment (`M`) and over jobs (`J`), so that simulations drive it without either.

mod kept;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use base::clock::Timestamp;
use base::id::EnvironmentId;
use base::limits::{LEASE_PATIENCE, PLACE_PATIENCE};

use self::kept::Kept;
pub use self::kept::{Standing, Tended, WarmFailure, Wish};

/// What an environment is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Jobs that come; closed when it idles too long, or when others need its place.
    OnDemand,
    /// Provisioned concurrency: it stays.
    Provisioned,
}

/// The environments and the waiting jobs of one version at one generation.
#[derive(Debug)]
pub struct Roster<M, J> {
    /// Idle ones on demand, oldest first; the newest is taken first.
    idle: VecDeque<Idle<M>>,
    /// Idle ones of provisioned concurrency, in the same order. They are taken before the others.
    ready: VecDeque<Idle<M>>,
    /// Oldest first. Each waits for a starting environment of its own or any that becomes idle earlier.
    waiting: VecDeque<(J, Timestamp)>,
    /// Every environment that has not ended.
    members: HashMap<EnvironmentId, Member<M>>,
    /// How many of those on demand have not been offered yet.
    starting: usize,
    /// How many of them have answered their caller and are about to be free.
    ending: usize,
    /// Whether somebody will look at the queue again after [`LEASE_PATIENCE`].
    watched: bool,
    /// Set when the generation was replaced: nothing idles here any more.
    retired: bool,
    /// Set when the pool was forgotten: jobs must look for another.
    forgotten: bool,
    kept: Kept,
}

#[derive(Debug)]
struct Idle<M> {
    id: EnvironmentId,
    handle: M,
    since: Timestamp,
}

#[derive(Debug)]
struct Member<M> {
    handle: M,
    kind: Kind,
    /// Since when it can take jobs.
    offered: Option<Timestamp>,
    /// It was told to end.
    closing: bool,
}

/// What becomes of a submitted job.
#[derive(Debug, PartialEq, Eq)]
pub enum Submitted<M, J> {
    /// It runs there.
    Run(EnvironmentId, M, J),
    /// It waits, and what it waits for is under way.
    Wait,
    /// It waits, and a new environment is to be started and entered.
    Start,
    /// It waits, and somebody is to look at the queue after [`LEASE_PATIENCE`].
    Watch,
    /// There is no such pool any more.
    Forgotten(J),
}

/// What an environment does that can take a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Offered<M, J> {
    /// Run this.
    Run(M, J),
    /// Wait, at most for the idle expiry.
    Rest,
    /// Wait for as long as it lives.
    Stay,
    /// End.
    Close,
}

/// Why an environment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Its runtime did, or it was told to.
    Ended,
    /// It could not be started, and another could not either.
    Unstarted,
    /// It could not be started just now.
    Busy,
    /// There was no place for it in time.
    Placeless,
}

/// What follows from the end of an environment.
#[derive(Debug, PartialEq, Eq)]
pub struct Left<J> {
    /// A job that nothing is started for any more.
    pub refused: Option<J>,
    /// Whether another environment is to be started and entered, after a pause.
    pub again: bool,
    /// Whether provisioned concurrency lacks one now.
    pub short: bool,
}

/// Whether an environment still waits for a place on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// For so long; then ask again.
    For(Duration),
    /// No longer: who needs it has waited long enough, or nobody needs it.
    Over,
}

/// How many environments there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// All.
    pub members: usize,
    /// Those that wait for a job.
    pub idle: usize,
    /// Those that have not finished their init.
    pub starting: usize,
}

impl<M, J> Default for Roster<M, J> {
    fn default() -> Self {
        Self {
            idle: VecDeque::new(),
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            members: HashMap::new(),
            starting: 0,
            ending: 0,
            watched: false,
            retired: false,
            forgotten: false,
            kept: Kept::default(),
        }
    }
}

impl<M: Clone, J> Roster<M, J> {
    /// A job for the newest idle environment, of provisioned concurrency first; else for the queue.
    pub fn submit(&mut self, job: J, now: Timestamp) -> Submitted<M, J> {
        if self.forgotten {
            return Submitted::Forgotten(job);
        }
        if let Some(Idle { id, handle, .. }) = self.ready.pop_back() {
            self.kept.count(Kind::Provisioned);
            return Submitted::Run(id, handle, job);
        }
        if let Some(Idle { id, handle, .. }) = self.idle.pop_back() {
            self.kept.count(Kind::OnDemand);
            return Submitted::Run(id, handle, job);
        }
        self.waiting.push_back((job, now));
        self.demand()
    }

    /// A provisioned environment that is being warmed may take long, so nobody waits for it alone.
    fn demand(&mut self) -> Submitted<M, J> {
        if self.waiting.len() <= self.starting {
            Submitted::Wait
        } else if self.waiting.len() > self.starting + self.ending {
            self.starting += 1;
            Submitted::Start
        } else if std::mem::replace(&mut self.watched, true) {
            Submitted::Wait
        } else {
            Submitted::Watch
        }
    }

    /// How many environments must be started for jobs that waited too long, and whether to look again.
    pub fn impatient(&mut self, now: Timestamp) -> (usize, bool) {
        let late = self.waiting.iter().take_while(|(_, since)| now.since(*since) >= LEASE_PATIENCE).count();
        let more = late.saturating_sub(self.starting);
        self.starting += more;
        self.watched = self.waiting.len() > self.starting;
        (more, self.watched)
    }

    /// An environment is to be started and entered though no job waits for it; false where there is no pool any more.
    pub fn prepare(&mut self) -> bool {
        self.starting += usize::from(!self.forgotten);
        !self.forgotten
    }

    /// The same for the next job that comes, where nothing is free or about to be.
    pub fn prepare_next(&mut self) -> bool {
        let wanted = self.idle.is_empty() && self.starting == 0 && !self.retired && !self.forgotten;
        self.starting += usize::from(wanted);
        wanted
    }

    /// Enters an environment that [`Roster::submit`], [`Roster::impatient`] or [`Roster::tend`] asked for.
    pub fn enter(&mut self, id: EnvironmentId, handle: M, kind: Kind) {
        self.kept.live += usize::from(kind == Kind::Provisioned);
        self.members.insert(id, Member { handle, kind, offered: None, closing: false });
    }

    /// Whether an environment that has no place on the machine yet goes on waiting for one.
    pub fn patience(&self, id: EnvironmentId, now: Timestamp) -> Patience {
        let Some(member) = self.members.get(&id).filter(|member| !member.closing) else {
            return Patience::Over;
        };
        let waited = match (member.kind, self.waiting.front()) {
            (Kind::OnDemand, Some((_, since))) => now.since(*since),
            // Nobody waits for it any more; what is provisioned is tried again later.
            (Kind::OnDemand, None) | (Kind::Provisioned, _) => return Patience::Over,
        };
        let left = PLACE_PATIENCE.saturating_sub(waited);
        if left.is_zero() { Patience::Over } else { Patience::For(left) }
    }

    /// An environment has answered its caller: it is about to be free.
    pub fn answered(&mut self) {
        self.ending += 1;
    }

    /// An environment that had answered is free, or has ended.
    pub fn freed(&mut self) {
        self.ending -= 1;
    }

    /// An environment can take a job. `pressed` tells that others wait for a place on the machine.
    pub fn offer(&mut self, id: EnvironmentId, now: Timestamp, pressed: bool) -> Offered<M, J> {
        let Some(member) = self.members.get_mut(&id) else { return Offered::Close };
        let (kind, closing, handle) = (member.kind, member.closing, member.handle.clone());
        if member.offered.is_none() {
            member.offered = Some(now);
            match kind {
                Kind::OnDemand => self.starting -= 1,
                Kind::Provisioned => self.kept.warmed(),
            }
        }
        if let Some((job, _)) = self.waiting.pop_front() {
            self.kept.count(kind);
            return Offered::Run(handle, job);
        }
        let surplus = kind == Kind::Provisioned && (self.kept.live > self.kept.wish.count || closing);
        if self.retired || surplus || (kind == Kind::OnDemand && pressed) {
            self.close(id);
            return Offered::Close;
        }
        let resting = Idle { id, handle, since: now };
        match kind {
            Kind::OnDemand => {
                self.idle.push_back(resting);
                Offered::Rest
            }
            Kind::Provisioned => {
                self.ready.push_back(resting);
                Offered::Stay
            }
        }
    }

    /// Takes an environment out of the idle ones; false when it has been given a job meanwhile.
    pub fn withdraw(&mut self, id: EnvironmentId) -> bool {
        let before = self.idle.len() + self.ready.len();
        self.forget_idle(id);
        let withdrawn = self.idle.len() + self.ready.len() < before;
        if withdrawn {
            self.close(id);
        }
        withdrawn
    }

    fn forget_idle(&mut self, id: EnvironmentId) {
        self.idle.retain(|idle| idle.id != id);
        self.ready.retain(|idle| idle.id != id);
    }

    /// Marks an environment as one that is told to end, and says how.
    fn close(&mut self, id: EnvironmentId) -> Option<M> {
        let member = self.members.get_mut(&id)?;
        if !std::mem::replace(&mut member.closing, true) {
            self.kept.live -= usize::from(member.kind == Kind::Provisioned);
        }
        Some(member.handle.clone())
    }

    /// An environment has ended.
    pub fn leave(&mut self, id: EnvironmentId, why: Leaving, now: Timestamp) -> Left<J> {
        let nothing = Left { refused: None, again: false, short: false };
        let Some(member) = self.members.remove(&id) else { return nothing };
        self.forget_idle(id);
        if member.kind == Kind::Provisioned {
            self.kept.left(member.offered, (!member.closing).then_some(why), now);
            return Left { short: true, ..nothing };
        }
        if member.offered.is_some() {
            return nothing;
        }
        self.starting -= 1;
        // Each waiting job has a starting environment of its own; now one has none.
        let Some((_, since)) = self.waiting.front().filter(|_| self.waiting.len() > self.starting) else {
            return nothing;
        };
        let patient = now.since(*since) < PLACE_PATIENCE && !self.retired;
        let refused = match why {
            Leaving::Ended | Leaving::Busy if patient => {
                self.starting += 1;
                return Left { again: true, ..nothing };
            }
            // The others may be served yet by what is under way.
            Leaving::Unstarted => self.waiting.pop_back(),
            Leaving::Ended | Leaving::Busy | Leaving::Placeless => self.waiting.pop_front(),
        };
        Left { refused: refused.map(|(job, _)| job), ..nothing }
    }

    /// Lets nothing idle any more: what is to be closed now. What runs ends as if nothing had happened.
    pub fn retire(&mut self) -> Vec<M> {
        self.retired = true;
        self.kept.wish.count = 0;
        // What no job waits for is not made to its end.
        let unneeded = |kind| kind == Kind::Provisioned || self.waiting.is_empty();
        let unwarmed = self
            .members
            .iter()
            .filter(|(_, member)| unneeded(member.kind) && member.offered.is_none() && !member.closing);
        let idle = self.idle.drain(..).chain(self.ready.drain(..)).map(|idle| idle.id);
        let going: Vec<EnvironmentId> = idle.chain(unwarmed.map(|(id, _)| *id)).collect();
        going.into_iter().filter_map(|id| self.close(id)).collect()
    }

    /// Everything is to be closed, with what runs.
    pub fn destroy(&mut self) -> Vec<M> {
        self.retire();
        let all: Vec<EnvironmentId> = self.members.keys().copied().collect();
        all.into_iter().filter_map(|id| self.close(id)).collect()
    }

    /// How many environments are in which state.
    pub fn occupancy(&self) -> Occupancy {
        let starting = self.members.values().filter(|member| member.offered.is_none()).count();
        Occupancy { members: self.members.len(), idle: self.idle.len() + self.ready.len(), starting }
    }

    /// How many environments have finished their init, so that what they hold can be measured.
    pub fn measured(&self) -> u64 {
        self.members.values().filter(|member| member.offered.is_some()).count() as u64
    }

    /// When the environment that idles longest began to. What is provisioned does not idle: it is kept.
    pub fn oldest_idle(&self) -> Option<Timestamp> {
        self.idle.front().map(|idle| idle.since)
    }

    /// The environment that idles longest, which is to be closed.
    pub fn evict(&mut self) -> Option<M> {
        let idle = self.idle.pop_front()?;
        self.close(idle.id)
    }

    /// Whether the pool holds nothing and is wanted for nothing. It takes no more jobs then.
    pub fn forget(&mut self) -> bool {
        let empty = self.members.is_empty() && self.waiting.is_empty() && self.starting == 0;
        self.forgotten = empty && self.kept.is_idle();
        self.forgotten
    }
}

#[cfg(test)]
mod tests;
