//! The first process of a sandbox: raises the walls around itself, then starts, watches and resets the runtime.
//!
//! It is forked from the launcher and never executes a program. It stays outside the function's limited groups, so
//! that a function out of memory does not take it along, and lives as root of the sandbox's own user namespace with
//! the few rights that starting the runtime as another user takes; over mounts and network, which belong to the
//! host's namespace, it has none.

mod claim;
mod extensions;
mod plain;
mod runtime;
mod waiting;
mod walls;
mod watch;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use base::units::Mib;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::freezer::Freezer;
use crate::limits::{BUILT_AHEAD_TIME, CONTROL_BYTES, REAPED_A_TURN};
use crate::plan::plain::{Addresses, Places};
use crate::plan::rooms::RoomStep;
use crate::protocol::{Exit, FromInit, ToInit};
use crate::seccomp::Program;
use crate::sys::{self, StepError, packets, process, signals};
use extensions::Extensions;
use runtime::Ready;
use waiting::{Gift, Handed, Waiter};
use watch::{Victim, Watch};

pub(crate) use claim::Claim;
pub(crate) use waiting::{Nursery, Tenant};
pub(crate) use walls::{Change, MAPPED, RAISED, SEALED, mark_sandbox, mount};
pub(crate) use watch::MemoryGroup;

/// What an init is born with.
pub(crate) struct Birth<'a> {
    /// What it raises around itself.
    pub(crate) around: Around,
    /// To the launcher, until the walls stand.
    pub(crate) launcher: OwnedFd,
    /// To the server.
    pub(crate) control: OwnedFd,
    /// Write end of the log.
    pub(crate) log: OwnedFd,
    /// What the function may call.
    pub(crate) filter: &'a Program,
    /// Where a runtime may wait inside, if any may.
    pub(crate) nursery: Option<Nursery>,
}

/// What is around the function's processes.
pub(crate) enum Around {
    /// Walls.
    Walls(Walls),
    /// Nothing: where everything is, and where the function is heard.
    Nothing(Places, Addresses),
}

/// What walls are raised from.
pub(crate) struct Walls {
    /// The mounts that it shares with others, which are copied; otherwise it leaves the launcher's tree.
    pub(crate) shell: Option<OwnedFd>,
    /// What to mount.
    pub(crate) room: Rc<[RoomStep]>,
    /// What to mount in it then, within a shell.
    pub(crate) late: Vec<Change>,
    /// The network namespace to live in.
    pub(crate) network: OwnedFd,
    /// Where a process joins the function's groups.
    pub(crate) joins: Vec<OwnedFd>,
    /// The processors on which everything inside runs; none are any.
    pub(crate) processors: Vec<usize>,
    /// Where its memory is counted.
    pub(crate) memory: MemoryGroup,
    /// What stops the function between invocations: the server stops it, and whoever kills lets it go on.
    pub(crate) freezer: Option<Freezer>,
    /// Whose it is; none of one that is built ahead and hears it later.
    pub(crate) claim: Option<Claim>,
}

/// Runs an init in the process that was just forked, as pid 1 of a new namespace when there are walls; returns its
/// exit status.
pub(crate) fn run(birth: Birth<'_>) -> i32 {
    let Birth { around, launcher, control, log, filter, nursery } = birth;
    let handover = nursery.iter().flat_map(Nursery::descriptors);
    let kept: Vec<_> = [&launcher, &control, &log].into_iter().chain(handover).map(AsFd::as_fd).collect();
    let raised = match around {
        Around::Walls(walls) => walls::raise(&walls, &kept, launcher.as_fd()).and_then(|mut watch| {
            let ready = Ready::new(log, Some(walls.joins), filter)?;
            let (waiter, memory) = settle_in(nursery, walls.claim, &ready, launcher.as_fd(), &mut watch)?;
            watch.limit_to(memory);
            Ok((Surroundings::Walls(watch, walls.freezer), ready, waiter))
        }),
        Around::Nothing(places, heard) => plain::Quarters::move_in(places, heard, &kept, launcher.as_fd())
            .and_then(|quarters| Ok((Surroundings::Nothing(quarters), Ready::new(log, None, filter)?, None))),
    };
    match raised {
        Ok((around, ready, waiter)) => {
            drop(launcher);
            Init { control, ready, around, waiter, runtime: None, extensions: Extensions::default() }.live()
        }
        Err(error) => {
            walls::report(launcher.as_fd(), &error);
            1
        }
    }
}

