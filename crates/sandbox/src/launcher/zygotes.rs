//! Zygotes: Pythons that have loaded all that a runtime needs, and fork it into sandboxes that stand.
//!
//! The launcher never waits for one. An order that a zygote does not take, or a zygote that ends with orders unread,
//! closes the handover's socket, and the sandbox's init executes the runtime instead.

mod birth;
mod letters;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use rustix::process::{Pid, Signal};

use super::tree::Interpreters;
use crate::limits::{
    ZYGOTE_AGE, ZYGOTE_CHILDREN, ZYGOTE_FAILURES, ZYGOTE_ORDERS, ZYGOTE_RETRY, ZYGOTE_START_TIME, ZYGOTE_TIME,
};
use crate::plan::files;
use crate::plan::rooms::PlacedMount;
use crate::seccomp;
use crate::setup::InterpreterRoot;
use crate::spec::Preparation;
use crate::sys::process::landlock_version;
use crate::sys::{self, StepError, packets};
use letters::{REPLY_BYTES, Reply};

/// The zygotes of all interpreters.
pub(super) struct Zygotes {
    clock: Clock,
    settings: Vec<u8>,
    families: Vec<Family>,
}

/// A runtime to bear, and into which sandbox.
pub(super) struct Order {
    /// The sandbox's init, by pidfd.
    pub(super) init: OwnedFd,
    /// The runtime's end of the handover.
    pub(super) handover: OwnedFd,
    /// Write end of the log.
    pub(super) log: OwnedFd,
    /// Where a process joins the function's groups.
    pub(super) joins: Vec<OwnedFd>,
}

/// One interpreter's.
#[derive(Default)]
struct Family {
    interpreter: String,
    argv: Vec<String>,
    mounts: Vec<PlacedMount>,
    /// Who takes orders.
    current: Option<Zygote>,
    /// Who comes up, to take the other's place.
    coming: Option<Zygote>,
    /// Those that failed in a row.
    failures: u32,
    /// Not tried again before.
    pause: Option<Timestamp>,
    /// Whether a sandbox would have been its.
    is_wanted: bool,
}

struct Zygote {
    pid: Pid,
    socket: OwnedFd,
    since: Timestamp,
    ordered: u64,
    done: u64,
    /// When the oldest order that is not answered was given, or the start, until it is ready.
    asked: Option<Timestamp>,
}

impl Zygotes {
    /// None yet; they come up one by one with [`Self::advance`].
    pub(super) fn new(known: &[InterpreterRoot], placed: &Interpreters) -> Self {
        let filter = seccomp::compile(&seccomp::function());
        let rules = landlock_version().ok().and_then(files::rules);
        let family = |root: &InterpreterRoot| {
            let (_, mounts) = placed.iter().find(|(id, _)| *id == root.id)?;
            let (interpreter, argv) = (root.id.clone(), root.zygote.clone()?);
            let mounts = mounts.clone();
            Some(Family { interpreter, argv, mounts, ..Family::default() })
        };
        let mut families: Vec<_> = known.iter().filter_map(family).collect();
        // Those of the distribution, which need no mounts, are the likelier ones.
        families.sort_by_key(|family| family.mounts.len());
        Self { clock: Clock::system(), settings: letters::settings(&filter, rules.as_ref()), families }
    }

    /// Whether there is a zygote for such sandboxes that takes orders now.
    pub(super) fn can_bear(&mut self, preparation: &Preparation) -> bool {
        let family = self.families.iter_mut().find(|family| family.serves(preparation));
        family.is_some_and(|family| {
            family.is_wanted = true;
            family.has_room()
        })
    }

    /// Whether no interpreter has any.
    pub(super) fn are_none(&self) -> bool {
        self.families.is_empty()
    }

    /// Orders a runtime, where a zygote takes orders.
    pub(super) fn bear(&mut self, preparation: &Preparation, order: &Order) {
        let now = self.clock.now();
        let family = self.families.iter_mut().find(|family| family.serves(preparation) && family.has_room());
        if let Some(zygote) = family.and_then(|family| family.current.as_mut()) {
            // An order that a full socket does not take is closed, which tells whom it was for.
            let _ = zygote.order(order, now);
        }
    }

    /// Descriptors to wait for.
    pub(super) fn wires(&self) -> impl Iterator<Item = &OwnedFd> {
        self.families.iter().flat_map(Family::members).map(|zygote| &zygote.socket)
    }

    /// Whether a zygote owes something, so that time matters.
    pub(super) fn is_busy(&self) -> bool {
        self.families.iter().flat_map(Family::members).any(|zygote| zygote.asked.is_some())
    }

    /// Reads replies, ends zygotes that are silent, and brings up those that are due, one at a time.
    pub(super) fn advance(&mut self) {
        let now = self.clock.now();
        for family in &mut self.families {
            family.hear(now);
        }
        let is_one_coming = self.families.iter().any(|family| family.coming.is_some());
        let due = self.families.iter_mut().filter(|family| !is_one_coming && family.is_due(now));
        if let Some(family) = due.min_by_key(|family| !family.is_wanted) {
            family.start(&self.settings, now);
        }
    }

    /// Notes that a child ended; whether it was a zygote.
    pub(super) fn ended(&mut self, pid: Pid) -> bool {
        let now = self.clock.now();
        self.families.iter_mut().any(|family| family.ended(pid, now))
    }

