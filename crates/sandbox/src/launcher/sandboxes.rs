//! The sandboxes: asked for, rising, standing, ending.

mod plain;
mod walled;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use base::clock::Timestamp;
use base::id::EnvironmentId;
use base::limits::{ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Signal, getrlimit};

use super::desk::Outbox;
use super::prepared::{self, Nest, Prepared};
use super::stacks::Stack;
use super::tree::Interpreters;
use crate::freezer::Freezer;
use crate::init;
use crate::limits::{BUILD_TIME, BUILDS_AT_ONCE, MOURNERS};
use crate::plan::names;
use crate::plan::plain::{PlainHouse, ROOM};
use crate::requests::{Extras, Outcome};
use crate::seccomp::{self, Program};
use crate::spec::{BuildError, Preparation, SandboxSpec};
use crate::sys::{Step, StepError, packets};

use walled::Unclaimed;
pub(super) use walled::{Holding, Walled};

/// Longest description of a failure that an init may send, in bytes.
pub(super) const REPORT_BYTES: usize = 1024;

/// Every sandbox of this launcher.
pub(super) struct Sandboxes {
    interpreters: Interpreters,
    ground: Ground,
    filter: Program,
    capacity: usize,
    waiting: VecDeque<(u64, SandboxSpec)>,
    live: HashMap<EnvironmentId, Sandbox>,
    /// Those of them whose walls are being raised.
    rising: HashMap<EnvironmentId, Rising>,
    by_pid: HashMap<Pid, EnvironmentId>,
    /// Directories of environments without walls that have ended.
    vacated: Vec<String>,
}

/// What sandboxes are built on.
pub(super) enum Ground {
    /// All that walls are made of.
    Walled(Box<Walled>),
    /// Nothing but the user's own files.
    Plain(PlainHouse),
}

struct Sandbox {
    init: Pid,
    /// What it has of the launcher's; nothing where there are no walls.
    holding: Option<Holding>,
    /// The layers that it shows, when they are shared.
    _stack: Option<Stack>,
    /// Destroy requests that wait for its end.
    mourners: Vec<u64>,
}

/// A sandbox whose walls are being raised.
struct Rising {
    ticket: u64,
    deadline: Timestamp,
    init: OwnedFd,
    keys: Keys,
    /// Whether the function has an AWS endpoint.
    endpoint: bool,
    /// Where a runtime shall wait, when one shall.
    nest: Option<Nest>,
}

/// What the server gets of a sandbox; see [`crate::spec::Built`].
pub(super) struct Keys {
    pub(super) control: OwnedFd,
    pub(super) log: OwnedFd,
    pub(super) meter: OwnedFd,
    pub(super) runtime_api: OwnedFd,
    pub(super) loopback: Option<OwnedFd>,
    pub(super) endpoint: Option<OwnedFd>,
    pub(super) names: Option<[OwnedFd; 2]>,
    pub(super) freezer: Option<Freezer>,
}

/// An init that was just forked.
pub(super) struct Born {
    pub(super) pid: Pid,
    pub(super) holding: Option<Holding>,
    pub(super) socket: OwnedFd,
    pub(super) keys: Keys,
    pub(super) nest: Option<Nest>,
    /// The layers that it shows, when they are shared.
    pub(super) stack: Option<Stack>,
}

