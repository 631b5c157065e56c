//! Between invocations nothing of a function runs: a while after its last work is done, its processes are frozen.
//!
//! A freeze and the thaw that follows cost a request as much as its whole way through a warm environment (0.2 ms with
//! version 1 of control groups, measured), so those that follow one another quickly see neither.

use std::io;
use std::time::Duration;

use base::clock::Timestamp;

use crate::starter::Freezer;

/// Rest after which an environment is frozen. Ours: back-to-back requests come sooner, and a function's background work
/// gets no more than that.
pub const FREEZE_AFTER: Duration = Duration::from_millis(50);

/// How far an environment is from being frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frost {
    /// It works, or was woken for something.
    Awake,
    /// It rests, and is frozen then.
    Resting(Timestamp),
    /// Nothing in it runs.
    Frozen,
}

/// What is to be done to the environment's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Stop them.
    Freeze,
    /// Let them go on.
    Thaw,
}

impl Frost {
    /// Its work is done. Saying so again does not put the frost off: a function must not keep itself awake by talking.
    #[must_use]
    pub fn rest(self, now: Timestamp) -> Self {
        match self {
            Self::Awake => Self::Resting(now + FREEZE_AFTER),
            resting => resting,
        }
    }

    /// It has work, or is about to be signalled.
    pub const fn wake(self) -> (Self, Option<Change>) {
        match self {
            Self::Frozen => (Self::Awake, Some(Change::Thaw)),
            _ => (Self::Awake, None),
        }
    }

    /// Time has passed.
    pub fn pass(self, now: Timestamp) -> (Self, Option<Change>) {
        match self {
            Self::Resting(until) if until <= now => (Self::Frozen, Some(Change::Freeze)),
            other => (other, None),
        }
    }

    /// When to look at the time again.
    pub const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Resting(until) => Some(until),
            _ => None,
        }
    }
}

/// The frost of one sandbox, with what brings it about.
pub struct Weather {
    frost: Frost,
    /// None where the kernel has none: everything stays awake.
    freezer: Option<Box<dyn Freezer>>,
}

impl Weather {
    /// A sandbox that is awake.
    pub fn new(freezer: Option<Box<dyn Freezer>>) -> Self {
        Self { frost: Frost::Awake, freezer }
    }

    /// See [`Frost::rest`].
    pub fn rest(&mut self, now: Timestamp) {
        if self.freezer.is_some() {
            self.frost = self.frost.rest(now);
        }
    }

    /// See [`Frost::wake`]; whether it was frozen. What cannot be thawed is lost.
    pub fn wake(&mut self) -> io::Result<bool> {
        let (frost, change) = self.frost.wake();
        self.frost = frost;
        self.perform(change)?;
        Ok(change.is_some())
    }

    /// See [`Frost::pass`].
    pub fn pass(&mut self, now: Timestamp) -> io::Result<()> {
        let (frost, change) = self.frost.pass(now);
        self.frost = frost;
        self.perform(change)
    }

    /// See [`Frost::due`].
    pub const fn due(&self) -> Option<Timestamp> {
        self.frost.due()
    }

    fn perform(&self, change: Option<Change>) -> io::Result<()> {
        let Some((freezer, change)) = self.freezer.as_ref().zip(change) else { return Ok(()) };
        match change {
            Change::Freeze => freezer.freeze(),
            Change::Thaw => freezer.thaw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn requests_that_come_soon_see_no_frost() {
        let resting = Frost::Awake.rest(at(0));
        assert_eq!(resting.pass(at(49)), (resting, None));
        assert_eq!(resting.wake(), (Frost::Awake, None));
        assert_eq!(Frost::Awake.pass(at(1_000)), (Frost::Awake, None));
    }

    #[test]
    fn a_rest_ends_in_frost_and_work_ends_the_frost() {
        let resting = Frost::Awake.rest(at(0));
        assert_eq!(resting.due(), Some(at(50)));
        assert_eq!(resting.pass(at(50)), (Frost::Frozen, Some(Change::Freeze)));
        assert_eq!(Frost::Frozen.due(), None);
        assert_eq!(Frost::Frozen.wake(), (Frost::Awake, Some(Change::Thaw)));
    }

    #[test]
    fn whoever_talks_while_it_rests_gains_no_time() {
        let resting = Frost::Awake.rest(at(0));
        assert_eq!(resting.rest(at(40)), resting);
        assert_eq!(Frost::Frozen.rest(at(60)), Frost::Frozen);
    }
}
