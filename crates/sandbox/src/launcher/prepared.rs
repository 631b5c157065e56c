//! Sandboxes that stand before it is known for which function.
//!
//! Each is given to one function and goes with its environment: none comes back here, and nothing of one that did not
//! become what it should is used for another.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use base::clock::Timestamp;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::sandboxes::{Born, Holding, Keys, REPORT_BYTES, kill, reported, welcome};
use super::zygotes::{Order, Zygotes};
use crate::init::{self, Nursery, Tenant};
use crate::limits::{BUILD_TIME, PREPARED_CEILING, PREPARED_QUIET, PREPARED_RETRY};
use crate::plan::stock::Stock;
use crate::spec::{Preparation, SandboxSpec};
use crate::sys::{self, packets};

/// Every sandbox that nobody has asked for yet.
pub(super) struct Prepared {
    stock: Stock<Preparation>,
    /// Those that wait for a function, by what they are for.
    ready: HashMap<Preparation, VecDeque<Sealed>>,
    /// Those that do not stand yet.
    rising: HashMap<Pid, Rising>,
    /// What each of them has of the launcher's, until it was given away or has ended.
    holdings: HashMap<Pid, Holding>,
    /// No more are made before.
    pause: Option<Timestamp>,
    /// Says how many threads of this machine want a processor.
    load: Option<File>,
    processors: usize,
}

/// A sandbox that waits for its function.
pub(super) struct Sealed {
    /// Its first process.
    pub(super) init: Pid,
    /// To that.
    pub(super) socket: OwnedFd,
    /// What the server gets.
    pub(super) keys: Keys,
    /// Its mount namespace.
    pub(super) mounts: OwnedFd,
    /// What it was made for.
    pub(super) preparation: Preparation,
    /// Where a zygote can bear a runtime into it, when nobody waits in it.
    pub(super) nest: Option<Nest>,
}

struct Rising {
    preparation: Preparation,
    deadline: Timestamp,
    socket: OwnedFd,
    keys: Keys,
    nest: Option<Nest>,
    /// Comes with the news that its walls stand.
    mounts: Option<OwnedFd>,
}

/// Where a runtime is to be born: in a sandbox whose namespaces stand and whose users have their names.
pub(super) struct Nest {
    /// What the sandbox is for.
    pub(super) preparation: Preparation,
    /// The first process of it.
    pub(super) init: Pid,
    /// Where a process joins its control groups, by writing `0`; none while nobody is to be born.
    pub(super) joins: Vec<OwnedFd>,
    /// Write end of its log.
    pub(super) log: OwnedFd,
    /// The runtime's end of its socket to the init.
    pub(super) handover: OwnedFd,
}

/// What the init of a sandbox is born with, so that a runtime waits in it or may later, and the runtime's end of its
/// socket when a zygote will bear it.
pub(super) fn nursery(
    preparation: &Preparation,
    zygotes: &mut Zygotes,
) -> io::Result<(Option<Nursery>, Option<OwnedFd>)> {
    let (socket, theirs) = packets::pair()?;
    let Some(argv) = preparation.waiting.clone() else {
        return Ok((Some(Nursery { socket, tenant: None }), Some(theirs)));
    };
    let (execute, handover) =
        if zygotes.can_bear(preparation) { (None, Some(theirs)) } else { (Some(theirs), None) };
    Ok((Some(Nursery { socket, tenant: Some(Tenant { argv, execute }) }), handover))
}

/// Has a zygote bear a runtime into the sandbox. When that cannot be, the init learns it by the end of its socket, and
/// executes the runtime.
///
/// Its init has the users' names by now and gives up its rights meanwhile. One that is built ahead says `SEALED` when it
/// has, and when who waits is ready.
pub(super) fn settle(nest: Nest, zygotes: &mut Zygotes) {
    let Nest { preparation, init, joins, log, handover } = nest;
    // The init is collected only by this process, so its number is still its own.
    let Ok(init) = pidfd_open(init, PidfdFlags::empty()) else { return };
    zygotes.bear(&preparation, &Order { init, handover, log, joins });
}

/// What to do in a quiet moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make one of these ready.
    Make(Preparation),
    /// End one of these, which there are too many of.
    End(Preparation),
}

