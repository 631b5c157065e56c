//! The parent of the server and of every sandbox, and the only one with privileges.

mod chores;
mod desk;
mod egress;
mod forwarding;
mod furnish;
mod house;
mod networks;
mod plain;
mod prepared;
mod sandboxes;
mod server;
mod stacks;
mod tree;
mod zygotes;

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::Mode;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Signal, WaitOptions, getrlimit, waitpid};
use rustix::thread::CapabilitySet;

use crate::cgroups::Groups;
use crate::limits::FUNCTION_CORE;
use crate::plan::root;
use crate::plan::views::Machine;
use crate::setup::{Isolation, LaunchError, LauncherSetup, ServerSide};
use crate::sys::{self, Step, packets, process, signals};
use desk::Desk;
use egress::Egress;
use house::House;
use networks::Networks;
use prepared::Prepared;
use sandboxes::{Ground, Sandboxes, Walled};
use zygotes::Zygotes;

/// Signals that the launcher reads instead of obeying.
const SIGNALS: [i32; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Becomes the launcher and runs `server` in an unprivileged child.
///
/// Must be called before any thread exists. Returns, in the launcher's process only, when the server has ended and
/// everything it asked for is gone; the code is the server's, or 128 and the signal that ended it. The caller should
/// end then, too: the host's files are out of its sight. The child never returns from here: it exits with the code
/// of `server`, which starts in the data directory.
///
/// SIGTERM, SIGINT and SIGHUP that reach the launcher are passed on to the server (SIGHUP as SIGTERM).
pub fn launch(
    setup: LauncherSetup,
    server: impl FnOnce(ServerSide) -> ExitCode,
) -> Result<ExitCode, LaunchError> {
    if setup.isolation == Isolation::Full {
        check_rights()?;
    } else {
        sys::say(format_args!("{}", crate::doctor::rules::warning(rustix::process::geteuid().is_root())));
    }
    check_threads()?;
    if let Some(refusal) = root::refusal(&setup.interpreters, &setup.runtime_files) {
        return Err(LaunchError::Setup(refusal));
    }
    // Whoever is forked from here may lower it and never raise it, and a limit of nothing would not keep collectors.
    let _ = process::limit(Resource::Core, FUNCTION_CORE);
    // Directories made here are looked into by other users; a function's files have the usual modes.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let mut house = House::open(&setup.data_dir, setup.isolation)?;
    let mask = signals::block(&SIGNALS).doing("blocking signals")?;
    let (ours, theirs) = packets::pair().doing("making the server's socket")?;
    let (go, started) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing("making a pipe")?;
    let birth = server::Birth {
        data: house.data.clone(),
        seen_at: house.run.clone(),
        foreign: house.descriptors().chain([ours.as_raw_fd(), started.as_raw_fd()]).collect(),
        launcher: theirs,
        isolation: setup.isolation,
        go,
        mask,
    };
    let child = process::spawn(0, move || server::run(birth, server)).doing("forking the server")?;
    let desk = open_desk(&mut house, setup, ours, child).inspect_err(|_| end(child))?;
    rustix::io::write(&started, b"!").doing("starting the server")?;
    drop(started);
    let code = desk.serve();
    house.leave();
    Ok(code)
}

/// Prepares everything that may fail while the server still waits.
fn open_desk(
    house: &mut House,
    setup: LauncherSetup,
    server_socket: OwnedFd,
    server: Pid,
) -> Result<Desk, LaunchError> {
    process::limit_softly(Resource::Nofile, None).doing("raising the limit of open files")?;
    let (interpreters, ground) = match setup.isolation {
        Isolation::Full => {
            let groups = Groups::open(&house.instance, &[rustix::process::getpid(), server])?;
            house.note_groups(groups.paths())?;
            let egress = Egress::open(house, &setup.egress)?;
            let networks = Networks::new(egress)?;
            let (interpreters, machine) = tree::enter(house, &setup, networks.has_egress())?;
            let zygotes = Zygotes::new(&setup.interpreters, &interpreters);
            let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) as usize;
            let prepared = |machine: &Machine| Prepared::new(setup.prepared, files, machine.processors.len());
            let (first_user, policy) = (house.first_user(), setup.cpu_policy);
            let walled = Walled::new(groups, machine, networks, zygotes, first_user, policy, prepared);
            (interpreters, Ground::Walled(Box::new(walled)))
        }
        Isolation::None => {
            process::adopt_orphans().doing("adopting the functions' processes")?;
            let interpreters = setup.interpreters.iter().map(|known| (known.id.clone(), Vec::new()));
            (interpreters.collect(), Ground::Plain(plain::lay_out(house, &setup)?))
        }
    };
    let signals = signals::descriptor(&SIGNALS).doing("reading signals")?;
    let sandboxes = Sandboxes::new(interpreters, ground);
    Ok(Desk::new(house, &setup, sandboxes, desk::Wires { server_socket, signals, server }))
}

fn end(server: Pid) {
    let _ = rustix::process::kill_process(server, Signal::KILL);
    let _ = waitpid(Some(server), WaitOptions::empty());
}

fn check_rights() -> Result<(), LaunchError> {
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        return Err(LaunchError::NotRoot { uid: uid.as_raw() });
    }
    let held = rustix::thread::capabilities(None).doing("reading capabilities")?.effective;
    let missing: Vec<_> =
        NEEDED.iter().filter(|(needed, _)| !held.contains(*needed)).map(|(_, name)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(LaunchError::LessThanRoot { missing: missing.join(", ") }) }
}

/// What building sandboxes takes.
pub(crate) const NEEDED: &[(CapabilitySet, &str)] = &[
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    (CapabilitySet::FOWNER, "CAP_FOWNER"),
    (CapabilitySet::KILL, "CAP_KILL"),
    (CapabilitySet::MKNOD, "CAP_MKNOD"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
    (CapabilitySet::SETPCAP, "CAP_SETPCAP"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
];

/// What it takes beyond that to fork runtimes into sandboxes instead of executing them.
pub(crate) const ZYGOTES_NEED: &[(CapabilitySet, &str)] =
    &[(CapabilitySet::SYS_CHROOT, "CAP_SYS_CHROOT"), (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE")];

fn check_threads() -> Result<(), LaunchError> {
    let threads = std::fs::read_dir("/proc/self/task").doing("counting threads")?.count();
    if threads == 1 { Ok(()) } else { Err(LaunchError::Threads { threads }) }
}
