//! The server's end of the launcher.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use base::id::EnvironmentId;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::freezer::Freezer;
use crate::limits::REQUEST_BYTES;
use crate::meter::Meter;
use crate::requests::{Answer, Extras, Outcome, Request, Work, decode, encode};
use crate::setup::Isolation;
use crate::spec::{BuildError, Built, NameSockets, Preparation, SandboxSpec};
use crate::sys::packets::{self, Received};

/// Asks the launcher for work. Cheap to clone; callable from any thread.
///
/// Requests and answers pass through one thread of its own, on which the callbacks run: they must be short and
/// must not wait.
#[derive(Clone)]
pub struct LauncherClient {
    desk: Arc<Desk>,
}

impl fmt::Debug for LauncherClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LauncherClient").finish_non_exhaustive()
    }
}

impl LauncherClient {
    pub(crate) fn start(launcher: OwnedFd, isolation: Isolation) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let desk = Arc::new(Desk { launcher, wake, isolation, state: Mutex::default() });
        let worker = Arc::clone(&desk);
        std::thread::Builder::new().name("launcher-client".into()).spawn(move || worker.work())?;
        Ok(Self { desk })
    }

    /// Builds a sandbox.
    pub fn build(&self, spec: SandboxSpec, done: impl FnOnce(Result<Built, BuildError>) + Send + 'static) {
        self.desk.post(Work::Build(spec), None, Done::Build(Box::new(done)));
    }

    /// Ends a sandbox and everything in it; `done` runs when nothing of it runs any more. Unknown ids are done at once.
    pub fn destroy(&self, id: EnvironmentId, done: impl FnOnce() + Send + 'static) {
        self.desk.post(Work::Destroy(id), None, Done::Plain(Box::new(done)));
    }

    /// Unpacks `archive` into the new directory `code/<into>`, with the set-up's function in a confined process.
    ///
    /// `Err` holds the function's own report when it refused, and is empty when the helper crashed, ran out of its
    /// limits, or the name was refused or is taken. Nothing is left behind then.
    pub fn unpack(
        &self,
        archive: File,
        into: &str,
        done: impl FnOnce(Result<Vec<u8>, Vec<u8>>) + Send + 'static,
    ) {
        let work = Work::Unpack(into.to_owned());
        self.desk.post(work, Some(archive.into()), Done::Unpack(Box::new(done)));
    }

    /// Removes `code/<name>` and all below it; `done` runs when it cannot be found any more. Sandboxes that use it
    /// lose its files.
    pub fn remove_code(&self, name: &str, done: impl FnOnce() + Send + 'static) {
        self.desk.post(Work::Remove(name.to_owned()), None, Done::Plain(Box::new(done)));
    }

    /// Says that sandboxes like this may be wanted soon, so that some are made ready. Nothing where the launcher makes
    /// none ahead.
    pub fn expect(&self, preparation: Preparation) {
        self.desk.post(Work::Expect(preparation), None, Done::Plain(Box::new(|| ())));
    }
}

/// What an unpacking helper says.
type Report = Result<Vec<u8>, Vec<u8>>;

/// What waits for an answer.
enum Done {
    Build(Box<dyn FnOnce(Result<Built, BuildError>) + Send>),
    Unpack(Box<dyn FnOnce(Report) + Send>),
    Plain(Box<dyn FnOnce() + Send>),
}

impl Done {
    /// The launcher will not answer.
    fn abandon(self, error: BuildError) {
        match self {
            Self::Build(done) => done(Err(error)),
            // Whoever waits must not take it for the end of a helper, of which an archive is guilty.
            Self::Unpack(done) => drop(done),
            Self::Plain(done) => done(),
        }
    }

