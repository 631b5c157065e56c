//! Network namespaces, made before they are needed and used once.
//!
//! Making one takes longer than all else that building a sandbox takes together, so it is done while nothing else is
//! to do. They are the launcher's, and so of the host's user namespace: root in a sandbox has no power over its own.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use base::clock::Timestamp;

use super::egress::Egress;
use crate::identity::{ENDPOINT_PORT, NAMES_PORT, RUNTIME_API_PORT};
use crate::limits::{NETWORKS_LEAST, NETWORKS_MOST, NETWORKS_PATIENCE, NETWORKS_QUIET, NETWORKS_RETRY};
use crate::plan::egress::LINKS;
use crate::sys::{self, Step, StepError, network};

/// Every network namespace that no sandbox has yet, and how more are made.
pub(super) struct Networks {
    home: OwnedFd,
    egress: Option<Egress>,
    numbers: Numbers,
    ready: VecDeque<Network>,
    /// How many are kept ready.
    target: usize,
    /// When one was last taken.
    taken: Option<Timestamp>,
    /// No more are made in advance before.
    pause: Option<Timestamp>,
}

/// A network namespace with all that a sandbox needs in it.
pub(super) struct Network {
    /// The namespace.
    pub(super) namespace: OwnedFd,
    /// Listens where runtimes look for work.
    pub(super) runtime_api: OwnedFd,
    /// Listens where functions look for AWS.
    pub(super) endpoint: OwnedFd,
    /// Where functions ask for names, over UDP and over TCP, when they reach anything that has one.
    pub(super) names: Option<[OwnedFd; 2]>,
    /// The number of its cable, when it has one; goes back to [`Networks::give_back`].
    pub(super) number: Option<u16>,
}

impl Networks {
    /// None yet. This process must be in the host's namespace.
    pub(super) fn new(egress: Option<Egress>) -> Result<Self, StepError> {
        Ok(Self {
            home: network::current().doing("opening the host's network namespace")?,
            egress,
            numbers: Numbers::default(),
            ready: VecDeque::new(),
            target: NETWORKS_LEAST,
            taken: None,
            pause: None,
        })
    }

    /// Whether sandboxes reach anything.
    pub(super) fn has_egress(&self) -> bool {
        self.egress.is_some()
    }

    /// Fails when sandboxes would not get out although they shall.
    pub(super) fn check(&self) -> Result<(), StepError> {
        self.egress.as_ref().map_or(Ok(()), Egress::check)
    }

    /// One that is ready, for a sandbox that nobody waits for.
    pub(super) fn spare(&mut self) -> Option<Network> {
        self.ready.pop_front()
    }

