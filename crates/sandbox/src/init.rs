//! The first process of a sandbox: raises the walls around itself, then starts, watches and resets the runtime.
//!
//! It is forked from the launcher and never executes a program. It stays outside the function's limited groups, so
//! that a function out of memory does not take it along, and lives as root of the sandbox's own user namespace with
//! the few rights that starting the runtime as another user takes; over mounts and network, which belong to the
//! host's namespace, it has none.

mod runtime;
mod walls;
mod watch;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::limits::CONTROL_BYTES;
use crate::plan::rooms::RoomStep;
use crate::protocol::{Exit, FromInit, ToInit};
use crate::seccomp::Program;
use crate::sys::{packets, process, signals};
use runtime::Ready;
use watch::Watch;

pub(crate) use walls::{MAPPED, RAISED};
pub(crate) use watch::MemoryGroup;

/// What an init is born with.
pub(crate) struct Birth<'a> {
    /// What to mount.
    pub(crate) room: Vec<RoomStep>,
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
    /// The processors on which everything inside runs; none are any.
    pub(crate) processors: Vec<usize>,
    /// Where its memory is counted.
    pub(crate) memory: MemoryGroup,
    /// What the function may call.
    pub(crate) filter: &'a Program,
}

/// Runs an init in the process that was just forked, as pid 1 of a new namespace; returns its exit status.
pub(crate) fn run(birth: Birth<'_>) -> i32 {
    let raised = walls::raise(&birth);
    let Birth { launcher, control, log, joins, filter, memory, .. } = birth;
    drop(memory);
    let ready = raised.and_then(|watch| Ok((watch, Ready::new(log, joins, filter)?)));
    let (watch, ready) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            walls::report(launcher.as_fd(), &error);
            return 1;
        }
    };
    drop(launcher);
    let init = Init { control, ready, watch, runtime: None };
    if init.serve().is_ok() { 0 } else { 1 }
}

struct Init<'a> {
    control: OwnedFd,
    ready: Ready<'a>,
    watch: Watch,
    runtime: Option<Runtime>,
}

/// The runtime's main process.
struct Runtime {
    pid: Pid,
    /// What the kernel had killed for want of memory when it started.
    kernel_kills: u64,
    /// Whether the watch killed it.
    outgrew: bool,
}

impl Init<'_> {
    /// Serves until the server closes its end; then everything inside ends with this process.
    fn serve(mut self) -> io::Result<()> {
        let _mask = signals::block(&[libc::SIGCHLD])?;
        let children = signals::descriptor(&[libc::SIGCHLD])?;
        loop {
            let [from_server, from_children, from_memory] = self.wait(&children)?;
            // A death that the watch caused is known before it is reported.
            if from_memory {
                self.look();
            }
            if from_children {
                while signals::next(children.as_fd()).is_some() {}
                self.reap()?;
            }
            if from_server && !self.obey()? {
                return Ok(());
            }
        }
    }

    /// Waits for the server, for the end of a child, and for memory that grew.
    fn wait(&self, children: &OwnedFd) -> io::Result<[bool; 3]> {
        let (alarm, rings) = self.watch.alarm();
        let mut waits = [
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
            PollFd::from_borrowed_fd(alarm, rings),
        ];
        let timeout = self.watch.after().map(|after| Timespec {
            tv_sec: after.as_secs() as i64,
            tv_nsec: i64::from(after.subsec_nanos()),
        });
        let happened = rustix::io::retry_on_intr(|| poll(&mut waits, timeout.as_ref()))?;
        let [server, children, memory] = waits.map(|wait| !wait.revents().is_empty());
        Ok([server, children, memory || happened == 0])
    }

    /// Sees to the function's memory.
    fn look(&mut self) {
        let victim = self.watch.look();
        if let Some(runtime) = &mut self.runtime {
            runtime.outgrew |= victim == Some(runtime.pid);
        }
    }

    /// Collects every process that ended; reports the runtime's.
    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(runtime) = self.runtime.take_if(|runtime| runtime.pid == pid) {
                self.tell(FromInit::Exited(self.exit_of(&runtime, status)))?;
            } else if self.watch.ended(pid, status) {
                self.look();
            }
        }
        Ok(())
    }

    fn exit_of(&self, runtime: &Runtime, status: WaitStatus) -> Exit {
        let outgrew = || runtime.outgrew || self.watch.kernel_kills() > runtime.kernel_kills;
        match status.terminating_signal() {
            Some(libc::SIGKILL) if outgrew() => Exit::OutOfMemory,
            Some(signal) => Exit::Signal(signal),
            None => Exit::Status(status.exit_status().unwrap_or(0)),
        }
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
                let kernel_kills = self.watch.kernel_kills();
                self.runtime = Some(Runtime { pid, kernel_kills, outgrew: false });
                FromInit::Started { pid: pid.as_raw_nonzero().get() as u32 }
            }
            Err(error) => FromInit::StartFailed { errno: error.raw_os_error().unwrap_or(libc::EIO) },
        };
        self.tell(answer)?;
        self.watch.begin();
        Ok(())
    }

    /// Kills everything else in the sandbox and waits until it is gone.
    fn reset(&mut self) {
        self.runtime = None;
        loop {
            process::kill_all_others();
            // Each round ends one process at least; none left is ECHILD, for orphans become children of pid 1.
            let _ = match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => self.watch.ended(pid, status),
                Ok(None) => false,
                Err(_) => break,
            };
        }
    }

    fn tell(&self, message: FromInit) -> io::Result<()> {
        let packet = message.encode().map_err(io::Error::other)?;
        packets::send(self.control.as_fd(), &packet, &[], false)
    }
}