    fn complete(self, outcome: Outcome, body: &[u8], descriptors: Vec<OwnedFd>, isolation: Isolation) {
        let unexpected = || BuildError::Refused("the launcher's answer fits another request".into());
        match (self, outcome) {
            (Self::Build(done), Outcome::Built(extras)) => {
                done(built(descriptors, extras, isolation).ok_or_else(unexpected));
            }
            (Self::Build(done), Outcome::NotBuilt(error)) => done(Err(error)),
            (Self::Unpack(done), Outcome::Unpacked) => done(Ok(body.to_vec())),
            (Self::Unpack(done), Outcome::NotUnpacked) => done(Err(body.to_vec())),
            (Self::Plain(done), Outcome::Destroyed | Outcome::Removed | Outcome::Noted) => done(),
            (done, _) => done.abandon(unexpected()),
        }
    }
}

/// The descriptors of a sandbox, in the order in which the launcher sends them.
fn built(descriptors: Vec<OwnedFd>, extras: Extras, isolation: Isolation) -> Option<Built> {
    let mut descriptors = descriptors.into_iter();
    let built = Built {
        control: descriptors.next()?,
        log: descriptors.next()?,
        meter: match isolation {
            Isolation::Full => Meter::new(descriptors.next()?),
            Isolation::None => Meter::of_family(descriptors.next()?),
        },
        runtime_api: TcpListener::from(descriptors.next()?),
        loopback: if extras.loopback { Some(TcpListener::from(descriptors.next()?)) } else { None },
        endpoint: if extras.endpoint { Some(TcpListener::from(descriptors.next()?)) } else { None },
        names: match extras.names {
            true => Some(NameSockets {
                datagrams: UdpSocket::from(descriptors.next()?),
                listener: TcpListener::from(descriptors.next()?),
            }),
            false => None,
        },
        freezer: match extras.freezer {
            Some(version) => Some(Freezer::new(descriptors.next()?, version)),
            None => None,
        },
    };
    descriptors.next().is_none().then_some(built)
}

/// Requests on their way out and answers that are awaited.
struct Desk {
    launcher: OwnedFd,
    wake: OwnedFd,
    isolation: Isolation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_ticket: u64,
    outgoing: std::collections::VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    awaited: HashMap<u64, Done>,
    gone: bool,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the desk's state panics")
    }

    fn post(&self, work: Work, descriptor: Option<OwnedFd>, done: Done) {
        let mut state = self.state();
        if state.gone {
            drop(state);
            return done.abandon(BuildError::Gone);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        match encode(&Request { ticket, work }, b"") {
            Ok(packet) => {
                state.outgoing.push_back((packet, descriptor));
                state.awaited.insert(ticket, done);
                drop(state);
                // A full counter wakes as well as one that was raised.
                let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
            }
            Err(_) => {
                drop(state);
                done.abandon(BuildError::Refused("the request is too large".into()));
            }
        }
    }

    /// The thread's work: ends when the launcher is gone.
    fn work(&self) {
        while self.turn().is_ok() {}
        let awaited = {
            let mut state = self.state();
            state.gone = true;
            state.outgoing.clear();
            std::mem::take(&mut state.awaited)
        };
        awaited.into_values().for_each(|done| done.abandon(BuildError::Gone));
    }

    fn turn(&self) -> io::Result<()> {
        let room = if self.state().outgoing.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut waits =
            [PollFd::new(&self.launcher, PollFlags::IN | room), PollFd::new(&self.wake, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut waits, None))?;
        let [launcher, wake] = waits.map(|wait| wait.revents());
        if !wake.is_empty() {
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
        self.send()?;
        match launcher.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            true => self.receive(),
            false => Ok(()),
        }
    }

    fn send(&self) -> io::Result<()> {
        loop {
            let mut state = self.state();
            let Some((packet, descriptor)) = state.outgoing.front() else { return Ok(()) };
            let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
            match packets::send(self.launcher.as_fd(), packet, &descriptors, true) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            }
            state.outgoing.pop_front();
        }
    }

    fn receive(&self) -> io::Result<()> {
        loop {
            let Received { packet, descriptors } =
                match packets::receive(self.launcher.as_fd(), REQUEST_BYTES, true) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    result => result?,
                };
            if packet.is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let (Answer { ticket, outcome }, body) = decode(&packet).map_err(io::Error::other)?;
            let done = self.state().awaited.remove(&ticket);
            if let Some(done) = done {
                done.complete(outcome, body, descriptors, self.isolation);
            }
        }
    }
}