    /// Whether a process is one of them.
    pub(super) fn has(&self, pid: Pid) -> bool {
        self.families.iter().flat_map(Family::members).any(|zygote| zygote.pid == pid)
    }

    /// Ends them all and forgets them; whoever collects children collects them.
    pub(super) fn end(&mut self) {
        for family in self.families.drain(..) {
            family.members().for_each(Zygote::kill);
        }
    }
}

impl Family {
    fn serves(&self, preparation: &Preparation) -> bool {
        preparation.interpreter.as_ref() == Some(&self.interpreter)
            && preparation.waiting.as_ref() == Some(&self.argv)
    }

    fn has_room(&self) -> bool {
        self.current.as_ref().is_some_and(Zygote::has_room)
    }

    fn members(&self) -> impl Iterator<Item = &Zygote> {
        self.current.iter().chain(&self.coming)
    }

    /// Whether another zygote should come up.
    fn is_due(&self, now: Timestamp) -> bool {
        self.coming.is_none()
            && self.pause.is_none_or(|pause| pause < now)
            && self.current.as_ref().is_none_or(|zygote| zygote.is_old(now))
    }

    fn start(&mut self, settings: &[u8], now: Timestamp) {
        let started = birth::start(&self.argv, &self.mounts);
        let told = started.and_then(|(pid, socket)| {
            let zygote = Zygote { pid, socket, since: now, ordered: 0, done: 0, asked: Some(now) };
            match packets::send(zygote.socket.as_fd(), settings, &[], true) {
                Ok(()) => Ok(zygote),
                Err(source) => {
                    zygote.kill();
                    Err(StepError { step: "telling a zygote what to become".into(), source })
                }
            }
        });
        match told {
            Ok(zygote) => self.coming = Some(zygote),
            Err(StepError { step, source }) => self.fail(&format!("{step}: {source}"), now),
        }
    }

    fn hear(&mut self, now: Timestamp) {
        if let Some(coming) = &mut self.coming {
            match coming.hear(now) {
                Heard::Silence if coming.is_late(ZYGOTE_START_TIME, now) => coming.kill(),
                Heard::Silence | Heard::End => {}
                // Whom it replaces ends when its socket closes, once it has carried out its orders.
                Heard::Reply(_) => self.current = self.coming.take(),
            }
        }
        if let Some(current) = &mut self.current {
            match current.hear(now) {
                Heard::Silence if current.is_late(ZYGOTE_TIME, now) => current.kill(),
                Heard::Silence | Heard::End => {}
                Heard::Reply(0) => self.failures = 0,
                Heard::Reply(error) => {
                    let reason = io::Error::from_raw_os_error(error).to_string();
                    self.fail(&reason, now);
                }
            }
        }
    }

    /// Notes a zygote that did not do what it is for. After some in a row there is none for a while.
    fn fail(&mut self, reason: &str, now: Timestamp) {
        self.failures += 1;
        if self.failures < ZYGOTE_FAILURES {
            return;
        }
        if self.failures == ZYGOTE_FAILURES {
            let id = &self.interpreter;
            sys::say(format_args!("{id} has no zygote, so its functions start more slowly: {reason}"));
        }
        self.pause = Some(now + ZYGOTE_RETRY);
        self.members().for_each(Zygote::kill);
    }

    fn ended(&mut self, pid: Pid, now: Timestamp) -> bool {
        if self.coming.take_if(|zygote| zygote.pid == pid).is_some() {
            self.fail("it ended as it came up", now);
            return true;
        }
        self.current.take_if(|zygote| zygote.pid == pid).is_some()
    }
}

/// What a zygote said.
enum Heard {
    Silence,
    /// The error of what it did last; 0 is none.
    Reply(i32),
    /// It has gone.
    End,
}

impl Zygote {
    const fn has_room(&self) -> bool {
        self.ordered - self.done < ZYGOTE_ORDERS
    }

    fn is_old(&self, now: Timestamp) -> bool {
        self.ordered >= ZYGOTE_CHILDREN || (self.ordered > 0 && self.since + ZYGOTE_AGE < now)
    }

    fn is_late(&self, time: Duration, now: Timestamp) -> bool {
        self.asked.is_some_and(|asked| asked + time < now)
    }

    fn order(&mut self, order: &Order, now: Timestamp) -> io::Result<()> {
        let first = [&order.init, &order.handover, &order.log];
        let descriptors: Vec<_> = first.into_iter().chain(&order.joins).map(AsFd::as_fd).collect();
        packets::send(self.socket.as_fd(), b"b", &descriptors, true)?;
        self.ordered += 1;
        self.asked.get_or_insert(now);
        Ok(())
    }

    /// Reads all that it said; the latest counts.
    fn hear(&mut self, now: Timestamp) -> Heard {
        let mut heard = Heard::Silence;
        loop {
            match packets::receive(self.socket.as_fd(), REPLY_BYTES, true) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard,
                Ok(received) if let Some(reply) = Reply::decode(&received.packet) => {
                    self.done = reply.done.min(self.ordered);
                    self.asked = (self.done < self.ordered).then_some(now);
                    heard = Heard::Reply(reply.error);
                }
                _ => {
                    self.kill();
                    return Heard::End;
                }
            }
        }
    }

    fn kill(&self) {
        // A zygote is collected only by this process, so its number cannot have gone to another.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
    }
}