/// What every function can use: no interpreter is mounted and nothing waits.
pub(super) const PLAIN: Preparation = Preparation { interpreter: None, waiting: None };

impl Prepared {
    /// None yet. `most`: as [`crate::LauncherSetup::prepared`]; `files` is what this process may open.
    pub(super) fn new(most: Option<usize>, files: usize, processors: usize) -> Self {
        // Each takes ten descriptors here, and a third of all are left to other things.
        let ceiling = PREPARED_CEILING.min(files / 16);
        Self {
            stock: Stock::new(PLAIN, most.map(|most| most.min(ceiling))),
            ready: HashMap::new(),
            rising: HashMap::new(),
            holdings: HashMap::new(),
            pause: None,
            load: File::open("/proc/loadavg").ok(),
            processors,
        }
    }

    /// Notes that a sandbox is asked for.
    pub(super) fn asked(&mut self, spec: &SandboxSpec, now: Timestamp) {
        self.stock.asked(&kind(spec), now);
    }

    /// Notes that one may be asked for.
    pub(super) fn expect(&mut self, preparation: &Preparation, now: Timestamp) {
        if preparation.waiting.is_some() {
            self.stock.expect(preparation, now);
        }
    }

    /// One that fits, or else one that does for all; it is no longer known here, but for what it holds.
    pub(super) fn take(&mut self, spec: &SandboxSpec) -> Option<Sealed> {
        if self.ready.is_empty() {
            return None;
        }
        let mut of = |kind: &Preparation| {
            let shelf = self.ready.get_mut(kind)?;
            let sealed = shelf.pop_front();
            if shelf.is_empty() {
                self.ready.remove(kind);
            }
            sealed
        };
        of(&kind(spec)).or_else(|| of(&PLAIN))
    }

    /// What one holds.
    pub(super) fn holding(&self, init: Pid) -> Option<Holding> {
        self.holdings.get(&init).copied()
    }

    /// Forgets one that was given to a function.
    pub(super) fn release(&mut self, init: Pid) {
        self.holdings.remove(&init);
    }

    /// Takes in a sandbox whose init was just forked.
    pub(super) fn admit(&mut self, preparation: Preparation, born: Born, now: Timestamp) {
        let Born { pid, holding, socket, keys, nest, .. } = born;
        self.holdings.extend(holding.map(|holding| (pid, holding)));
        let deadline = now + BUILD_TIME;
        self.rising.insert(pid, Rising { preparation, deadline, socket, keys, nest, mounts: None });
    }

    /// Sockets of those that do not stand yet.
    pub(super) fn rising(&self) -> impl Iterator<Item = &OwnedFd> {
        self.rising.values().map(|rising| &rising.socket)
    }

    /// Reads what they have to say.
    pub(super) fn greet(&mut self, now: Timestamp, zygotes: &mut Zygotes) {
        let (holdings, pause) = (&self.holdings, &mut self.pause);
        let done: Vec<_> = self
            .rising
            .extract_if(|pid, rising| {
                let holding = holdings.get(pid);
                match rising.hear(*pid, holding, zygotes) {
                    Ok(is_ready) => is_ready,
                    Err(why) => {
                        sys::say(format_args!("no sandbox is ready for the next function: {why}"));
                        *pause = Some(now + PREPARED_RETRY);
                        kill(*pid);
                        true
                    }
                }
            })
            .collect();
        for (init, Rising { preparation, socket, keys, mounts, nest, .. }) in done {
            if let Some(mounts) = mounts {
                let sealed = Sealed { init, socket, keys, mounts, preparation: preparation.clone(), nest };
                self.ready.entry(preparation).or_default().push_back(sealed);
            }
        }
    }

