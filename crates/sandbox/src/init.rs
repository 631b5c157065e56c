//! The first process of a sandbox: raises the walls around itself, then starts, watches and resets the runtime.
//!
//! It is forked from the launcher and never executes a program. It stays outside the function's limited groups, so
//! that a function out of memory does not take it along, and lives as root of the sandbox's own user namespace with
//! the few rights that starting the runtime as another user takes; over mounts and network, which belong to the
//! host's namespace, it has none.

mod plain;
mod runtime;
mod walls;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::limits::CONTROL_BYTES;
use crate::plan::plain::Places;
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
    /// Where everything is when nothing can be mounted; then there are no walls.
    pub(crate) plain: Option<Places>,
    /// Whether to listen for the function's AWS calls.
    pub(crate) endpoint: bool,
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
    let raised = match &birth.plain {
        None => walls::raise(&birth).map(|()| None),
        Some(places) => plain::Quarters::move_in(&birth, places).map(Some),
    };
    let Birth { launcher, control, log, joins, filter, .. } = birth;
    let ready = raised.and_then(|plain| {
        let joins = if plain.is_some() { None } else { Some(joins) };
        Ok((Ready::new(log, joins, filter)?, plain))
    });
    if let Err(error) = ready {
        walls::report(launcher.as_fd(), &error);
        return 1;
    }
    drop(launcher);
    let Ok((ready, plain)) = ready else { return 1 };
    let is_plain = plain.is_some();
    let served = Init { control, ready, plain, runtime: None }.serve();
    if is_plain {
        plain::kill_descendants();
    }
    i32::from(served.is_err())
}

struct Init<'a> {
    control: OwnedFd,
    ready: Ready<'a>,
    /// Present when there are no walls.
    plain: Option<plain::Quarters>,
    /// The runtime's main process.
    runtime: Option<Pid>,
}

impl Init<'_> {
    /// Serves until the server closes its end, or the launcher has gone; then everything inside ends with this process.
    fn serve(mut self) -> io::Result<()> {
        let _mask = signals::block(&[libc::SIGCHLD, libc::SIGTERM])?;
        let children = signals::descriptor(&[libc::SIGCHLD, libc::SIGTERM])?;
        loop {
            let mut waits =
                [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&children, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut waits, None))?;
            let [from_server, from_children] = waits.map(|wait| !wait.revents().is_empty());
            if from_children {
                while let Some(signal) = signals::next(children.as_fd()) {
                    if signal == libc::SIGTERM {
                        return Ok(());
                    }
                }
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
            None => match &self.plain {
                None => self.ready.start(argv, env, cwd),
                Some(quarters) => {
                    let (argv, env, cwd) = quarters.command(argv, env, cwd);
                    self.ready.start(&argv, &env, &cwd)
                }
            },
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
        if self.plain.is_some() {
            return plain::kill_descendants();
        }
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
