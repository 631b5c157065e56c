//! Environments of versions with SnapStart: initialised before anybody calls, and restored for their first call.
//!
//! The runtime asks for the restore when its init is done, or asks for work at once when it has nothing to do after a
//! restore. From then on it is what a snapshot would hold, and waits. Its first call begins with the restore: hooks
//! run, not under the function's timeout, and the invoke begins when the runtime asks for work. An environment that
//! fails is not used again: the next call gets one that is restored.
//!
//! Sources: Lambda Developer Guide, "Lambda execution environment lifecycle"; the transitions are those of AWS's
//! published runtime interface emulator.

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{INIT_ERROR_GRACE, RESTORE_TIMEOUT};

use super::invoke::{begin, failed};
use super::leaving::close;
use super::refusal::unasked;
use super::{Action, Event, RuntimeState, State, Status, World};
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
    /// How a process ended without which it is of no use.
    exit: Option<Fault>,
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

impl Restore {
    /// An environment whose init began then and is done.
    pub(super) const fn ready(began: Timestamp, asked: Asked) -> State {
        State::Restore(Self::Ready(Ready { began, asked, rested: false, exit: None }))
    }

    /// The sandbox broke before the call began.
    pub(super) fn lost(&self, now: Timestamp) -> Vec<Action> {
        match self {
            Self::Ready(_) => vec![],
            Self::Restoring(restoring) => restoring.gone(now, failed(&Fault::Sandbox)),
        }
    }
}

/// Decides.
pub(super) fn on(world: &mut World, now: Timestamp, restore: Restore, event: Event) -> (State, Vec<Action>) {
    match restore {
        Restore::Ready(ready) => while_ready(world, now, ready, event),
        Restore::Restoring(restoring) => while_restoring(world, now, restoring, event),
    }
}

fn while_ready(world: &mut World, now: Timestamp, ready: Ready, event: Event) -> (State, Vec<Action>) {
    let stay = |ready, actions| (State::Restore(Restore::Ready(ready)), actions);
    match event {
        Event::Rested => stay(Ready { rested: true, ..ready }, vec![]),
        Event::Called(id) => called(world, now, &ready, id),
        // A runtime whose connection broke asks again.
        Event::Next if ready.asked == Asked::Work => stay(ready, vec![Action::Park]),
        Event::RestoreNext if ready.asked == Asked::Restore => stay(ready, vec![Action::ParkRestore]),
        event => match ended(world, &event) {
            // A call may be on its way already, and is told.
            Some(fault) => stay(Ready { exit: Some(fault), ..ready }, vec![Action::Withdraw]),
            None => {
                let from = match ready.asked {
                    Asked::Restore => RuntimeState::RestoreReady,
                    Asked::Work => RuntimeState::Ready,
                };
                stay(ready, unasked(from, &event))
            }
        },
    }
}

fn called(world: &mut World, now: Timestamp, ready: &Ready, id: RequestId) -> (State, Vec<Action>) {
    let since = if ready.rested { now } else { ready.began };
    let restoring = Restoring { call: id, since, began: now, error: None };
    let (state, further) = match (&ready.exit, ready.asked) {
        (Some(fault), _) => give_up(world, now, &restoring, failed(fault)),
        (None, Asked::Work) => restored(world, now, &restoring),
        (None, Asked::Restore) => {
            let actions = vec![Action::Restore, Action::Timer(now + RESTORE_TIMEOUT)];
            (State::Restore(Restore::Restoring(restoring)), actions)
        }
    };
    (state, [Action::RestoreStart].into_iter().chain(further).collect())
}

fn while_restoring(
    world: &mut World,
    now: Timestamp,
    restoring: Restoring,
    event: Event,
) -> (State, Vec<Action>) {
    let stay = |restoring, actions| (State::Restore(Restore::Restoring(restoring)), actions);
    match event {
        Event::Next if restoring.error.is_none() => restored(world, now, &restoring),
        // The answer was lost with its connection.
        Event::RestoreNext if restoring.error.is_none() => {
            stay(restoring, vec![Action::ParkRestore, Action::Restore])
        }
        Event::RestoreFailed(error) if restoring.error.is_none() => {
            let until = (restoring.began + RESTORE_TIMEOUT).min(now + INIT_ERROR_GRACE);
            let actions = vec![Action::Accept, Action::Timer(until)];
            stay(Restoring { error: Some(error), ..restoring }, actions)
        }
        Event::TimeUp => give_up(world, now, &restoring, Status::Timeout),
        event => match ended(world, &event) {
            Some(fault) => give_up(world, now, &restoring, failed(&fault)),
            None => {
                let failed = restoring.error.is_some();
                let from = if failed { RuntimeState::RestoreError } else { RuntimeState::Restoring };
                stay(restoring, unasked(from, &event))
            }
        },
    }
}

/// The end of a process without which the environment is of no use.
fn ended(world: &mut World, event: &Event) -> Option<Fault> {
    match event {
        Event::Exited(exit) => Some(Fault::Exit(*exit)),
        Event::ExtensionEnded(number, exit) => {
            let exit: Exit = *exit;
            world.extensions.ended(*number, exit);
            Some(Fault::Exit(exit))
        }
        _ => None,
    }
}

/// The invoke begins.
fn restored(world: &mut World, now: Timestamp, restoring: &Restoring) -> (State, Vec<Action>) {
    let report = restoring.report(now, Status::Success);
    let (state, actions) = begin(world, now, restoring.call, None);
    (state, [report].into_iter().chain(actions).collect())
}

/// The function does not run, and the environment ends.
fn give_up(world: &mut World, now: Timestamp, restoring: &Restoring, status: Status) -> (State, Vec<Action>) {
    let (state, actions) = close(world, now, true);
    (state, restoring.gone(now, status).into_iter().chain(actions).collect())
}

impl Restoring {
    fn report(&self, now: Timestamp, status: Status) -> Action {
        Action::RestoreReport { took: now.since(self.since), billed: now.since(self.began), status }
    }

    /// What the log and the caller are told. What the runtime posted outranks how it ended.
    fn gone(&self, now: Timestamp, status: Status) -> Vec<Action> {
        let status = match &self.error {
            Some(error) => Status::Error(error.error_type()),
            None => status,
        };
        let why = if status == Status::Timeout { RestoreError::TimedOut } else { RestoreError::Failed };
        vec![self.report(now, status), Action::RefuseCall(why)]
    }
}

#[cfg(test)]
mod tests;
