//! The sandboxes: asked for, rising, standing, ending.

mod plain;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use base::clock::Timestamp;
use base::id::EnvironmentId;
use base::limits::{ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS};
use rustix::pipe::PipeFlags;
use rustix::process::{Gid, Pid, Resource, Signal, Uid, getrlimit};

use super::desk::Outbox;
use super::tree::Interpreters;
use crate::cgroups::Groups;
use crate::identity::{CODE_OWNER_UID, ENVIRONMENT_BLOCK, FUNCTION_GID, FUNCTION_UID};
use crate::init;
use crate::limits::{BUILD_TIME, BUILDS_AT_ONCE, CGROUP_RETRIES, MOURNERS};
use crate::plan::groups::Limits;
use crate::plan::plain::{PlainHouse, ROOM};
use crate::plan::{names, rooms};
use crate::requests::Outcome;
use crate::seccomp::{self, Program};
use crate::setup::CpuPolicy;
use crate::spec::{BuildError, SandboxSpec};
use crate::sys::{Step, StepError, packets, process};

/// Longest description of a failure that an init may send, in bytes.
const REPORT_BYTES: usize = 1024;

/// Every sandbox of this launcher.
pub(super) struct Sandboxes {
    groups: Groups,
    interpreters: Interpreters,
    /// Present when sandboxes have no walls.
    plain: Option<PlainHouse>,
    cpu_policy: CpuPolicy,
    filter: Program,
    capacity: usize,
    users: Users,
    waiting: VecDeque<(u64, SandboxSpec)>,
    live: HashMap<EnvironmentId, Sandbox>,
    /// Those of them whose walls are being raised.
    rising: HashMap<EnvironmentId, Rising>,
    by_pid: HashMap<Pid, EnvironmentId>,
    /// Directories of environments without walls that have ended.
    vacated: Vec<String>,
    /// Groups that the kernel still called busy, and how often they were tried.
    removals: Vec<(EnvironmentId, u32)>,
}

/// What sandboxes are built on.
pub(super) struct Ground {
    pub(super) groups: Groups,
    pub(super) interpreters: Interpreters,
    /// Present when sandboxes have no walls.
    pub(super) plain: Option<PlainHouse>,
}

struct Sandbox {
    init: Pid,
    /// The environment's own user; none where there are no walls.
    user: Option<u32>,
    /// Destroy requests that wait for its end.
    mourners: Vec<u64>,
}

/// A sandbox whose walls are being raised.
struct Rising {
    ticket: u64,
    deadline: Timestamp,
    init: OwnedFd,
    /// What the server gets first: control, log and meter.
    keys: Vec<OwnedFd>,
}

