//! The shutdown phase: the runtime is asked to end and then made to, then the extensions that want to know are told.
//!
//! Without extensions there is none. Source: Lambda Developer Guide, "Lambda execution environment lifecycle"; the
//! order and the runtime's share of the time are those of AWS's published runtime interface emulator.

use std::time::Duration;

use base::clock::Timestamp;
use base::limits::{RESET_TIME, SHUTDOWN_RUNTIME_PERCENT, SHUTDOWN_TIME, SHUTDOWN_TIME_INTERNAL};
use sandbox::protocol::{Stop, Who};

use super::refusal::without_runtime;
use super::reset::{Then, reports};
use super::{Action, Event, State, World};

/// Why an environment, or what runs in it, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is no longer wanted.
    Spindown,
    /// The function's time was over.
    Timeout,
    /// Something crashed.
    Failure,
}

impl Reason {
    /// The word for it. Source: recorded events, in lower case unlike the documentation's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// A shutdown phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaving {
    after: After,
    reason: Reason,
    /// When all of it is over.
    deadline: Timestamp,
    step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    Reset(Then),
    Destroy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The runtime was asked to end.
    Asked,
    /// The runtime was made to end.
    Made,
    /// Extensions were told.
    Told,
}

/// Kills everything, after a shutdown phase where there are extensions; `runs` is whether the runtime does.
pub(super) fn reset(
    world: &mut World,
    now: Timestamp,
    then: Then,
    reason: Reason,
    runs: bool,
) -> (State, Vec<Action>) {
    begin(world, now, After::Reset(then), reason, runs)
}

/// Ends the environment in the same way.
pub(super) fn close(world: &mut World, now: Timestamp, runs: bool) -> (State, Vec<Action>) {
    begin(world, now, After::Destroy, Reason::Spindown, runs)
}

fn begin(
    world: &mut World,
    now: Timestamp,
    after: After,
    reason: Reason,
    runs: bool,
) -> (State, Vec<Action>) {
    let time = time(world);
    let leaving = Leaving { after, reason, deadline: now + time, step: Step::Asked };
    if time.is_zero() {
        return leaving.over(now);
    }
    if !runs {
        return leaving.tell(world, now);
    }
    let until = now + time * SHUTDOWN_RUNTIME_PERCENT / 100;
    let actions = vec![Action::Signal(Who::Runtime, Stop::Term), Action::Timer(until)];
    (State::Leaving(leaving), actions)
}

fn time(world: &World) -> Duration {
    match world.extensions.census() {
        (true, _) => Duration::ZERO,
        (false, false) => SHUTDOWN_TIME_INTERNAL,
        (false, true) => SHUTDOWN_TIME,
    }
}

pub(super) fn during(
    world: &mut World,
    now: Timestamp,
    leaving: Leaving,
    event: Event,
) -> (State, Vec<Action>) {
    match (leaving.step, event) {
        (Step::Asked | Step::Made, Event::Exited(_)) => leaving.tell(world, now),
        (Step::Asked, Event::TimeUp) => {
            let actions = vec![Action::Signal(Who::Runtime, Stop::Kill), Action::Timer(leaving.deadline)];
            (State::Leaving(Leaving { step: Step::Made, ..leaving }), actions)
        }
        (Step::Made, Event::TimeUp) => leaving.tell(world, now),
        (Step::Told, Event::TimeUp) => leaving.over(now),
        (step, Event::ExtensionEnded(number, exit)) => {
            world.extensions.ended(number, exit);
            let waits = step != Step::Told || !world.extensions.begin_shutdown().0.is_empty();
            if waits { (State::Leaving(leaving), vec![]) } else { leaving.over(now) }
        }
        // A runtime that ends in good order may well ask for work before.
        (_, Event::Next) => (State::Leaving(leaving), vec![Action::Park]),
        (_, Event::Called(id)) => {
            let after = match leaving.after {
                After::Reset(_) => After::Reset(Then::Rest(Some(world.call(now, id, None)))),
                After::Destroy => After::Destroy,
            };
            (State::Leaving(Leaving { after, ..leaving }), vec![])
        }
        (_, event) => (State::Leaving(leaving), without_runtime(&event)),
    }
}

impl Leaving {
    /// Tells the extensions that want to know, and ends the others.
    fn tell(self, world: &World, now: Timestamp) -> (State, Vec<Action>) {
        let (told, killed) = world.extensions.begin_shutdown();
        let kill = |number| Action::Signal(Who::Extension(number), Stop::Kill);
        let mut actions: Vec<_> = killed.into_iter().map(kill).collect();
        if told.is_empty() || now >= self.deadline {
            let (state, more) = self.over(now);
            actions.extend(more);
            return (state, actions);
        }
        actions.push(Action::Shutdown(told, self.deadline, self.reason));
        actions.push(Action::Timer(self.deadline));
        (State::Leaving(Self { step: Step::Told, ..self }), actions)
    }

    fn over(self, now: Timestamp) -> (State, Vec<Action>) {
        match self.after {
            After::Reset(then) => {
                (State::Resetting(then), vec![Action::Reset, Action::Timer(now + RESET_TIME)])
            }
            After::Destroy => (State::Closed, vec![Action::Destroy]),
        }
    }

    /// The environment is no longer wanted: what waited for the reset is told now.
    pub(super) fn closed(self, now: Timestamp) -> (State, Vec<Action>) {
        let actions = self.reports(now);
        (State::Leaving(Self { after: After::Destroy, ..self }), actions)
    }

    /// The lines that the reset was to write.
    pub(super) fn reports(&self, now: Timestamp) -> Vec<Action> {
        match &self.after {
            After::Reset(then) => reports(now, then.clone()).0,
            After::Destroy => vec![],
        }
    }
}
