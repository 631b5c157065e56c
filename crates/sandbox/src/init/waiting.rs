//! A runtime that waits in the sandbox for its function: executed ahead by the init itself, or born by a zygote.
//!
//! It says once that it is ready, and takes one packet with what it would have been executed with. Until then nothing
//! of a function has run in it. Whatever else it does, the runtime is executed as if it had not been there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use base::clock::Clock;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::runtime::Ready;
use crate::interpreters::rules::waiting;
use crate::limits::{READY_BYTES, READY_TIME};
use crate::protocol::{Snapshot, Zygote};
use crate::sys::{self, packets};

/// What an init is born with for a runtime that waits.
pub(crate) struct Nursery {
    /// To the runtime.
    pub(crate) socket: OwnedFd,
    /// Who waits; where that is not known yet, a claim may tell.
    pub(crate) tenant: Option<Tenant>,
}

/// A runtime that waits as soon as the walls stand.
pub(crate) struct Tenant {
    /// The runtime's command.
    pub(crate) argv: Vec<String>,
    /// The runtime's own end when the init is to execute it; otherwise a zygote has it.
    pub(crate) execute: Option<OwnedFd>,
}

impl Nursery {
    /// All that it consists of.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let execute = self.tenant.as_ref().and_then(|tenant| tenant.execute.as_ref());
        std::iter::once(&self.socket).chain(execute)
    }
}

/// What a runtime says when it waits.
#[derive(Deserialize)]
struct ReadyPacket {
    /// Its number as it sees itself.
    ready: i32,
    /// Who bore it, where it can have an image of its memory.
    zygote: Option<Zygote>,
}

/// What it is told then.
#[derive(Serialize)]
struct Handover<'a> {
    env: &'a [(String, String)],
    cwd: &'a str,
    argv: &'a [String],
    /// Whether an image comes with it, to continue from.
    image: bool,
    /// The most bytes of an image of itself, and that a pipe for it comes with this.
    capture: Option<u64>,
}

/// What a runtime that was handed over has become.
pub(super) struct Handed {
    pub(super) pid: Pid,
    /// Who bore it.
    pub(super) zygote: Option<Zygote>,
    /// Whether it continues from an image.
    pub(super) continues: bool,
}

/// Memory images for a runtime, with their files.
pub(super) struct Gift {
    image: Option<(Zygote, OwnedFd)>,
    capture: Option<(u64, OwnedFd)>,
}

impl Gift {
    /// What a packet brought; a file that is missing is none.
    pub(super) fn new(snapshot: Snapshot, files: Vec<OwnedFd>) -> Self {
        let mut files = files.into_iter();
        let image = snapshot.image.and_then(|zygote| Some((zygote, files.next()?)));
        Self { image, capture: snapshot.capture.and_then(|most| Some((most, files.next()?))) }
    }

    /// The image that fits a child of this zygote.
    fn image_for(&self, zygote: Option<&Zygote>) -> Option<&OwnedFd> {
        self.image.as_ref().filter(|(fits, _)| Some(fits) == zygote).map(|(_, image)| image)
    }

    /// Where a zygote's child writes an image of itself.
    fn capture_for(&self, zygote: Option<&Zygote>) -> Option<&(u64, OwnedFd)> {
        self.capture.as_ref().filter(|_| zygote.is_some())
    }
}

/// A runtime that waits, or is about to.
pub(super) struct Waiter {
    argv: Vec<String>,
    socket: OwnedFd,
    /// Known of one that was executed, and of any that is ready.
    pid: Option<Pid>,
    zygote: Option<Zygote>,
    is_ready: bool,
}

impl Waiter {
    /// Executes the runtime, or awaits the zygote's; none when that does not work.
    pub(super) fn begin(socket: OwnedFd, tenant: Tenant, ready: &Ready<'_>) -> Option<Self> {
        let Tenant { argv, execute } = tenant;
        let pid = match execute {
            Some(theirs) => Some(ready.start_waiting(&argv, &waiting::environment(), theirs.as_fd()).ok()?),
            None => None,
        };
        Some(Self { argv, socket, pid, zygote: None, is_ready: false })
    }

    /// What to wait for until the runtime is ready, and after that for its end.
    pub(super) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Reads what the runtime says; whether it is still of use.
    pub(super) fn hear(&mut self) -> bool {
        let received = match packets::receive(self.socket.as_fd(), READY_BYTES, true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            received => received,
        };
        let said = received.ok().and_then(|said| serde_json::from_slice::<ReadyPacket>(&said.packet).ok());
        let (pid, zygote) = said.map_or((None, None), |said| (Pid::from_raw(said.ready), said.zygote));
        if self.is_ready
            || pid.is_none()
            || pid == Some(Pid::INIT)
            || self.pid.is_some_and(|known| Some(known) != pid)
        {
            return false;
        }
        self.pid = pid;
        self.zygote = zygote;
        self.is_ready = true;
        true
    }

    /// Whether a child that ended is this one.
    pub(super) fn is(&self, child: Pid) -> bool {
        self.pid == Some(child)
    }

    /// Makes it the runtime of a function; none when it is not fit for that, and ended.
    pub(super) fn hand_over(
        mut self,
        argv: &[String],
        env: &[(String, String)],
        cwd: &str,
        gift: &Gift,
    ) -> Option<Handed> {
        let is_fit = self.argv == argv && self.becomes_ready(READY_TIME);
        let handed = if is_fit { self.tell(env, cwd, gift) } else { None };
        if handed.is_none() {
            self.end();
        }
        handed
    }

    fn tell(&self, env: &[(String, String)], cwd: &str, gift: &Gift) -> Option<Handed> {
        let zygote = self.zygote.as_ref();
        let image = gift.image_for(zygote);
        let capture = gift.capture_for(zygote).filter(|_| image.is_none());
        let (continues, most) = (image.is_some(), capture.map(|(most, _)| *most));
        let handover = Handover { env, cwd, argv: &self.argv, image: continues, capture: most };
        let packet = serde_json::to_vec(&handover).ok()?;
        let files: Vec<_> = image.into_iter().chain(capture.map(|(_, pipe)| pipe)).map(AsFd::as_fd).collect();
        packets::send(self.socket.as_fd(), &packet, &files, true).ok()?;
        Some(Handed { pid: self.pid?, zygote: self.zygote.clone(), continues })
    }

    /// Itself when it is ready within a time; one that is not is ended.
    pub(super) fn awaited(mut self, time: Duration) -> Option<Self> {
        if self.becomes_ready(time) {
            return Some(self);
        }
        self.end();
        None
    }

    fn becomes_ready(&mut self, time: Duration) -> bool {
        let clock = Clock::system();
        let deadline = clock.now() + time;
        while !self.is_ready && clock.now() < deadline {
            let mut waits = [PollFd::new(&self.socket, PollFlags::IN)];
            let waited = sys::wait_for(&mut waits, Some(deadline.since(clock.now())));
            if waited.is_err() || !self.hear() {
                return false;
            }
        }
        self.is_ready
    }

    /// Ends it. One that is not born yet finds its socket closed.
    pub(super) fn end(self) {
        if let Some(pid) = self.pid {
            // This process alone collects it, and has not; its number cannot have gone to another.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