impl Sandboxes {
    pub(super) fn new(
        Ground { groups, interpreters, plain }: Ground,
        first_user: u32,
        cpu_policy: CpuPolicy,
    ) -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            groups,
            interpreters,
            plain,
            cpu_policy,
            filter: seccomp::compile(&seccomp::function()),
            capacity: ENVIRONMENTS.min((files / ENVIRONMENT_DESCRIPTORS) as usize),
            users: Users { first: first_user, next: 0, taken: HashSet::new() },
            waiting: VecDeque::new(),
            live: HashMap::new(),
            rising: HashMap::new(),
            by_pid: HashMap::new(),
            vacated: Vec::new(),
            removals: Vec::new(),
        }
    }

    /// Takes a request for a sandbox.
    pub(super) fn request(&mut self, ticket: u64, spec: SandboxSpec, outbox: &mut Outbox) {
        match self.refusal(&spec) {
            Some(error) => outbox.answer(ticket, Outcome::NotBuilt(error)),
            None => self.waiting.push_back((ticket, spec)),
        }
    }

    fn refusal(&self, spec: &SandboxSpec) -> Option<BuildError> {
        let interpreters: Vec<_> = self.interpreters.iter().map(|(id, _)| id.as_str()).collect();
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
                kill(sandbox.init);
                if let Some(rising) = self.rising.remove(&id) {
                    outbox.answer(rising.ticket, Outcome::NotBuilt(BuildError::Destroyed));
                }
            }
        }
    }

    /// Starts what waits, gives up what takes too long, and retries removals.
    pub(super) fn advance(&mut self, now: Timestamp, has_room: bool, outbox: &mut Outbox) {
        while has_room
            && self.rising.len() < BUILDS_AT_ONCE
            && let Some((ticket, spec)) = self.waiting.pop_front()
        {
            let deadline = now + BUILD_TIME;
            if let Err(error) = self.build(ticket, &spec, deadline) {
                outbox.answer(ticket, Outcome::NotBuilt(not_built(&error)));
            }
        }
        for (id, rising) in self.rising.extract_if(|_, rising| rising.deadline < now) {
            outbox.answer(rising.ticket, Outcome::NotBuilt(BuildError::TimedOut));
            self.live.get(&id).inspect(|sandbox| kill(sandbox.init));
        }
        self.retry_removals();
    }

    fn build(&mut self, ticket: u64, spec: &SandboxSpec, deadline: Timestamp) -> Result<(), StepError> {
        if let Some(house) = self.plain.take() {
            let built = self.build_plain(ticket, spec, deadline, &house);
            self.plain = Some(house);
            return built;
        }
        let limits = Limits { memory: spec.memory, cpu_policy: self.cpu_policy };
        let group = self.groups.make(&spec.id.to_string(), limits)?;
        let user = self.users.take();
        match self.fork(ticket, spec, deadline, group, user) {
            Ok((init, rising)) => {
                self.by_pid.insert(init, spec.id);
                self.rising.insert(spec.id, rising);
                self.live.insert(spec.id, Sandbox { init, user: Some(user), mourners: Vec::new() });
                Ok(())
            }
            Err(error) => {
                self.users.give_back(user);
                self.remove_groups(spec.id, 0);
                Err(error)
            }
        }
    }

    fn fork(
        &self,
        ticket: u64,
        spec: &SandboxSpec,
        deadline: Timestamp,
        group: crate::cgroups::Group,
        user: u32,
    ) -> Result<(Pid, Rising), StepError> {
        let (init, launcher) = packets::pair().doing("making an init's socket")?;
        let (control, server) = packets::pair().doing("making a control socket")?;
        let (read, log) = log_pipe(Some(user)).doing("making a log pipe")?;
        let interpreter = spec.interpreter.as_deref().and_then(|wanted| {
            self.interpreters.iter().find_map(|(id, mounts)| (id == wanted).then_some(mounts.as_slice()))
        });
        let birth = init::Birth {
            room: rooms::steps(spec, interpreter.unwrap_or_default()),
            plain: None,
            endpoint: spec.endpoint,
            launcher,
            control: server,
            log,
            joins: group.joins,
            filter: &self.filter,
        };
        let flags = libc::CLONE_NEWPID as u64;
        let pid = process::spawn(flags, move || init::run(birth)).doing("forking an init")?;
        let keys = vec![control, read, group.meter];
        Ok((pid, Rising { ticket, deadline, init, keys }))
    }

    /// The sockets of inits whose walls are being raised.
    pub(super) fn rising(&self) -> impl Iterator<Item = &OwnedFd> {
        self.rising.values().map(|rising| &rising.init)
    }

    /// Reads what rising inits have to say, and hands over the sandboxes whose walls stand.
    pub(super) fn greet(&mut self, outbox: &mut Outbox) {
        self.rising.retain(|id, rising| {
            let Some(sandbox) = self.live.get(id) else { return false };
            let Some(outcome) = rising.hear(sandbox) else { return true };
            if outcome == Outcome::Built {
                outbox.send(rising.ticket, outcome, b"", std::mem::take(&mut rising.keys));
            } else {
                kill(sandbox.init);
                outbox.answer(rising.ticket, outcome);
            }
            false
        });
    }

    /// Notes that a child ended; whether it was an init.
    pub(super) fn ended(&mut self, pid: Pid, outbox: &mut Outbox) -> bool {
        let Some(id) = self.by_pid.remove(&pid) else { return false };
        // Its last words may still be unread.
        self.greet(outbox);
        if let Some(rising) = self.rising.remove(&id) {
            outbox.answer(rising.ticket, Outcome::NotBuilt(reported(b"")));
        }
        if let Some(sandbox) = self.live.remove(&id) {
            sandbox.mourners.iter().for_each(|ticket| outbox.answer(*ticket, Outcome::Destroyed));
            sandbox.user.inspect(|user| self.users.give_back(*user));
        }
        match self.plain {
            Some(_) => self.vacated.push(format!("{ROOM}{id}")),
            None => self.remove_groups(id, 0),
        }
        true
    }

    /// Tries again to remove groups that were busy.
    pub(super) fn retry_removals(&mut self) {
        for (id, tries) in std::mem::take(&mut self.removals) {
            self.remove_groups(id, tries);
        }
    }

    fn remove_groups(&mut self, id: EnvironmentId, tries: u32) {
        if !self.groups.remove(&id.to_string()) && tries < CGROUP_RETRIES {
            self.removals.push((id, tries + 1));
        }
    }

    /// Kills them all.
    pub(super) fn destroy_all(&mut self) {
        self.waiting.clear();
        self.live.values().for_each(|sandbox| kill(sandbox.init));
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
    }

    /// Whether nothing is left of any sandbox.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.removals.is_empty()
    }

    /// Whether a sandbox is being built or is to be.
    pub(super) fn is_building(&self) -> bool {
        !self.waiting.is_empty() || !self.rising.is_empty()
    }

    /// Whether control groups wait for their removal.
    pub(super) fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Removes what is shared by all sandboxes.
    pub(super) fn close(&self) {
        self.groups.close();
    }
}