impl Sandboxes {
    pub(super) fn new(interpreters: Interpreters, ground: Ground) -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            interpreters,
            ground,
            filter: seccomp::compile(&seccomp::function()),
            capacity: ENVIRONMENTS.min((files / ENVIRONMENT_DESCRIPTORS) as usize),
            waiting: VecDeque::new(),
            live: HashMap::new(),
            rising: HashMap::new(),
            by_pid: HashMap::new(),
            vacated: Vec::new(),
        }
    }

    /// Takes a request for a sandbox.
    pub(super) fn request(&mut self, ticket: u64, spec: SandboxSpec, now: Timestamp, outbox: &mut Outbox) {
        if let Some(error) = self.refusal(&spec) {
            return outbox.answer(ticket, Outcome::NotBuilt(error));
        }
        if let Ground::Walled(walled) = &mut self.ground {
            walled.asked(&spec, now);
        }
        if !self.claim(ticket, &spec, outbox) {
            self.waiting.push_back((ticket, spec));
        }
    }

    /// Gives a function a sandbox that stands already; whether the request is answered.
    fn claim(&mut self, ticket: u64, spec: &SandboxSpec, outbox: &mut Outbox) -> bool {
        let Ground::Walled(walled) = &mut self.ground else { return false };
        while let Some(mut sealed) = walled.take(spec) {
            match walled.claim(&mut sealed, spec, &self.interpreters) {
                Ok((holding, stack)) => {
                    let sandbox = Sandbox {
                        init: sealed.init,
                        holding: Some(holding),
                        _stack: stack,
                        mourners: Vec::new(),
                    };
                    self.by_pid.insert(sealed.init, spec.id);
                    self.live.insert(spec.id, sandbox);
                    outbox.hand_over(ticket, sealed.keys, spec.endpoint);
                    return true;
                }
                Err(Unclaimed::Ended) => {}
                Err(Unclaimed::Refused(error)) => {
                    outbox.answer(ticket, Outcome::NotBuilt(not_built(&error)));
                    return true;
                }
            }
        }
        false
    }

    /// Notes that one may be asked for soon, which nobody has to if it is one that cannot be.
    pub(super) fn expect(&mut self, preparation: Preparation, now: Timestamp) {
        let is_fit = names::unfit(&preparation, &self.known_interpreters()).is_none();
        if is_fit && let Ground::Walled(walled) = &mut self.ground {
            walled.prepared_mut().into_iter().for_each(|prepared| prepared.expect(&preparation, now));
        }
    }

    fn known_interpreters(&self) -> Vec<&str> {
        self.interpreters.iter().map(|(id, _)| id.as_str()).collect()
    }

    fn refusal(&self, spec: &SandboxSpec) -> Option<BuildError> {
        let interpreters = self.known_interpreters();
        if let Some(refusal) = names::refusal(spec, &interpreters) {
            return Some(BuildError::Refused(refusal));
        }
        let known =
            self.live.contains_key(&spec.id) || self.waiting.iter().any(|(_, other)| other.id == spec.id);
        if known {
            return Some(BuildError::Refused(format!("the sandbox {} exists", spec.id)));
        }
        let full = self.live.len() + self.waiting.len() >= self.capacity;
        full.then_some(BuildError::Full { limit: self.capacity })
    }

    /// Takes a request to end one.
    pub(super) fn destroy(&mut self, ticket: u64, id: EnvironmentId, outbox: &mut Outbox) {
        if let Some(index) = self.waiting.iter().position(|(_, spec)| spec.id == id)
            && let Some((builder, _)) = self.waiting.remove(index)
        {
            outbox.answer(builder, Outcome::NotBuilt(BuildError::Destroyed));
        }
        match self.live.get_mut(&id) {
            None => outbox.answer(ticket, Outcome::Destroyed),
            Some(sandbox) => {
                if sandbox.mourners.len() < MOURNERS {
                    sandbox.mourners.push(ticket);
                }
                if let Ground::Walled(walled) = &self.ground {
                    walled.thaw(sandbox.holding);
                }
                kill(sandbox.init);
                if let Some(rising) = self.rising.remove(&id) {
                    outbox.answer(rising.ticket, Outcome::NotBuilt(BuildError::Destroyed));
                }
            }
        }
    }

    /// Starts what waits, gives up what takes too long, and retries removals.
    pub(super) fn advance(&mut self, now: Timestamp, has_room: bool, outbox: &mut Outbox) {
        while has_room && let Some((ticket, spec)) = self.waiting.pop_front() {
            if self.claim(ticket, &spec, outbox) {
                continue;
            }
            if self.rising.len() >= BUILDS_AT_ONCE {
                self.waiting.push_front((ticket, spec));
                break;
            }
            if let Err(error) = self.build(ticket, &spec, now) {
                outbox.answer(ticket, Outcome::NotBuilt(not_built(&error)));
            }
        }
        if self.rising.values().any(|rising| rising.deadline < now) {
            // This process may have waited for its turn as long as they did, and they may have said so meanwhile.
            self.greet(now, outbox);
        }
        for (id, rising) in self.rising.extract_if(|_, rising| rising.deadline < now) {
            outbox.answer(rising.ticket, Outcome::NotBuilt(BuildError::TimedOut));
            self.live.get(&id).inspect(|sandbox| kill(sandbox.init));
        }
        if let Ground::Walled(walled) = &mut self.ground {
            walled.prepared_mut().into_iter().for_each(|prepared| prepared.expire(now));
            walled.retry_removals();
            walled.zygotes.advance();
        }
    }

    fn build(&mut self, ticket: u64, spec: &SandboxSpec, now: Timestamp) -> Result<(), StepError> {
        let born = match &mut self.ground {
            Ground::Walled(walled) => walled.build(spec, &self.interpreters, &self.filter, now)?,
            Ground::Plain(house) => plain::build(house, spec, &self.filter)?,
        };
        let Born { pid, holding, socket, keys, nest, stack } = born;
        self.by_pid.insert(pid, spec.id);
        self.live.insert(spec.id, Sandbox { init: pid, holding, _stack: stack, mourners: Vec::new() });
        let (deadline, endpoint) = (now + BUILD_TIME, spec.endpoint);
        self.rising.insert(spec.id, Rising { ticket, deadline, init: socket, keys, endpoint, nest });
        Ok(())
    }

    /// What may speak: inits whose walls are being raised, and zygotes.
    pub(super) fn wires(&self) -> impl Iterator<Item = &OwnedFd> {
        let ahead = self.prepared().into_iter().flat_map(Prepared::rising);
        let zygotes = self.walled().into_iter().flat_map(|walled| walled.zygotes.wires());
        self.rising.values().map(|rising| &rising.init).chain(ahead).chain(zygotes)
    }

    /// Whether a zygote owes something, so that time matters.
    pub(super) fn awaits_a_zygote(&self) -> bool {
        self.walled().is_some_and(|walled| walled.zygotes.is_busy())
    }

    /// Reads what rising inits have to say, and hands over the sandboxes whose walls stand.
    pub(super) fn greet(&mut self, now: Timestamp, outbox: &mut Outbox) {
        let mut heard = Vec::new();
        let live = &self.live;
        let done = self.rising.extract_if(|id, rising| {
            let outcome = live.get(id).map(|sandbox| rising.hear(sandbox));
            // One that is not known has been answered.
            let is_done = outcome.as_ref().is_none_or(Option::is_some);
            heard.extend(is_done.then(|| outcome.flatten()));
            is_done
        });
        let done: Vec<_> = done.collect();
        for ((id, rising), outcome) in done.into_iter().zip(heard) {
            match outcome {
                None => {}
                Some(Ok(())) => {
                    if let (Ground::Walled(walled), Some(nest)) = (&mut self.ground, rising.nest) {
                        prepared::settle(nest, &mut walled.zygotes);
                    }
                    outbox.hand_over(rising.ticket, rising.keys, rising.endpoint);
                }
                Some(Err(error)) => {
                    self.live.get(&id).inspect(|sandbox| kill(sandbox.init));
                    outbox.answer(rising.ticket, Outcome::NotBuilt(error));
                }
            }
        }
        if let Ground::Walled(walled) = &mut self.ground {
            walled.greet(now);
        }
    }

    /// Notes that a child ended; whether it was an init.
    pub(super) fn ended(&mut self, pid: Pid, now: Timestamp, outbox: &mut Outbox) -> bool {
        if let Ground::Walled(walled) = &mut self.ground
            && walled.zygotes.ended(pid)
        {
            return true;
        }
        let Some(id) = self.by_pid.remove(&pid) else { return self.ended_ahead(pid, now) };
        // Its last words may still be unread.
        self.greet(now, outbox);
        if let Some(rising) = self.rising.remove(&id) {
            outbox.answer(rising.ticket, Outcome::NotBuilt(reported(b"")));
        }
        let sandbox = self.live.remove(&id);
        if let Some(sandbox) = &sandbox {
            sandbox.mourners.iter().for_each(|ticket| outbox.answer(*ticket, Outcome::Destroyed));
        }
        match &mut self.ground {
            Ground::Walled(walled) => walled.take_back(sandbox.and_then(|sandbox| sandbox.holding)),
            Ground::Plain(_) => self.vacated.push(format!("{ROOM}{id}")),
        }
        true
    }

    /// The same of one that nobody has asked for.
    fn ended_ahead(&mut self, pid: Pid, now: Timestamp) -> bool {
        let Ground::Walled(walled) = &mut self.ground else { return false };
        walled.greet(now);
        let holding = walled.prepared_mut().and_then(|prepared| prepared.ended(pid));
        walled.take_back(holding);
        holding.is_some()
    }

    /// Lets go of what shows a directory of code that is about to be removed.
    pub(super) fn forget_code(&mut self, name: &str) {
        if let Ground::Walled(walled) = &mut self.ground {
            walled.forget_code(name);
        }
    }

    /// Uses a quiet moment for the sandboxes to come.
    pub(super) fn prepare(&mut self, now: Timestamp) {
        let is_building = self.is_building();
        if let Ground::Walled(walled) = &mut self.ground {
            walled.prepare(now, is_building, &self.interpreters, &self.filter);
        }
    }

    /// How long a quiet moment must be to be used, if it would be: while a sandbox rises that would take the processor
    /// from it.
    pub(super) fn patience(&self, now: Timestamp) -> Option<Duration> {
        if self.is_building() { None } else { self.walled()?.patience(now) }
    }

    /// Whether less need be prepared after a long quiet time.
    pub(super) fn may_shrink(&self) -> bool {
        self.walled().is_some_and(Walled::has_many)
    }

    /// Tries again to remove groups that were busy.
    pub(super) fn retry_removals(&mut self) {
        if let Ground::Walled(walled) = &mut self.ground {
            walled.retry_removals();
        }
    }

    /// Kills them all.
    pub(super) fn destroy_all(&mut self) {
        self.waiting.clear();
        for sandbox in self.live.values() {
            self.walled().inspect(|walled| walled.thaw(sandbox.holding));
            kill(sandbox.init);
        }
        if let Ground::Walled(walled) = &mut self.ground {
            walled.prepared_mut().into_iter().for_each(Prepared::end_all);
            walled.zygotes.end();
        }
    }

    /// Whether an ended sandbox left something in `code/`.
    pub(super) fn has_vacated(&self) -> bool {
        !self.vacated.is_empty()
    }

    /// Names in `code/` of what ended sandboxes leave.
    pub(super) fn take_vacated(&mut self) -> Vec<String> {
        std::mem::take(&mut self.vacated)
    }

    /// Whether a process is one of the inits.
    pub(super) fn has(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid)
            || self.prepared().is_some_and(|prepared| prepared.has(pid))
            || self.walled().is_some_and(|walled| walled.zygotes.has(pid))
    }

    /// Whether nothing is left of any sandbox.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && !self.has_removals() && self.prepared().is_none_or(Prepared::is_empty)
    }

    /// Whether a sandbox is being built or is to be.
    pub(super) fn is_building(&self) -> bool {
        !self.waiting.is_empty() || !self.rising.is_empty()
    }

    /// Whether control groups wait for their removal.
    pub(super) fn has_removals(&self) -> bool {
        self.walled().is_some_and(Walled::has_removals)
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Removes what is shared by all sandboxes.
    pub(super) fn close(&self) {
        self.walled().inspect(|walled| walled.close());
    }

    fn prepared(&self) -> Option<&Prepared> {
        self.walled().and_then(Walled::prepared)
    }

    fn walled(&self) -> Option<&Walled> {
        match &self.ground {
            Ground::Walled(walled) => Some(walled),
            Ground::Plain(_) => None,
        }
    }
}

