//! What walls are made of: control groups, networks, users and processors, given out and taken back.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use base::clock::Timestamp;
use base::id::EnvironmentId;
use rustix::fs::{Gid, Uid};
use rustix::process::Pid;

use super::{Born, log_pipe};
use crate::cgroups::{Group, Groups};
use crate::freezer::Freezer;
use crate::identity::{CODE_OWNER_UID, ENVIRONMENT_BLOCK, FUNCTION_GID, FUNCTION_UID};
use crate::init::{self, Around, Claim};
use crate::launcher::networks::{Network, Networks};
use crate::launcher::prepared::{self, Nest};
use crate::launcher::tree::{Interpreters, make_memory_view};
use crate::launcher::zygotes::Zygotes;
use crate::limits::CGROUP_RETRIES;
use crate::plan::groups::Limits;
use crate::plan::rooms;
use crate::plan::views::Machine;
use crate::requests::Extras;
use crate::seccomp::Program;
use crate::setup::CpuPolicy;
use crate::spec::SandboxSpec;
use crate::sys::{Step, StepError, packets, process};

/// What sandboxes with walls are built of.
pub(in crate::launcher) struct Walled {
    groups: Groups,
    machine: Machine,
    networks: Networks,
    /// Who bears runtimes into them.
    pub(super) zygotes: Zygotes,
    users: Users,
    cpu_policy: CpuPolicy,
    /// Processors that were given out until now.
    processors: usize,
    /// Groups that the kernel still called busy, and how often they were tried.
    removals: Vec<(EnvironmentId, u32)>,
}

/// What one sandbox has of it until it ends.
#[derive(Clone, Copy)]
pub(super) struct Holding {
    /// The environment's own user.
    user: u32,
    /// The number of its cable to the host, when it has one.
    cable: Option<u16>,
}

impl Walled {
    pub(in crate::launcher) fn new(
        groups: Groups,
        machine: Machine,
        networks: Networks,
        zygotes: Zygotes,
        first_user: u32,
        cpu_policy: CpuPolicy,
    ) -> Self {
        let users = Users { first: first_user, next: 0, taken: HashSet::new() };
        Self { groups, machine, networks, zygotes, users, cpu_policy, processors: 0, removals: Vec::new() }
    }

    /// Forks the init of a sandbox. What it holds is taken back when that does not work.
    pub(super) fn build(
        &mut self,
        spec: &SandboxSpec,
        interpreters: &Interpreters,
        filter: &Program,
        now: Timestamp,
    ) -> Result<Born, StepError> {
        let network = self.networks.take(now)?;
        let holding = Holding { user: self.users.take(), cable: network.number };
        self.processors += self.machine.processors_of(spec.memory);
        let limits = Limits { memory: spec.memory, tmp: spec.tmp, cpu_policy: self.cpu_policy };
        let group = self.groups.make(&spec.id.to_string(), limits);
        let born = group.and_then(|group| self.fork(spec, interpreters, filter, (group, network), holding));
        born.inspect_err(|_| self.take_back(spec.id, Some(holding)))
    }