/// Has a runtime wait, and learns what the function may hold: at once, or when one claims the sandbox.
fn settle_in(
    nursery: Option<Nursery>,
    claim: Option<Claim>,
    ready: &Ready<'_>,
    launcher: BorrowedFd<'_>,
    watch: &mut Watch,
) -> Result<(Option<Waiter>, Mib), StepError> {
    let (vacant, waiter) = match nursery {
        None => (None, None),
        Some(Nursery { socket, tenant: None }) => (Some(socket), None),
        Some(Nursery { socket, tenant: Some(tenant) }) => (None, Waiter::begin(socket, tenant, ready)),
    };
    if let Some(Claim { memory, .. }) = claim {
        return Ok((waiter, memory));
    }
    // Nobody is in a hurry yet, and what is given away ahead shall be worth it.
    let waiter = waiter.and_then(|waiter| waiter.awaited(BUILT_AHEAD_TIME));
    let Claim { memory, waiting } = walls::await_claim(launcher, watch)?;
    let born = vacant
        .zip(waiting)
        .and_then(|(socket, argv)| Waiter::begin(socket, Tenant { argv, execute: None }, ready));
    Ok((waiter.or(born), memory))
}

struct Init<'a> {
    control: OwnedFd,
    ready: Ready<'a>,
    around: Surroundings,
    /// Who waits to become the runtime.
    waiter: Option<Waiter>,
    runtime: Option<Process>,
    extensions: Extensions,
}

/// What is around the function's processes, standing.
enum Surroundings {
    /// Walls, with a watch over the memory within, and the freezer.
    Walls(Watch, Option<Freezer>),
    /// Nothing.
    Nothing(plain::Quarters),
}

/// The main process of the runtime or of an extension.
struct Process {
    pid: Pid,
    /// What the kernel had killed for want of memory when it started.
    kernel_kills: u64,
    /// Whether the watch killed it.
    outgrew: bool,
}

