//! Where sandboxes come from.
//!
//! The engine knows a sandbox by what it can be told and what it tells. How it came to be (a process executed,
//! a fork of a prepared one, one of a pool) is the [`Starter`]'s business.

pub mod launcher;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use async_trait::async_trait;
use sandbox::protocol::{Stop, Who, Zygote};
use sandbox::{BuildError, NameSockets, SandboxSpec};

use crate::admission::budget::Place;
use crate::images::Gift;
use crate::outcome::Exit;

/// What a sandbox is to be built from.
#[derive(Debug)]
pub struct Order {
    /// What it is made of.
    pub spec: SandboxSpec,
    /// The machine's place for it, free again once the sandbox is gone.
    pub place: Place,
}

/// A process to start in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: String,
}

/// What a sandbox tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The extension runs.
    Started,
    /// The runtime runs: borne by this zygote, if by any, and going on from an image, or beginning.
    Began(Option<Zygote>, bool),
    /// The process could not be executed: the system's error number.
    StartFailed(i32),
    /// The process ended with this status.
    Exited(i32),
    /// This signal ended the process.
    Killed(i32),
    /// It was killed, because the function's processes held more than its memory.
    OutOfMemory,
    /// There is an extension of this name.
    Extension(String),
    /// All extensions were named; [`Control::descriptor`] has the pipe to which they write, if there are any.
    Discovered,
    /// The extension with this number could not be executed: the system's error number.
    NotLaunched(u32, i32),
    /// The process of the extension with this number ended.
    ExtensionEnded(u32, Exit),
    /// The connection with this number is made or under way; [`Control::descriptor`] has it.
    Dialed(u32),
    /// There is no such connection.
    NotDialed(u32),
    /// The runtime was audited and goes on: until its processes and files hold more than so many bytes, it need not be
    /// audited again.
    Audited(u64),
    /// Only the sandbox's own init is left.
    ResetDone,
    /// The sandbox is gone.
    Lost,
}

/// A sandbox that stands.
pub struct Sandbox {
    /// Its control.
    pub control: Box<dyn Control>,
    /// All that its processes write, in order; does not block.
    pub log: OwnedFd,
    /// The listener at the runtime API's address inside.
    pub runtime_api: TcpListener,
    /// The runtime API's listener at the loopback address inside, where it was asked for.
    pub loopback: Option<TcpListener>,
    /// The listener at the AWS endpoint's address inside.
    pub endpoint: Option<TcpListener>,
    /// Where its functions ask for names, when they reach any network.
    pub names: Option<NameSockets>,
    /// Its meter.
    pub meter: Box<dyn Meter>,
    /// What stops it between invocations, where the kernel can.
    pub freezer: Option<Box<dyn Freezer>>,
}

/// Commands one sandbox. Dropping it tears the sandbox down.
pub trait Control: Send {
    /// Starts the runtime; [`Told::Began`] or [`Told::StartFailed`] follows.
    fn start(&mut self, command: Command, gift: Gift) -> std::io::Result<()>;
    /// Looks for extensions; [`Told::Extension`] follows for each, and [`Told::Discovered`].
    fn discover(&mut self) -> std::io::Result<()>;
    /// Starts an extension; [`Told::NotLaunched`] or at its end [`Told::ExtensionEnded`] follows.
    fn launch(&mut self, number: u32, command: Command) -> std::io::Result<()>;
    /// Ends a process.
    fn signal(&mut self, who: Who, stop: Stop) -> std::io::Result<()>;
    /// Connects to a port inside; [`Told::Dialed`] or [`Told::NotDialed`] follows.
    fn dial(&mut self, number: u32, port: u16) -> std::io::Result<()>;
    /// The descriptor that came with what was told last.
    fn descriptor(&mut self) -> Option<OwnedFd>;
    /// Kills every process but the sandbox's init; [`Told::ResetDone`] follows.
    fn reset(&mut self) -> std::io::Result<()>;
    /// Says that what was frozen goes on.
    fn thawed(&mut self) -> std::io::Result<()>;
    /// Asks whether the runtime has outgrown its memory; [`Told::Audited`] follows, or [`Told::OutOfMemory`].
    fn audit(&mut self) -> std::io::Result<()>;
    /// What the sandbox tells next.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Told>;
}

/// Measures one sandbox.
pub trait Meter: Send {
    /// The most memory its processes have had, in bytes.
    fn max_memory(&self) -> u64;
    /// The most bytes that its processes and files have held together since its init looked after them; none where that
    /// need not be asked. Cheap.
    fn high_mark(&self) -> Option<u64>;
}

/// Stops and continues what runs in one sandbox. Neither waits long.
pub trait Freezer: Send {
    /// Nothing shall run from now on.
    fn freeze(&self) -> std::io::Result<()>;
    /// Everything goes on where it was.
    fn thaw(&self) -> std::io::Result<()>;
}

/// Builds sandboxes.
#[async_trait]
pub trait Starter: Send + Sync + 'static {
    /// Builds one. Whatever was made is torn down when this fails or is dropped.
    async fn build(&self, order: Order) -> Result<Sandbox, StartError>;
}

/// Why there is no sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The launcher builds no more of them at once. AWS answers 429; safe to retry.
    #[error(
        "this machine's budget of {limit} sandboxes is used up; raise the limit on open files or run less at once"
    )]
    Full {
        /// How many there may be.
        limit: usize,
    },
    /// The launcher did not build it.
    #[error("the sandbox could not be built: {0}")]
    NotBuilt(#[source] BuildError),
    /// It was built, and the server could not take it over.
    #[error("the sandbox could not be taken over: {0}")]
    NotTaken(String),
    /// It was closed before it was of use.
    #[error("the sandbox was closed while it started")]
    Closed,
}

impl StartError {
    /// Whether another attempt in a moment may succeed: the machine is busy, or it was meant so.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Closed => true,
            Self::NotBuilt(error) => matches!(error, BuildError::TimedOut | BuildError::Destroyed),
            Self::NotTaken(_) => false,
        }
    }
}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Full { limit } => Self::Full { limit },
            error => Self::NotBuilt(error),
        }
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::NotTaken(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_machine_stays_what_it_is() {
        assert_eq!(StartError::from(BuildError::Full { limit: 7 }), StartError::Full { limit: 7 });
        for error in [BuildError::TimedOut, BuildError::Gone, BuildError::Refused("x".into())] {
            assert_eq!(StartError::from(error.clone()), StartError::NotBuilt(error));
        }
    }
}
