//! The launcher's loop: one thread that waits for requests, signals, new sandboxes and finished chores, and blocks
//! on none of them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};

use super::chores::Chores;
use super::house::House;
use super::sandboxes::{Keys, Sandboxes};
use crate::limits::{
    CGROUP_RETRY, NETWORKS_PATIENCE, REQUEST_BYTES, REQUESTS_A_TURN, REQUESTS_WAITING, TEARDOWN_TIME,
};
use crate::requests::{Answer, Outcome, Request, Work, decode, encode};
use crate::setup::{Isolation, LauncherSetup};
use crate::sys::packets::{self, Received};
use crate::sys::{self, family, signals};

/// How often deadlines are looked at while something is under way.
const TICK: Duration = Duration::from_secs(1);

/// Answers that may wait for the server to read them before no new work is begun.
const ANSWERS_WAITING: usize = 64;

/// What the loop listens to.
pub(super) struct Wires {
    /// To the server.
    pub(super) server_socket: OwnedFd,
    /// Pending signals.
    pub(super) signals: OwnedFd,
    /// The server.
    pub(super) server: Pid,
}

/// The launcher at work.
pub(super) struct Desk {
    wires: Wires,
    clock: Clock,
    sandboxes: Sandboxes,
    chores: Chores,
    outbox: Outbox,
    /// Whether functions have no walls, and may leave processes that only this one can end.
    is_plain: bool,
    /// Whether such a process was seen and may not have ended yet.
    has_strays: bool,
    /// How the server ended.
    ended: Option<WaitStatus>,
}

impl Desk {
    pub(super) fn new(house: &House, setup: &LauncherSetup, sandboxes: Sandboxes, wires: Wires) -> Self {
        Self {
            clock: Clock::system(),
            sandboxes,
            chores: Chores::new(house, setup.unpack, setup.isolation),
            outbox: Outbox {
                server: wires.server_socket.try_clone().expect("a launcher that starts has descriptors left"),
                packets: VecDeque::new(),
            },
            is_plain: setup.isolation == Isolation::None,
            has_strays: false,
            ended: None,
            wires,
        }
    }

    /// Works until the server has ended, then takes everything down.
    pub(super) fn serve(mut self) -> ExitCode {
        while self.ended.is_none() {
            if let Err(error) = self.turn() {
                sys::say(format_args!("the launcher stops: {error}"));
                let _ = rustix::process::kill_process(self.wires.server, Signal::KILL);
                break;
            }
        }
        self.tear_down();
        match self.ended.map(|status| (status.exit_status(), status.terminating_signal())) {
            Some((Some(code), _)) => ExitCode::from(code as u8),
            Some((None, Some(signal))) => ExitCode::from(128u8.saturating_add(signal as u8)),
            _ => ExitCode::FAILURE,
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        self.sandboxes.advance(now, self.outbox.has_room(), &mut self.outbox);
        self.clear_up();
        self.chores.advance(now, &mut self.outbox);
        self.outbox.flush();
        let (from_server, from_signals) = self.wait(now)?;
        if !from_server && !from_signals {
            self.sandboxes.prepare(self.clock.now());
        }
        if from_signals {
            self.hear_signals();
        }
        self.sandboxes.greet(self.clock.now(), &mut self.outbox);
        if from_server { self.receive() } else { Ok(()) }
    }

    /// Waits for anything to happen; whether the server spoke, and whether a signal came.
    fn wait(&self, now: Timestamp) -> io::Result<(bool, bool)> {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, self.takes_requests());
        interest.set(PollFlags::OUT, !self.outbox.packets.is_empty());
        let mut waits = vec![
            PollFd::new(&self.wires.server_socket, interest),
            PollFd::new(&self.wires.signals, PollFlags::IN),
        ];
        waits.extend(self.sandboxes.wires().map(|wire| PollFd::new(wire, PollFlags::IN)));
        let timeout = match () {
            () if let Some(patience) = self.sandboxes.patience(now) => Some(patience),
            () if self.sandboxes.has_removals() || self.has_strays => Some(CGROUP_RETRY),
            () if self.sandboxes.is_building()
                || self.sandboxes.awaits_a_zygote()
                || self.chores.is_busy() =>
            {
                Some(TICK)
            }
            () if self.sandboxes.may_shrink() => Some(NETWORKS_PATIENCE),
            () => None,
        };
        sys::wait_for(&mut waits, timeout)?;
        Ok((waits[0].revents().contains(PollFlags::IN), !waits[1].revents().is_empty()))
    }

    fn takes_requests(&self) -> bool {
        self.sandboxes.waiting() + self.chores.waiting() < REQUESTS_WAITING && self.outbox.has_room()
    }

    fn hear_signals(&mut self) {
        while let Some(signal) = signals::next(self.wires.signals.as_fd()) {
            match signal {
                libc::SIGCHLD => {}
                libc::SIGINT => self.pass_on(Signal::INT),
                _ => self.pass_on(Signal::TERM),
            }
        }
        self.reap();
    }

    fn pass_on(&self, signal: Signal) {
        // Only this process reaps the server; before, its number cannot have gone to another.
        if self.ended.is_none() {
            let _ = rustix::process::kill_process(self.wires.server, signal);
        }
    }

