//! Environments of versions with SnapStart: initialised before anybody calls, and restored for their first call.
//!
//! The runtime asks for the restore when its init is done, or asks for work at once when it has nothing to do after a
//! restore. From then on it is what a snapshot would hold, and waits. Its first call begins with the restore: hooks
//! run, not under the function's timeout, and the invoke begins when the runtime asks for work. An environment that
//! fails is not used again: the next call gets one that is restored.
//!
//! Sources: Lambda Developer Guide, "Lambda execution environment lifecycle"; the transitions are those of AWS's
//! published runtime interface emulator.

use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{INIT_ERROR_GRACE, RESTORE_TIMEOUT, SNAPSHOT_INIT_TIMEOUT};

use super::refusal::unasked;
use super::{Action, Event, InitPhase, Limits, RuntimeState, State, Status, begin_call, failed};
use crate::outcome::{Answer, Exit, Fault};

/// Why an environment was not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The runtime, or what it was to run after the restore, failed.
    #[error("an after-restore hook failed")]
    Failed,
    /// It took longer than [`RESTORE_TIMEOUT`].
    #[error("the restore took longer than {} s", RESTORE_TIMEOUT.as_secs())]
    TimedOut,
}

/// An initialised environment up to its first call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Restore {
    /// It waits.
    Ready(Ready),
    /// It is being restored for a call.
    Restoring(Restoring),
}

/// What waits for its first call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ready {
    /// When it began to be made.
    began: Timestamp,
    /// What the runtime waits for.
    asked: Asked,
    /// Whether it was made before it was called for.
    rested: bool,
    /// How the runtime ended, if it did.
    exit: Option<Exit>,
}

/// What an initialised runtime waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To be restored.
    Restore,
    /// Work: nothing is to be done after a restore.
    Work,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Restoring {
    call: RequestId,
    /// Since when the call waits for this environment.
    since: Timestamp,
    /// When the runtime went on.
    began: Timestamp,
    /// What the runtime posted to `/restore/error`.
    error: Option<Answer>,
}

/// The state after an init that began then, and what is done.
pub(super) fn initialised(now: Timestamp, began: Timestamp, asked: Asked) -> (State, Vec<Action>) {
    let ready = Ready { began, asked, rested: false, exit: None };
    let park = match asked {
        Asked::Restore => Action::ParkRestore,
        Asked::Work => Action::Park,
    };
    let report = Action::InitReport(InitPhase::Init, now.since(began), Status::Success);
    (State::Restore(Restore::Ready(ready)), vec![park, Action::NoTimer, report, Action::Offer])
}

/// Decides.
pub(super) fn on(limits: Limits, now: Timestamp, restore: Restore, event: Event) -> (State, Vec<Action>) {
    match restore {
        Restore::Ready(ready) => while_ready(limits, now, ready, event),
        Restore::Restoring(restoring) => while_restoring(limits, now, restoring, event),
    }
}

fn while_ready(limits: Limits, now: Timestamp, ready: Ready, event: Event) -> (State, Vec<Action>) {
    let stay = |ready, actions| (State::Restore(Restore::Ready(ready)), actions);
    match event {
        Event::Rested => stay(Ready { rested: true, ..ready }, vec![]),
        Event::Called(id) => called(limits, now, &ready, id),
        // A runtime whose connection broke asks again.
        Event::Next if ready.asked == Asked::Work => stay(ready, vec![Action::Park]),
        Event::RestoreNext if ready.asked == Asked::Restore => stay(ready, vec![Action::ParkRestore]),
        // A call may be on its way already, and is told.
        Event::Exited(exit) => stay(Ready { exit: Some(exit), ..ready }, vec![Action::Withdraw]),
        event => {
            let from = match ready.asked {
                Asked::Restore => RuntimeState::RestoreReady,
                Asked::Work => RuntimeState::Ready,
            };
            stay(ready, unasked(from, &event))
        }
    }
}