impl Init<'_> {
    /// Serves, and sees to it that everything inside ends with this process, as it does of itself within walls.
    fn live(mut self) -> i32 {
        let served = self.serve();
        match self.around {
            Surroundings::Nothing(_) => plain::kill_descendants(),
            Surroundings::Walls(..) => self.thaw(),
        }
        i32::from(served.is_err())
    }

    /// Serves until the server closes its end, or the launcher has gone.
    fn serve(&mut self) -> io::Result<()> {
        let _mask = signals::block(&[libc::SIGCHLD, libc::SIGTERM])?;
        let children = signals::descriptor(&[libc::SIGCHLD, libc::SIGTERM])?;
        // From here on it is not killed with the launcher but told, and thaws what could not die frozen.
        process::end_with_parent()?;
        // Who set the alarm while nobody listened may have ended.
        let mut has_more = self.watch().is_some_and(Watch::has_clerk);
        loop {
            let [from_server, from_children, from_memory, from_waiter] = self.wait(&children, has_more)?;
            if from_waiter {
                self.hear_waiter();
            }
            // A death that the watch caused is known before it is reported.
            if from_memory {
                self.look();
            }
            if from_children {
                while let Some(signal) = signals::next(children.as_fd()) {
                    if signal == libc::SIGTERM {
                        return Ok(());
                    }
                }
            }
            if from_children || has_more {
                has_more = self.reap()?;
            }
            if from_server && !self.obey()? {
                return Ok(());
            }
        }
    }

    /// Waits for the server, for the end of a child, and for memory that grew; not at all when there is work left.
    fn wait(&self, children: &OwnedFd, has_more: bool) -> io::Result<[bool; 4]> {
        let mut waits = vec![PollFd::new(&self.control, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
        waits.extend(self.watch().map(|watch| {
            let (alarm, rings) = watch.alarm();
            PollFd::from_borrowed_fd(alarm, rings)
        }));
        let mut at_waiter = None;
        if let Some(waiter) = &self.waiter {
            at_waiter = Some(waits.len());
            waits.push(PollFd::new(waiter.socket(), PollFlags::IN));
        }
        let after = if has_more { Some(Duration::ZERO) } else { self.watch().and_then(Watch::after) };
        sys::wait_for(&mut waits, after)?;
        let rang = |at: usize| waits.get(at).is_some_and(|wait| !wait.revents().is_empty());
        let memory = (self.watch().is_some() && rang(2)) || self.watch().is_some_and(Watch::is_due);
        Ok([rang(0), rang(1), memory, at_waiter.is_some_and(rang)])
    }

    fn watch(&self) -> Option<&Watch> {
        match &self.around {
            Surroundings::Walls(watch, _) => Some(watch),
            Surroundings::Nothing(_) => None,
        }
    }

    /// Whether nothing inside runs, and so nothing takes memory.
    fn is_frozen(&self) -> bool {
        matches!(&self.around, Surroundings::Walls(_, Some(freezer)) if freezer.is_frozen())
    }

    /// Lets everything inside go on.
    fn thaw(&self) {
        if let Surroundings::Walls(_, Some(freezer)) = &self.around {
            let _ = freezer.thaw();
        }
    }

    fn watching(&mut self) -> Option<&mut Watch> {
        match &mut self.around {
            Surroundings::Walls(watch, _) => Some(watch),
            Surroundings::Nothing(_) => None,
        }
    }

    fn kernel_kills(&self) -> u64 {
        self.watch().map_or(0, Watch::kernel_kills)
    }

    /// Begins to watch a process that was started. Files of earlier ones may be there already.
    fn begin_watch(&mut self) {
        if let Some(watch) = self.watching() {
            watch.begin();
            self.look();
        }
    }

    /// Sees to the function's memory.
    fn look(&mut self) {
        let victim = self.watching().and_then(Watch::look);
        if victim.is_some() {
            self.thaw();
        } else if self.is_frozen()
            && let Some(watch) = self.watching()
        {
            watch.rest();
        }
        for process in self.runtime.iter_mut().chain(self.extensions.processes()) {
            process.outgrew |=
                matches!(victim, Some(Victim::All)) || victim == Some(Victim::One(process.pid));
        }
    }

    /// Collects processes that ended and reports the runtime's and the extensions'; whether more may wait.
    fn reap(&mut self) -> io::Result<bool> {
        for _ in 0..REAPED_A_TURN {
            let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) else { return Ok(false) };
            if let Some(runtime) = self.runtime.take_if(|runtime| runtime.pid == pid) {
                self.tell(FromInit::Exited(self.exit_of(&runtime, status)))?;
            } else if let Some((id, extension)) = self.extensions.take(pid) {
                self.tell(FromInit::Ended { id, exit: self.exit_of(&extension, status) })?;
            } else if self.waiter.take_if(|waiter| waiter.is(pid)).is_some() {
                // It ended before anybody wanted it, and the runtime will be executed.
            } else if self.watching().is_some_and(|watch| watch.ended(pid, status)) {
                self.look();
            }
        }
        Ok(true)
    }

    fn exit_of(&self, process: &Process, status: WaitStatus) -> Exit {
        let outgrew = || process.outgrew || self.kernel_kills() > process.kernel_kills;
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
            ToInit::Start { argv, env, cwd, snapshot } => {
                self.start(&argv, &env, &cwd, &Gift::new(snapshot, received.descriptors))?;
            }
            ToInit::Discover => self.discover()?,
            ToInit::Launch { id, argv, env, cwd } => self.launch(id, &argv, &env, &cwd)?,
            ToInit::Signal { who, stop } => self.signal(who, stop),
            ToInit::Dial { id, port } => self.dial(id, port)?,
            ToInit::Reset => {
                self.reset();
                self.tell(FromInit::ResetDone)?;
            }
            ToInit::Thawed => self.look(),
            ToInit::Audit => self.audit()?,
        }
        Ok(true)
    }

    fn start(&mut self, argv: &[String], env: &[(String, String)], cwd: &str, gift: &Gift) -> io::Result<()> {
        let executed = |pid| Handed { pid, zygote: None, continues: false };
        let started = match self.runtime {
            Some(_) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            None => match &self.around {
                Surroundings::Walls(..) => {
                    let handed = self.waiter.take().and_then(|waiter| waiter.hand_over(argv, env, cwd, gift));
                    handed.map_or_else(|| self.ready.start(argv, env, cwd).map(executed), Ok)
                }
                Surroundings::Nothing(quarters) => {
                    let (argv, env, cwd) = quarters.command(argv, env, cwd);
                    self.ready.start(&argv, &env, &cwd).map(executed)
                }
            },
        };
        let answer = match started {
            Ok(Handed { pid, zygote, continues }) => {
                let kernel_kills = self.kernel_kills();
                self.runtime = Some(Process { pid, kernel_kills, outgrew: false });
                FromInit::Started { pid: pid.as_raw_nonzero().get() as u32, zygote, continues }
            }
            Err(error) => FromInit::StartFailed { errno: error.raw_os_error().unwrap_or(libc::EIO) },
        };
        self.tell(answer)?;
        self.begin_watch();
        Ok(())
    }

    /// Looks after the function's memory before its answer counts. A runtime that is killed tells by its end.
    fn audit(&mut self) -> io::Result<()> {
        self.look();
        if self.runtime.as_ref().is_some_and(|runtime| runtime.outgrew) {
            return Ok(());
        }
        self.tell(FromInit::Audited { vouched: self.watch().map_or(u64::MAX, Watch::vouched) })
    }

    /// Hears the runtime that waits; lets go of one that is of no use.
    fn hear_waiter(&mut self) {
        if let Some(useless) = self.waiter.take_if(|waiter| !waiter.hear()) {
            useless.end();
        }
    }

    /// Kills everything else in the sandbox and waits until it is gone.
    fn reset(&mut self) {
        self.runtime = None;
        self.extensions.forget();
        self.waiter = None;
        if let Surroundings::Nothing(_) = self.around {
            return plain::kill_descendants();
        }
        self.thaw();
        loop {
            process::kill_all_others();
            // Each round ends one process at least; none left is ECHILD, for orphans become children of pid 1.
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => drop(self.watching().map(|watch| watch.ended(pid, status))),
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }

    fn tell(&self, message: FromInit) -> io::Result<()> {
        self.hand_over(&message, None)
    }

    /// Tells with a descriptor.
    fn hand_over(&self, message: &FromInit, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let packet = message.encode().map_err(io::Error::other)?;
        packets::send(self.control.as_fd(), &packet, descriptor.as_slice(), false)
    }
}
