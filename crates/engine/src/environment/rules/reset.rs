//! Resets: everything in the sandbox is killed, and what waited for that is told.

use std::time::Duration;

use base::clock::Timestamp;

use super::invoke::{Told, broken};
use super::refusal::without_runtime;
use super::{Action, Call, Event, InitPhase, Spent, State, Status, World, init};
use crate::outcome::Fault;

/// What waits for the end of a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing; the environment is in the pool's idle list, and may have been called meanwhile.
    Rest(Option<Call>),
    /// The report of a failed init, and the call it was a part of.
    InitFailed { phase: InitPhase, took: Duration, status: Status, end: Option<End> },
    /// The report of a failed invoke.
    Ended(End),
}

/// An invoke that ended by a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) spent: Spent,
    pub(super) fault: Option<Fault>,
    /// Whether the end of the runtime's part was told.
    pub(super) told: bool,
}

pub(super) fn during(world: &mut World, now: Timestamp, then: Then, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::ResetDone => after(world, now, then),
        Event::TimeUp => {
            let mut actions = reports(now, then).0;
            actions.push(Action::Destroy);
            (State::Closed, actions)
        }
        Event::Called(id) => {
            let call = world.call(now, id, None);
            (State::Resetting(Then::Rest(Some(call))), vec![])
        }
        event => (State::Resetting(then), without_runtime(&event)),
    }
}

fn after(world: &mut World, now: Timestamp, then: Then) -> (State, Vec<Action>) {
    if let Then::Rest(call) = then {
        return match call {
            Some(call) => init::begin(world, now, Some(call)),
            // What is kept ready is replaced where it has no runtime.
            None if world.limits.kept_ready => (State::Closed, vec![Action::Destroy]),
            None => (State::Stopped, vec![Action::NoTimer]),
        };
    }
    let (mut actions, reusable) = reports(now, then);
    if reusable && !world.limits.kept_ready && !world.limits.restored {
        actions.extend([Action::NoTimer, Action::Offer]);
        (State::Stopped, actions)
    } else {
        actions.push(Action::Destroy);
        (State::Closed, actions)
    }
}

/// The lines that a reset left to write, and whether the environment is worth keeping: one whose second
/// init failed is not, so the next invoke begins from nothing and logs both inits again, as on AWS.
pub(super) fn reports(now: Timestamp, then: Then) -> (Vec<Action>, bool) {
    match then {
        Then::Rest(None) => (vec![], true),
        Then::Rest(Some(call)) => {
            let mut actions = broken(now, call, Told::Nothing);
            actions.insert(1, Action::StartLine);
            (actions, false)
        }
        Then::InitFailed { phase, took, status, end } => {
            let reusable = end.is_none() || status == Status::Timeout;
            let mut actions = vec![Action::InitReport(phase, took, status)];
            if let Some(end) = end {
                actions.push(Action::StartLine);
                actions.extend(end.report());
            }
            (actions, reusable)
        }
        Then::Ended(end) => (end.report(), true),
    }
}

impl End {
    fn report(self) -> Vec<Action> {
        let Self { spent, fault, told } = self;
        let done = (!told).then(|| Action::RuntimeDone(spent.took, spent.status.clone()));
        let line = fault.map(Action::FaultLine);
        done.into_iter().chain(line).chain([Action::Finish(spent)]).collect()
    }
}
