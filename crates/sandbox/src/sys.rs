//! System calls behind safe functions. Those that fork say what they demand of the process.

pub(crate) mod family;
pub(crate) mod landlock;
pub(crate) mod mounts;
mod netlink;
pub(crate) mod network;
pub(crate) mod packets;
pub(crate) mod process;
pub(crate) mod signals;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};

/// Waits until a descriptor has what is waited for, or for so long; for ever without a time.
pub(crate) fn wait_for(waits: &mut [PollFd<'_>], time: Option<Duration>) -> io::Result<()> {
    let time =
        time.map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) });
    rustix::io::retry_on_intr(|| poll(waits, time.as_ref()))?;
    Ok(())
}

/// A step that failed, named for the person who reads the error.
#[derive(Debug)]
pub(crate) struct StepError {
    /// What was being done.
    pub(crate) step: String,
    /// The operating system's answer.
    pub(crate) source: io::Error,
}

impl From<StepError> for crate::setup::LaunchError {
    fn from(StepError { step, source }: StepError) -> Self {
        Self::Step { step, source }
    }
}

/// Names the step that an error interrupted.
pub(crate) trait Step<T> {
    /// `name` is what was being done.
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError>;

    /// The same for a fixed text.
    fn doing(self, name: &'static str) -> Result<T, StepError>
    where
        Self: Sized,
    {
        self.step(|| name.to_owned())
    }
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|error| StepError { step: name(), source: error.into() })
    }
}

/// Tells whoever started Samovar. Nothing ends because nobody listens any more.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "samovar: {text}");
}

/// The result of a raw system call.
fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