impl Rising {
    /// What has become of it, when its init has said so.
    fn hear(&mut self, sandbox: &Sandbox) -> Option<Outcome> {
        match packets::receive(self.init.as_fd(), REPORT_BYTES, true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Ok(received) if received.packet == [init::RAISED] => {
                self.keys.extend(received.descriptors);
                let named = sandbox.name_users(&self.init);
                Some(named.map_or_else(|error| Outcome::NotBuilt(not_built(&error)), |()| Outcome::Built))
            }
            Ok(received) => Some(Outcome::NotBuilt(reported(&received.packet))),
            Err(error) => Some(Outcome::NotBuilt(reported(error.to_string().as_bytes()))),
        }
    }
}

impl Sandbox {
    /// Says who is who in the sandbox's user namespace, where it has one: root is the owner of all code, the function's user is the
    /// environment's own.
    fn name_users(&self, init: &OwnedFd) -> Result<(), StepError> {
        if let Some(user) = self.user {
            let pid = self.init.as_raw_nonzero();
            for (file, function) in [("uid_map", FUNCTION_UID), ("gid_map", FUNCTION_GID)] {
                let map = format!("0 {CODE_OWNER_UID} 1\n{function} {user} 1\n");
                fs::write(format!("/proc/{pid}/{file}"), map).doing("mapping users")?;
            }
        }
        packets::send(init.as_fd(), &[init::MAPPED], &[], true).doing("answering the init")
    }
}

/// The users that environments get, in turn, so that one is not soon used again.
struct Users {
    first: u32,
    next: u32,
    taken: HashSet<u32>,
}

impl Users {
    fn take(&mut self) -> u32 {
        // There are more users than sandboxes, so the search ends.
        loop {
            let user = self.first + self.next;
            self.next = (self.next + 1) % ENVIRONMENT_BLOCK;
            if self.taken.insert(user) {
                return user;
            }
        }
    }

    fn give_back(&mut self, user: u32) {
        self.taken.remove(&user);
    }
}

/// A pipe whose write end the function's user may open by name (`/dev/stdout`) and whose read end does not block.
fn log_pipe(user: Option<u32>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    if let Some(user) = user {
        rustix::fs::fchown(&write, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?;
    }
    Ok((read, write))
}

/// What an init wrote before it gave up: `E`, the step, a line feed, the reason.
fn reported(packet: &[u8]) -> BuildError {
    let text = String::from_utf8_lossy(packet);
    let (step, reason) = text.split_once('\n').unwrap_or((&text, "it ended"));
    let step =
        step.strip_prefix('E').filter(|step| !step.is_empty()).unwrap_or("raising the sandbox's walls");
    BuildError::Step { step: step.to_owned(), reason: reason.to_owned() }
}

fn not_built(StepError { step, source }: &StepError) -> BuildError {
    BuildError::Step { step: step.clone(), reason: source.to_string() }
}

fn kill(init: Pid) {
    // An init is reaped only by this process, so its number cannot have gone to another.
    let _ = rustix::process::kill_process(init, Signal::KILL);
}