impl Rising {
    /// What has become of it, when its init has said so.
    fn hear(&mut self, sandbox: &Sandbox) -> Option<Result<(), BuildError>> {
        match packets::receive(self.init.as_fd(), REPORT_BYTES, true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Ok(received) if received.packet == [init::RAISED] => {
                let welcome = welcome(sandbox.init, sandbox.holding.as_ref(), &self.init);
                Some(welcome.map_err(|error| not_built(&error)))
            }
            Ok(received) => Some(Err(reported(&received.packet))),
            Err(error) => Some(Err(reported(error.to_string().as_bytes()))),
        }
    }
}

impl Keys {
    /// As the server takes them.
    pub(super) fn hand_over(self, endpoint: bool) -> (Extras, Vec<OwnedFd>) {
        let Self { control, log, meter, runtime_api, loopback, endpoint: listener, names, freezer } = self;
        let (freezer, version) = freezer.map(Freezer::into_parts).unzip();
        let is_heard = endpoint && listener.is_some();
        let loops = loopback.is_some();
        let extras = Extras { loopback: loops, endpoint: is_heard, names: names.is_some(), freezer: version };
        let mut keys = vec![control, log, meter, runtime_api];
        keys.extend(loopback);
        keys.extend(listener.filter(|_| endpoint));
        keys.extend(names.into_iter().flatten());
        keys.extend(freezer);
        (extras, keys)
    }
}

/// Lets an init go on that has raised its walls.
pub(super) fn welcome(init: Pid, holding: Option<&Holding>, socket: &OwnedFd) -> Result<(), StepError> {
    holding.map_or(Ok(()), |holding| holding.name_users(init))?;
    packets::send(socket.as_fd(), &[init::MAPPED], &[], true).doing("answering the init")
}

/// A pipe whose read end does not block.
fn log_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// What an init wrote before it gave up: `E`, the step, a line feed, the reason.
pub(super) fn reported(packet: &[u8]) -> BuildError {
    let text = String::from_utf8_lossy(packet);
    let (step, reason) = text.split_once('\n').unwrap_or((&text, "it ended"));
    let step =
        step.strip_prefix('E').filter(|step| !step.is_empty()).unwrap_or("raising the sandbox's walls");
    BuildError::Step { step: step.to_owned(), reason: reason.to_owned() }
}

fn not_built(StepError { step, source }: &StepError) -> BuildError {
    BuildError::Step { step: step.clone(), reason: source.to_string() }
}

pub(super) fn kill(init: Pid) {
    // An init is reaped only by this process, so its number cannot have gone to another.
    let _ = rustix::process::kill_process(init, Signal::KILL);
}
