//! Provisioned concurrency: environments that are there before anybody calls.

use std::time::Duration;

use base::clock::Timestamp;
use base::id::EnvironmentId;
use base::limits::{WARM_RETRY, WARM_RETRY_MOST, WARMING_AT_ONCE};

use super::{Kind, Leaving, Member, Roster};

/// What is to be kept ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How many environments.
    pub count: usize,
    /// When that was last said: who says it again wants it tried again.
    pub said: Timestamp,
}

/// Why provisioned concurrency is not ready and will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmFailure {
    /// The function's init failed or took too long.
    Init,
    /// The environment could not be started.
    Start,
    /// The machine has no place.
    Place,
}

/// How provisioned concurrency of one version stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many environments are to be kept ready.
    pub wanted: usize,
    /// When that was last said.
    pub said: Option<Timestamp>,
    /// How many there are, those included that are being warmed.
    pub allocated: usize,
    /// How many have finished their init, whether they run or wait.
    pub available: usize,
    /// How many of these run something.
    pub in_use: usize,
    /// Why the last one that was started is not there.
    pub failure: Option<WarmFailure>,
    /// Jobs that ran there, since the pool was made.
    pub served: u64,
    /// Jobs that ran on demand meanwhile, because none was free.
    pub spilled: u64,
}

/// What is to be done for provisioned concurrency.
#[derive(Debug, PartialEq, Eq)]
pub struct Tended<M> {
    /// How many environments are to be started and entered.
    pub start: usize,
    /// Environments that are not wanted any more, to be closed.
    pub close: Vec<M>,
    /// When to look again at the latest.
    pub again: Option<Timestamp>,
}

/// The part of a [`Roster`] that is about provisioned concurrency.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) wish: Wish,
    /// Environments that are there and not told to end.
    pub(super) live: usize,
    /// Environments that have not been offered yet, entered or not.
    warming: usize,
    failing: Option<Failing>,
    served: u64,
    spilled: u64,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    /// None where it only lived for too short a time.
    why: Option<WarmFailure>,
    /// How often in a row.
    times: u32,
    retry: Timestamp,
}

impl Default for Kept {
    fn default() -> Self {
        let wish = Wish { count: 0, said: Timestamp::from_millis(0) };
        Self { wish, live: 0, warming: 0, failing: None, served: 0, spilled: 0 }
    }
}

impl Kept {
    /// Counts a job by where it runs.
    pub(super) const fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Provisioned => self.served += 1,
            Kind::OnDemand if self.wish.count > 0 => self.spilled += 1,
            Kind::OnDemand => {}
        }
    }

    /// One has finished its init.
    pub(super) const fn warmed(&mut self) {
        self.warming -= 1;
        self.failing = None;
    }

    /// One has ended; `why` unless it was told to. One that lived for some time is replaced at once.
    pub(super) fn left(&mut self, offered: Option<Timestamp>, why: Option<Leaving>, now: Timestamp) {
        self.warming -= usize::from(offered.is_none());
        let Some(why) = why else { return };
        self.live -= 1;
        match offered {
            Some(since) if now.since(since) >= WARM_RETRY => {}
            // What ends right after its init is no failure, and is not made again and again without a pause.
            Some(_) => self.fail(None, now),
            None => self.fail(Some(why.into()), now),
        }
    }

    fn fail(&mut self, why: Option<WarmFailure>, now: Timestamp) {
        let times = self.failing.map_or(0, |failing| failing.times);
        self.failing = Some(Failing { why, times: times.saturating_add(1), retry: now + backoff(times) });
    }

    /// Whether nothing is wanted and nothing under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.wish.count == 0 && self.warming == 0
    }
}

impl From<Leaving> for WarmFailure {
    fn from(why: Leaving) -> Self {
        match why {
            Leaving::Ended => Self::Init,
            Leaving::Unstarted => Self::Start,
            Leaving::Busy | Leaving::Placeless => Self::Place,
        }
    }
}

fn backoff(times: u32) -> Duration {
    WARM_RETRY.saturating_mul(2_u32.saturating_pow(times)).min(WARM_RETRY_MOST)
}

impl<M: Clone, J> Roster<M, J> {
    /// Notes how many environments are to be kept ready; [`Roster::tend`] says what follows. False when there is no
    /// such pool any more.
    pub fn keep(&mut self, wish: Wish) -> bool {
        if self.forgotten {
            return false;
        }
        let wish = if self.retired { Wish { count: 0, ..wish } } else { wish };
        if wish != self.kept.wish {
            self.kept.failing = None;
        }
        self.kept.wish = wish;
        true
    }

    /// How many environments are to be kept ready.
    pub const fn wanted(&self) -> usize {
        self.kept.wish.count
    }

    /// What is to be done now so that there are as many as are wanted.
    pub fn tend(&mut self, now: Timestamp) -> Tended<M> {
        let (have, wanted) = (self.kept.live, self.kept.wish.count);
        let close = self.release(have.saturating_sub(wanted));
        let missing = wanted.saturating_sub(have);
        let waits = self.kept.failing.map(|failing| failing.retry).filter(|retry| *retry > now);
        let (start, again) = match waits {
            _ if missing == 0 => (0, None),
            Some(retry) => (0, Some(retry)),
            None => {
                // Where the last one failed, one is enough to find out whether the next would.
                let at_once = if self.kept.failing.is_some() { 1 } else { WARMING_AT_ONCE };
                (missing.min(at_once.saturating_sub(self.kept.warming)), None)
            }
        };
        self.kept.warming += start;
        Tended { start, close, again }
    }

    /// Ends `surplus` of those that are kept ready: idle ones first, then those that are being warmed. Those that run
    /// end when they are free.
    fn release(&mut self, surplus: usize) -> Vec<M> {
        let idle: Vec<EnvironmentId> =
            (0..surplus).map_while(|_| self.ready.pop_front()).map(|one| one.id).collect();
        let unwarmed = |member: &Member<M>| {
            member.kind == Kind::Provisioned && member.offered.is_none() && !member.closing
        };
        let more = self.members.iter().filter(|(_, member)| unwarmed(member)).map(|(id, _)| *id);
        let going: Vec<EnvironmentId> = idle.into_iter().chain(more).take(surplus).collect();
        going.into_iter().filter_map(|id| self.close(id)).collect()
    }

    /// How provisioned concurrency stands.
    pub fn standing(&self) -> Standing {
        let kept = |one: &&Member<M>| one.kind == Kind::Provisioned && !one.closing;
        let available = self.members.values().filter(kept).filter(|one| one.offered.is_some()).count();
        Standing {
            wanted: self.kept.wish.count,
            said: Some(self.kept.wish.said),
            allocated: self.kept.live,
            available,
            in_use: available - self.ready.len(),
            failure: self.kept.failing.and_then(|failing| failing.why),
            served: self.kept.served,
            spilled: self.kept.spilled,
        }
    }
}