    fn fork(
        &mut self,
        spec: &SandboxSpec,
        interpreters: &Interpreters,
        filter: &Program,
        (group, network): (Group, Network),
        holding: Holding,
    ) -> Result<Born, StepError> {
        let (socket, launcher) = packets::pair().doing("making an init's socket")?;
        let (control, server) = packets::pair().doing("making a control socket")?;
        let (read, log) = log_pipe().doing("making a log pipe")?;
        own_pipe(&log, holding.user).doing("giving the log pipe to the function")?;
        let interpreter = spec.interpreter.as_deref().and_then(|wanted| {
            interpreters.iter().find_map(|(id, mounts)| (id == wanted).then_some(mounts.as_slice()))
        });
        make_memory_view(spec.memory).doing("describing memory to a sandbox")?;
        let preparation = spec.preparation();
        let nursery =
            prepared::nursery(&preparation, &mut self.zygotes).doing("making a runtime's socket")?;
        let (nursery, handover) = nursery;
        let nest =
            handover.map(|socket| Ok::<_, io::Error>((socket, log.try_clone()?, share(&group.joins)?)));
        let nest = nest.transpose().doing("sharing a sandbox's groups")?;
        let loopback = spec.loopback.then(|| self.networks.listen_in(&network.namespace)).transpose()?;
        let walls = init::Walls {
            room: rooms::steps(spec, interpreter.unwrap_or_default(), &self.machine),
            processors: self.machine.choose(spec.memory, self.processors),
            network: network.namespace,
            memory: group.memory,
            joins: group.joins,
            freezer: group.freezer.as_ref().map(Freezer::share).transpose().doing("sharing the freezer")?,
            claim: Some(Claim { memory: spec.memory }),
        };
        let birth =
            init::Birth { around: Around::Walls(walls), launcher, control: server, log, filter, nursery };
        let flags = libc::CLONE_NEWPID as u64;
        let pid = process::spawn(flags, move || init::run(birth)).doing("forking an init")?;
        let (freezer, version) = group.freezer.map(Freezer::into_parts).unzip();
        let extras = Extras {
            loopback: loopback.is_some(),
            endpoint: spec.endpoint,
            names: network.names.is_some(),
            freezer: version,
        };
        let mut keys = vec![control, read, group.meter, network.runtime_api];
        keys.extend(loopback);
        keys.extend(Some(network.endpoint).filter(|_| spec.endpoint));
        keys.extend(network.names.into_iter().flatten());
        keys.extend(freezer);
        let nest = nest.map(|(handover, log, joins)| Nest { preparation, init: pid, joins, log, handover });
        Ok(Born { pid, holding: Some(holding), socket, keys, extras, nest })
    }

    /// Lets what a sandbox runs go on, so that it can die.
    pub(super) fn thaw(&self, id: EnvironmentId) {
        self.groups.thaw(&id.to_string());
    }

    /// Takes back what a sandbox had, and removes its groups.
    pub(super) fn take_back(&mut self, id: EnvironmentId, holding: Option<Holding>) {
        if let Some(Holding { user, cable }) = holding {
            self.users.give_back(user);
            self.networks.give_back(cable);
        }
        self.remove_groups(id, 0);
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

    /// Whether control groups wait for their removal.
    pub(super) fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Uses a quiet moment for the sandboxes to come, unless one is coming up.
    pub(super) fn prepare(&mut self, now: Timestamp, is_building: bool) {
        if !is_building {
            self.networks.refill(now);
        }
        self.networks.shrink(now);
    }

    /// How long it should be quiet before more networks are made ready, when that is due.
    pub(super) fn patience(&self, now: Timestamp) -> Option<Duration> {
        self.networks.wants_more(now).then(|| self.networks.patience())
    }

    /// Whether more networks are ready than a quiet time needs.
    pub(super) fn has_many(&self) -> bool {
        self.networks.is_large()
    }

    /// Removes what is shared by all sandboxes.
    pub(super) fn close(&self) {
        self.groups.close();
    }
}

impl Holding {
    /// Says who is who in the sandbox's user namespace: root is the owner of all code, the function's user is the
    /// environment's own.
    pub(super) fn name_users(&self, init: Pid) -> Result<(), StepError> {
        let (pid, user) = (init.as_raw_nonzero(), self.user);
        for (file, function) in [("uid_map", FUNCTION_UID), ("gid_map", FUNCTION_GID)] {
            let map = format!("0 {CODE_OWNER_UID} 1\n{function} {user} 1\n");
            fs::write(format!("/proc/{pid}/{file}"), map).doing("mapping users")?;
        }
        // The kernel lets anybody map these, once.
        fs::write(format!("/proc/{pid}/projid_map"), "0 0 1\n").doing("mapping projects")
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

fn share(descriptors: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    descriptors.iter().map(OwnedFd::try_clone).collect()
}

/// Lets the function's user open the pipe by name (`/dev/stdout`).
fn own_pipe(write: &OwnedFd, user: u32) -> io::Result<()> {
    Ok(rustix::fs::fchown(write, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?)
}