    /// Collects every child that ended. Several endings may share one signal.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.wires.server {
                self.ended = Some(status);
            } else if !self.sandboxes.ended(pid, self.clock.now(), &mut self.outbox) {
                self.chores.ended(pid, status, &mut self.outbox);
            }
        }
    }

    /// Takes requests, but not for ever: a server that never stops asking must not keep this loop from its children.
    fn receive(&mut self) -> io::Result<()> {
        for _ in 0..REQUESTS_A_TURN {
            if !self.takes_requests() {
                break;
            }
            let received = match packets::receive(self.wires.server_socket.as_fd(), REQUEST_BYTES, true) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // One packet that is none is dropped; the server hears nothing of it.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => continue,
                // The server left answers unread when it ended.
                Err(_) => return self.await_server(),
            };
            if received.packet.is_empty() {
                // Its end is closed: it has ended or is about to.
                return self.await_server();
            }
            self.accept(received);
        }
        Ok(())
    }

    fn accept(&mut self, Received { packet, mut descriptors }: Received) {
        let Ok((Request { ticket, work }, b"")) = decode::<Request>(&packet) else { return };
        match work {
            Work::Build(spec) => self.sandboxes.request(ticket, spec, self.clock.now(), &mut self.outbox),
            Work::Destroy(id) => self.sandboxes.destroy(ticket, id, &mut self.outbox),
            Work::Unpack(name) => {
                self.chores.request_unpack(ticket, name, descriptors.pop(), &mut self.outbox);
            }
            Work::Expect(preparation) => {
                self.sandboxes.expect(preparation, self.clock.now());
                self.outbox.answer(ticket, Outcome::Noted);
            }
            Work::Remove(name) => {
                self.sandboxes.forget_code(&name);
                self.chores.request_remove(ticket, &name, &mut self.outbox);
            }
        }
    }

    /// Ends a server that has closed its socket.
    fn await_server(&mut self) -> io::Result<()> {
        let deadline = self.clock.now() + TEARDOWN_TIME;
        while self.ended.is_none() && self.clock.now() < deadline {
            self.pause();
        }
        if self.ended.is_none() {
            rustix::process::kill_process(self.wires.server, Signal::KILL)?;
        }
        while self.ended.is_none() {
            self.pause();
        }
        Ok(())
    }

    /// Takes down every sandbox and chore, and the control groups.
    fn tear_down(&mut self) {
        let deadline = self.clock.now() + TEARDOWN_TIME;
        self.sandboxes.destroy_all();
        self.chores.abandon();
        let is_left = |desk: &Self| {
            desk.ended.is_none()
                || !desk.sandboxes.is_empty()
                || desk.sandboxes.has_vacated()
                || desk.has_strays
                || desk.chores.is_busy()
        };
        while is_left(self) && self.clock.now() < deadline {
            self.pause();
            self.sandboxes.retry_removals();
            self.clear_up();
            self.chores.advance(self.clock.now(), &mut self.outbox);
        }
        self.sandboxes.close();
    }

    /// Ends what functions without walls left behind as they killed their init, and then clears their rooms.
    ///
    /// This process adopts whoever loses their parent, so what is its child and was not born here is such a one.
    fn clear_up(&mut self) {
        if !self.is_plain || !(self.has_strays || self.sandboxes.has_vacated()) {
            return;
        }
        let is_known = |pid: Pid| pid == self.wires.server || self.sandboxes.has(pid) || self.chores.has(pid);
        let children = family::children(rustix::process::getpid());
        let strays: Vec<_> = children.into_iter().filter(|pid| !is_known(*pid)).collect();
        // A child is collected only by this process, so its number cannot have gone to another.
        for stray in &strays {
            let _ = rustix::process::kill_process(*stray, Signal::KILL);
        }
        self.has_strays = !strays.is_empty();
        if !self.has_strays {
            self.sandboxes.take_vacated().into_iter().for_each(|room| self.chores.request_clear(room));
        }
    }

    /// Waits a moment for children to end.
    fn pause(&mut self) {
        let mut waits = [PollFd::new(&self.wires.signals, PollFlags::IN)];
        let _ = sys::wait_for(&mut waits, Some(CGROUP_RETRY));
        self.hear_signals();
    }
}

/// Answers on their way to the server.
pub(super) struct Outbox {
    server: OwnedFd,
    packets: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

impl Outbox {
    /// Answers without a body or descriptors.
    pub(super) fn answer(&mut self, ticket: u64, outcome: Outcome) {
        self.send(ticket, outcome, b"", Vec::new());
    }

    /// Answers.
    pub(super) fn send(&mut self, ticket: u64, outcome: Outcome, body: &[u8], descriptors: Vec<OwnedFd>) {
        // Outcomes are small and bodies were bounded where they came in, so every answer fits.
        if let Ok(packet) = encode(&Answer { ticket, outcome }, body) {
            self.packets.push_back((packet, descriptors));
        }
    }

    /// Hands over a sandbox, at once if that can be: its runtime may start while others are still being served.
    pub(super) fn hand_over(&mut self, ticket: u64, keys: Keys, endpoint: bool) {
        let (extras, descriptors) = keys.hand_over(endpoint);
        self.send(ticket, Outcome::Built(extras), b"", descriptors);
        self.flush();
    }

    fn has_room(&self) -> bool {
        self.packets.len() < ANSWERS_WAITING
    }

    /// Sends what the socket takes. A server that has gone is noticed elsewhere.
    fn flush(&mut self) {
        while let Some((packet, descriptors)) = self.packets.front() {
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match packets::send(self.server.as_fd(), packet, &descriptors, true) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => drop(self.packets.pop_front()),
            }
        }
    }
}