    /// One that is ready, or else a new one; more are kept ready after that.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<Network, StepError> {
        self.taken = Some(now);
        self.check()?;
        if let Some(network) = self.ready.pop_front() {
            return Ok(network);
        }
        self.target = (self.target * 2).min(NETWORKS_MOST);
        self.make()
    }

    /// Makes one in advance, if that is due.
    pub(super) fn refill(&mut self, now: Timestamp) {
        if self.wants_more(now) {
            self.add(now);
        }
    }

    /// Makes one in advance.
    pub(super) fn add(&mut self, now: Timestamp) {
        match self.make() {
            Ok(network) => self.ready.push_back(network),
            Err(StepError { step, source }) => {
                sys::say(format_args!("no network is ready for the next sandbox: {step}: {source}"));
                self.pause = Some(now + NETWORKS_RETRY);
            }
        }
    }

    /// A listener for the Runtime API at the loopback address of a namespace.
    pub(super) fn listen_in(&self, namespace: BorrowedFd<'_>) -> Result<OwnedFd, StepError> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, RUNTIME_API_PORT);
        let listen = || network::listen_at(address).doing("listening in the sandbox");
        network::inside(namespace, self.home.as_fd(), listen)
    }

    /// Whether [`Self::refill`] has something to do.
    pub(super) fn wants_more(&self, now: Timestamp) -> bool {
        self.ready.len() < self.target && self.pause.is_none_or(|pause| pause < now)
    }

    /// How long it should be quiet before that.
    pub(super) fn patience(&self) -> Duration {
        if self.ready.len() * 2 < self.target { Duration::ZERO } else { NETWORKS_QUIET }
    }

    /// Whether more are kept ready than quiet times need.
    pub(super) fn is_large(&self) -> bool {
        self.target > NETWORKS_LEAST
    }

    /// Keeps fewer ready once nobody has asked for a while.
    pub(super) fn shrink(&mut self, now: Timestamp) {
        if self.is_large() && self.taken.is_none_or(|taken| taken + NETWORKS_PATIENCE < now) {
            self.target = NETWORKS_LEAST;
            let spare = self.ready.len().saturating_sub(self.target);
            for number in self.ready.drain(..spare).filter_map(|network| network.number) {
                self.numbers.give_back(number);
            }
        }
    }

    /// Notes that the sandbox with this cable is gone.
    pub(super) fn give_back(&mut self, number: Option<u16>) {
        number.into_iter().for_each(|number| self.numbers.give_back(number));
    }

    fn make(&mut self) -> Result<Network, StepError> {
        let Some(egress) = &self.egress else { return make(&self.home, None) };
        for _ in LINKS {
            let Some(number) = self.numbers.take() else { break };
            match make(&self.home, Some((egress, number))) {
                // A sandbox has ended whose sockets somebody still holds, and with them its namespace.
                Err(error) if is_taken(&error) => self.numbers.give_back(number),
                Err(error) => {
                    self.numbers.give_back(number);
                    return Err(error);
                }
                network => return network,
            }
        }
        Err(io::Error::from(io::ErrorKind::AddrInUse)).doing("choosing a sandbox's address")
    }
}

fn is_taken(error: &StepError) -> bool {
    error.source.raw_os_error() == Some(libc::EEXIST)
}

fn make(home: &OwnedFd, egress: Option<(&Egress, u16)>) -> Result<Network, StepError> {
    let link = egress.map(|(egress, number)| egress.plan().link(number));
    let made = network::in_a_new_one(home.as_fd(), || {
        network::bring_up().doing("bringing up the sandbox's network")?;
        let listen = |port| network::listen(port).doing("listening in the sandbox");
        let names = match &link {
            None => None,
            Some(link) => {
                network::lay_cable(link, home.as_fd()).doing("connecting the sandbox (veth)")?;
                let datagrams = network::receive_datagrams(NAMES_PORT);
                Some([datagrams.doing("listening in the sandbox")?, listen(NAMES_PORT)?])
            }
        };
        Ok((listen(RUNTIME_API_PORT)?, listen(ENDPOINT_PORT)?, names))
    });
    let (namespace, (runtime_api, endpoint, names)) = made?;
    if let (Some((egress, _)), Some(link)) = (egress, &link) {
        egress.routes().lead_to(link).doing("leading addresses to the sandbox")?;
    }
    Ok(Network { namespace, runtime_api, endpoint, names, number: egress.map(|(_, number)| number) })
}

/// The numbers of cables, in turn, so that an address is not soon used again.
#[derive(Default)]
struct Numbers {
    next: u16,
    taken: HashSet<u16>,
}

impl Numbers {
    fn take(&mut self) -> Option<u16> {
        let count = LINKS.end - LINKS.start;
        for _ in LINKS {
            let number = LINKS.start + self.next;
            self.next = (self.next + 1) % count;
            if self.taken.insert(number) {
                return Some(number);
            }
        }
        None
    }

    fn give_back(&mut self, number: u16) {
        self.taken.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_after_all_others() {
        let mut numbers = Numbers::default();
        let first = numbers.take().unwrap();
        numbers.give_back(first);
        let count = usize::from(LINKS.end - LINKS.start);
        let rest: HashSet<u16> = (1..count).map_while(|_| numbers.take()).collect();
        assert_eq!((rest.len(), rest.contains(&first)), (count - 1, false));
        assert_eq!(numbers.take(), Some(first));
        assert_eq!(numbers.take(), None);
    }
}