fn called(limits: Limits, now: Timestamp, ready: &Ready, id: RequestId) -> (State, Vec<Action>) {
    let since = if ready.rested { now } else { ready.began };
    let restoring = Restoring { call: id, since, began: now, error: None };
    let mut actions = vec![Action::RestoreStart];
    if let Some(exit) = ready.exit {
        actions.extend(gone(now, &restoring, &Fault::Exit(exit)));
        return (State::Closed, actions);
    }
    match ready.asked {
        Asked::Restore => {
            actions.extend([Action::Restore, Action::Timer(now + RESTORE_TIMEOUT)]);
            (State::Restore(Restore::Restoring(restoring)), actions)
        }
        Asked::Work => {
            let (state, further) = restored(limits, now, &restoring);
            actions.extend(further);
            (state, actions)
        }
    }
}

fn while_restoring(
    limits: Limits,
    now: Timestamp,
    restoring: Restoring,
    event: Event,
) -> (State, Vec<Action>) {
    let stay = |restoring, actions| (State::Restore(Restore::Restoring(restoring)), actions);
    match event {
        Event::Next if restoring.error.is_none() => restored(limits, now, &restoring),
        // The answer was lost with its connection.
        Event::RestoreNext if restoring.error.is_none() => {
            stay(restoring, vec![Action::ParkRestore, Action::Restore])
        }
        Event::RestoreFailed(error) if restoring.error.is_none() => {
            let until = (restoring.began + RESTORE_TIMEOUT).min(now + INIT_ERROR_GRACE);
            let actions = vec![Action::Accept, Action::Timer(until)];
            stay(Restoring { error: Some(error), ..restoring }, actions)
        }
        Event::Exited(exit) => (State::Closed, gone(now, &restoring, &Fault::Exit(exit))),
        Event::TimeUp if restoring.error.is_some() => (State::Closed, gone(now, &restoring, &Fault::Sandbox)),
        Event::TimeUp => {
            let took = now.since(restoring.since);
            let report = Action::RestoreReport { took, billed: RESTORE_TIMEOUT, status: Status::Timeout };
            let actions = vec![report, Action::RefuseCall(RestoreError::TimedOut), Action::Destroy];
            (State::Closed, actions)
        }
        event => {
            let failed = restoring.error.is_some();
            let from = if failed { RuntimeState::RestoreError } else { RuntimeState::Restoring };
            stay(restoring, unasked(from, &event))
        }
    }
}

/// The invoke begins.
fn restored(limits: Limits, now: Timestamp, restoring: &Restoring) -> (State, Vec<Action>) {
    let call = begin_call(limits, now, restoring.call, None);
    let (took, billed) = (now.since(restoring.since), now.since(restoring.began));
    let report = Action::RestoreReport { took, billed, status: Status::Success };
    let actions = vec![report, Action::StartLine, Action::Deliver, Action::Timer(call.deadline)];
    (State::Running(call), actions)
}

/// What the runtime posted outranks how it ended.
fn gone(now: Timestamp, restoring: &Restoring, fault: &Fault) -> Vec<Action> {
    let status = match &restoring.error {
        Some(error) => Status::Error(error.error_type()),
        None => failed(fault),
    };
    let (took, billed) = (now.since(restoring.since), now.since(restoring.began));
    let report = Action::RestoreReport { took, billed, status };
    vec![report, Action::RefuseCall(RestoreError::Failed), Action::Destroy]
}

/// The sandbox broke before the call began.
pub(super) fn lost(now: Timestamp, restore: &Restore) -> Vec<Action> {
    match restore {
        Restore::Ready(_) => vec![],
        Restore::Restoring(restoring) => {
            let mut actions = gone(now, restoring, &Fault::Sandbox);
            actions.pop();
            actions
        }
    }
}

/// The init limit of a version whose timeout this is.
pub fn init_limit(timeout: Duration) -> Duration {
    let (least, most) = SNAPSHOT_INIT_TIMEOUT;
    timeout.clamp(least, most)
}

#[cfg(test)]
mod tests;
