//! What a sandbox is asked to be, and what its builder hands over.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use base::id::EnvironmentId;
use base::units::Mib;
use serde::{Deserialize, Serialize};

use crate::freezer::Freezer;
use crate::meter::Meter;

/// One sandbox to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSpec {
    /// Names the sandbox from here on; never reused.
    pub id: EnvironmentId,
    /// Limit of everything the function runs.
    pub memory: Mib,
    /// Size of `/tmp`.
    pub tmp: Mib,
    /// Which of the launcher's interpreters is mounted; none for `provided.*`.
    pub interpreter: Option<String>,
    /// Directory under the data directory's `code/` that becomes `/var/task`.
    pub code: String,
    /// Directories under `code/` that become `/opt`; a later one covers an earlier one.
    pub layers: Vec<String>,
    /// Whether the function gets its own AWS endpoint.
    pub endpoint: bool,
    /// Whether the Runtime API is heard at 127.0.0.1 as well: SDKs take keys without encryption from nowhere else.
    pub loopback: bool,
    /// Command of the runtime that may be started before it is known for which function, to wait in the sandbox:
    /// program and arguments. None where the runtime must know its variables as it starts.
    pub waiting: Option<Vec<String>>,
}

/// What of a sandbox can be made before it is known for which function it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// As [`SandboxSpec::interpreter`].
    pub interpreter: Option<String>,
    /// As [`SandboxSpec::waiting`].
    pub waiting: Option<Vec<String>>,
}

impl SandboxSpec {
    /// What of it can be made ahead.
    pub fn preparation(&self) -> Preparation {
        Preparation { interpreter: self.interpreter.clone(), waiting: self.waiting.clone() }
    }
}

/// A sandbox that stands, with nothing running in it but its init.
///
/// Dropping [`control`](Self::control) ends it; [`LauncherClient::destroy`](crate::LauncherClient::destroy) also
/// frees what the launcher keeps for it.
#[derive(Debug)]
pub struct Built {
    /// `SOCK_SEQPACKET` to the init, blocking; speaks [`crate::protocol`]. End of file: the sandbox is gone.
    pub control: OwnedFd,
    /// What everything inside writes to descriptors 1, 2 and 62, in order; non-blocking.
    pub log: OwnedFd,
    /// Listens on 169.254.100.1:9001 inside, or on loopback where there are no walls; non-blocking.
    pub runtime_api: TcpListener,
    /// Listens on 127.0.0.1:9001 inside, when asked for and where there are walls; non-blocking.
    pub loopback: Option<TcpListener>,
    /// Listens on 169.254.100.1:4566 inside, or on loopback, when asked for; non-blocking.
    pub endpoint: Option<TcpListener>,
    /// Where functions ask for names, when they reach anything that has one.
    pub names: Option<NameSockets>,
    /// Reads what the function uses.
    pub meter: Meter,
    /// Stops and continues the function's processes, where the kernel can.
    pub freezer: Option<Freezer>,
}

/// Port 53 of 169.254.100.1 inside; both are non-blocking.
#[derive(Debug)]
pub struct NameSockets {
    /// Receives questions, each a datagram.
    pub datagrams: UdpSocket,
    /// Listens for those who ask over TCP.
    pub listener: TcpListener,
}

/// Why a sandbox was not built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub enum BuildError {
    /// As many as this machine's descriptors allow are standing.
    #[error("all {limit} sandboxes are in use")]
    Full {
        /// [`base::limits::ENVIRONMENTS`], or what descriptors allow.
        limit: usize,
    },
    /// The launcher does not accept the request.
    #[error("the launcher refused the request: {0}")]
    Refused(String),
    /// A step failed; nothing is left behind.
    #[error("{step}: {reason}")]
    Step {
        /// What was being done.
        step: String,
        /// The operating system's answer.
        reason: String,
    },
    /// It did not come up within [`crate::limits::BUILD_TIME`].
    #[error("the sandbox did not come up in time")]
    TimedOut,
    /// It was destroyed while it came up.
    #[error("the sandbox was destroyed while it was built")]
    Destroyed,
    /// The launcher has ended.
    #[error("the launcher has gone")]
    Gone,
}