    /// Gives up those that take too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.rising.extract_if(|_, rising| rising.deadline < now).for_each(|(pid, _)| kill(pid));
    }

    /// Notes that a process ended; what it held, when it was one of these.
    pub(super) fn ended(&mut self, init: Pid) -> Option<Holding> {
        let holding = self.holdings.remove(&init)?;
        self.rising.remove(&init);
        self.ready.retain(|_, shelf| {
            shelf.retain(|sealed| sealed.init != init);
            !shelf.is_empty()
        });
        Some(holding)
    }

    /// Kills them all.
    pub(super) fn end_all(&mut self) {
        self.ready.clear();
        self.rising.clear();
        self.holdings.keys().for_each(|init| kill(*init));
    }

    /// Ends one of a kind.
    pub(super) fn end_one(&mut self, kind: &Preparation) {
        let oldest = self.ready.get_mut(kind).and_then(VecDeque::pop_front);
        oldest.into_iter().for_each(|sealed| kill(sealed.init));
    }

    /// Whether nothing is left of any.
    pub(super) fn is_empty(&self) -> bool {
        self.holdings.is_empty()
    }

    /// Whether a process is the init of one.
    pub(super) fn has(&self, pid: Pid) -> bool {
        self.holdings.contains_key(&pid)
    }

    /// What to do in a quiet moment. One rises at a time, so that whoever asks for one finds a processor.
    pub(super) fn step(&self, now: Timestamp) -> Option<Step> {
        if !self.stock.is_kept() || !self.rising.is_empty() {
            return None;
        }
        let all = self.ready.values().map(VecDeque::len).sum();
        let many = self.ready.iter().find(|(kind, shelf)| shelf.len() > self.stock.target(kind, now));
        match many {
            Some((kind, _)) => Some(Step::End(kind.clone())),
            None => self.stock.next(now, all, |kind| self.count(kind)).map(Step::Make),
        }
    }

    fn count(&self, kind: &Preparation) -> usize {
        self.ready.get(kind).map_or(0, VecDeque::len)
    }

    /// How long it should be quiet before a step.
    pub(super) fn patience(&self, step: &Step, now: Timestamp) -> Duration {
        let pause = self.pause.map_or(Duration::ZERO, |pause| pause.since(now));
        let quiet = match step {
            Step::Make(kind) => self.stock.patience(kind, self.count(kind), now).0,
            Step::End(_) => PREPARED_QUIET,
        };
        quiet.max(pause)
    }

    /// Whether a step that is due shall be put off, because others need the processors more or the last one failed.
    pub(super) fn must_wait(&mut self, step: &Step, now: Timestamp) -> bool {
        if self.pause.is_some_and(|pause| pause > now) {
            return true;
        }
        let Step::Make(kind) = step else { return false };
        let (_, idle_only) = self.stock.patience(kind, self.count(kind), now);
        let wait = idle_only && self.is_busy();
        self.pause = wait.then(|| now + PREPARED_QUIET);
        wait
    }

    /// Makes nothing for a while.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        self.pause = Some(now + PREPARED_RETRY);
    }

    /// Whether as many threads want a processor as there are, without this one.
    fn is_busy(&self) -> bool {
        let mut text = [0; 64];
        let read = self.load.as_ref().and_then(|load| load.read_at(&mut text, 0).ok());
        let text = str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or_default();
        running(text).is_some_and(|running| running > self.processors)
    }
}

/// Threads that run or want to, in the text of `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.
fn running(loadavg: &str) -> Option<usize> {
    loadavg.split(' ').nth(3)?.split('/').next()?.parse().ok()
}

/// Which of them is for a function: where nothing waits, all interpreters share one kind and are mounted late.
fn kind(spec: &SandboxSpec) -> Preparation {
    if spec.waiting.is_some() { spec.preparation() } else { PLAIN }
}

impl Rising {
    /// What has become of it: whether it is ready, or why it will not be.
    fn hear(&mut self, init: Pid, holding: Option<&Holding>, zygotes: &mut Zygotes) -> Result<bool, String> {
        let received = match packets::receive(self.socket.as_fd(), REPORT_BYTES, true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            received => received.map_err(|error| error.to_string())?,
        };
        match received.packet[..] {
            [init::RAISED] => {
                self.mounts = received.descriptors.into_iter().next();
                welcome(init, holding, &self.socket)
                    .map_err(|error| format!("{}: {}", error.step, error.source))?;
                let tenants = self.nest.take_if(|nest| nest.preparation.waiting.is_some());
                tenants.into_iter().for_each(|nest| settle(nest, zygotes));
                Ok(false)
            }
            [init::SEALED] => Ok(true),
            _ => Err(reported(&received.packet).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_is_read_from_the_load() {
        assert_eq!(running("0.20 0.18 0.12 3/80 11206\n"), Some(3));
        assert_eq!(running(""), None);
    }
}
