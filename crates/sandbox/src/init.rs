//! The first process of a sandbox: raises the walls around itself, then starts, watches and resets the runtime.
//!
//! It is forked from the launcher and never executes a program. It stays outside the function's limited groups, so
//! that a function out of memory does not take it along, and lives as root of the sandbox's own user namespace with
//! the few rights that starting the runtime as another user takes; over mounts and network, which belong to the
//! host's namespace, it has none.

mod runtime;
mod walls;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::limits::CONTROL_BYTES;
use crate::plan::rooms::RoomStep;
use crate::protocol::{Exit, FromInit, ToInit};
use crate::seccomp::Program;
use crate::sys::{packets, process, signals};
use runtime::Ready;

pub(crate) use walls::{MAPPED, RAISED};

/// What an init is born with.
pub(crate) struct Birth<'a> {
    /// What to mount.
    pub(crate) room: Vec<RoomStep>,
    /// The network namespace to live in.
    pub(crate) network: OwnedFd,
    /// To the launcher, until the walls stand.
    pub(crate) launcher: OwnedFd,
    /// To the server.
    pub(crate) control: OwnedFd,
    /// Write end of the log.
    pub(crate) log: OwnedFd,
    /// Where a process joins the function's groups.
    pub(crate) joins: Vec<OwnedFd>,
    /// What the function may call.
    pub(crate) filter: &'a Program,
}

/// Runs an init in the process that was just forked, as pid 1 of a new namespace; returns its exit status.
pub(crate) fn run(birth: Birth<'_>) -> i32 {
    let raised = walls::raise(&birth);
    let Birth { network, launcher, control, log, joins, filter, .. } = birth;
    drop(network);
    let ready = raised.and_then(|()| Ready::new(log, joins, filter));
    if let Err(error) = ready {
        walls::report(launcher.as_fd(), &error);
        return 1;
    }
    drop(launcher);
    match ready.map(|ready| Init { control, ready, runtime: None }.serve()) {
        Ok(Ok(())) => 0,
        _ => 1,
    }
}

struct Init<'a> {
    control: OwnedFd,
    ready: Ready<'a>,
    /// The runtime's main process.
    runtime: Option<Pid>,
}

impl Init<'_> {
    /// Serves until the server closes its end; then everything inside ends with this process.
    fn serve(mut self) -> io::Result<()> {
        let _mask = signals::block(&[libc::SIGCHLD])?;
        let children = signals::descriptor(&[libc::SIGCHLD])?;
        loop {
            let mut waits =
                [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&children, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut waits, None))?;
            let [from_server, from_children] = waits.map(|wait| !wait.revents().is_empty());
            if from_children {
                while signals::next(children.as_fd()).is_some() {}
                self.reap()?;
            }
            if from_server && !self.obey()? {
                return Ok(());
            }
        }
    }

    /// Collects every process that ended; reports the runtime's.
    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.runtime == Some(pid) {
                self.runtime = None;
                self.tell(FromInit::Exited(exit_of(status)))?;
            }
        }
        Ok(())
    }

    /// Does what the server asks; false when it has gone.
    fn obey(&mut self) -> io::Result<bool> {
        let received = packets::receive(self.control.as_fd(), CONTROL_BYTES, false)?;
        if received.packet.is_empty() {
            return Ok(false);
        }
        match ToInit::decode(&received.packet).map_err(io::Error::other)? {
            ToInit::Start { argv, env, cwd } => self.start(&argv, &env, &cwd)?,
            ToInit::Reset => {
                self.reset();
                self.tell(FromInit::ResetDone)?;
            }
        }
        Ok(true)
    }

    fn start(&mut self, argv: &[String], env: &[(String, String)], cwd: &str) -> io::Result<()> {
        let started = match self.runtime {
            Some(_) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            None => self.ready.start(argv, env, cwd),
        };
        let answer = match started {
            Ok(pid) => {
                self.runtime = Some(pid);
                FromInit::Started { pid: pid.as_raw_nonzero().get() as u32 }
            }
            Err(error) => FromInit::StartFailed { errno: error.raw_os_error().unwrap_or(libc::EIO) },
        };
        self.tell(answer)
    }

    /// Kills everything else in the sandbox and waits until it is gone.
    fn reset(&mut self) {
        self.runtime = None;
        loop {
            process::kill_all_others();
            // Each round ends one process at least; none left is ECHILD, for orphans become children of pid 1.
            if wait(WaitOptions::empty()).is_err() {
                return;
            }
        }
    }

    fn tell(&self, message: FromInit) -> io::Result<()> {
        let packet = message.encode().map_err(io::Error::other)?;
        packets::send(self.control.as_fd(), &packet, &[], false)
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match status.terminating_signal() {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Status(status.exit_status().unwrap_or(0)),
    }
}
