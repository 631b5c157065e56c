//! Invokes: from the call until the runtime and all extensions that were told of it wait for work again.

use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;

use super::leaving::{Reason, reset};
use super::refusal::{misplaced, refuse, unasked, verdict_on};
use super::reset::{End, Then};
use super::{Action, Call, Event, Refusal, RuntimeState, Spent, State, Status, World};
use crate::outcome::{Answer, Fault};

/// Actions that end an invoke: room for all of them spares the warm path an allocation.
const ENDING: usize = 5;

/// An invoke whose caller has its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Responded {
    pub(super) call: Call,
    status: Status,
    /// When the runtime asked for work again, while extensions are still at it.
    runtime: Option<Timestamp>,
}

pub(super) fn begin(
    world: &mut World,
    now: Timestamp,
    id: RequestId,
    init: Option<Duration>,
) -> (State, Vec<Action>) {
    let call = world.call(now, id, init);
    let mut actions = vec![Action::StartLine, Action::Deliver, Action::Timer(call.deadline)];
    actions.extend(world.tell());
    (State::Running(call), actions)
}

pub(super) fn while_idle(
    world: &mut World,
    now: Timestamp,
    init: Option<Duration>,
    event: Event,
) -> (State, Vec<Action>) {
    match event {
        Event::Called(id) => begin(world, now, id, init),
        Event::Next => (State::Idle { init }, vec![Action::Park]),
        Event::Exited(_) => {
            let (state, mut actions) = reset(world, now, Then::Rest(None), Reason::Failure, false);
            // The next call gets one that is restored.
            actions.extend(world.limits.restored.then_some(Action::Withdraw));
            (state, actions)
        }
        Event::ExtensionEnded(number, exit) => {
            world.extensions.ended(number, exit);
            reset(world, now, Then::Rest(None), Reason::Failure, true)
        }
        event => (State::Idle { init }, unasked(RuntimeState::Ready, &event)),
    }
}

pub(super) fn while_running(
    world: &mut World,
    now: Timestamp,
    call: Call,
    event: Event,
) -> (State, Vec<Action>) {
    match event {
        Event::Answered(id, _) | Event::Begun(id) if id != call.id => {
            (State::Running(call), vec![Action::Refuse(Refusal::RequestId)])
        }
        Event::Begun(_) => (State::Flowing(call), vec![Action::Flow]),
        Event::Answered(_, answer) => {
            let status = status_of(&answer);
            let verdict = verdict_on(&answer);
            (responded(call, status), vec![Action::Reply(answer), verdict])
        }
        // A runtime whose connection broke asks again and gets the same call again.
        Event::Next => (State::Running(call), vec![Action::Deliver]),
        Event::InitFailed(_) | Event::RestoreNext | Event::RestoreFailed(_) => {
            let refusal = unasked(RuntimeState::Running, &event);
            (State::Running(call), refusal)
        }
        event => match fault_of(world, &event) {
            Some(fault) => fail(world, now, call, fault, Told::Nothing),
            None => (State::Running(call), vec![]),
        },
    }
}

pub(super) fn while_flowing(
    world: &mut World,
    now: Timestamp,
    call: Call,
    event: Event,
) -> (State, Vec<Action>) {
    let state = RuntimeState::InvocationResponse;
    match event {
        Event::Streamed(id, fault) if id == call.id => {
            let (status, verdict) = match fault {
                Some(fault) => (failed(&fault), Action::Refuse(Refusal::Truncated)),
                None => (Status::Success, Action::Accept),
            };
            (responded(call, status), vec![Action::Flowed, verdict])
        }
        Event::Next => (State::Flowing(call), vec![refuse(state, RuntimeState::Ready)]),
        event => match fault_of(world, &event) {
            Some(fault) => fail(world, now, call, fault, Told::InPart),
            None => {
                let refusal = misplaced(&call, state, &event);
                (State::Flowing(call), refusal)
            }
        },
    }
}

const fn responded(call: Call, status: Status) -> State {
    State::Responded(Responded { call, status, runtime: None })
}

pub(super) fn after_response(
    world: &mut World,
    now: Timestamp,
    responded: Responded,
    event: Event,
) -> (State, Vec<Action>) {
    match event {
        Event::Next if responded.runtime.is_some() => (State::Responded(responded), vec![Action::Park]),
        Event::Next => {
            let took = now.since(responded.call.began);
            let mut actions = Vec::with_capacity(ENDING);
            actions.extend([Action::Park, Action::RuntimeDone(took, responded.status.clone())]);
            let responded = Responded { runtime: Some(now), ..responded };
            let state = go_on(world, now, responded, &mut actions);
            (state, actions)
        }
        event => match fault_of(world, &event) {
            Some(fault) => {
                let told = if responded.runtime.is_some() { Told::AndDone } else { Told::All };
                fail(world, now, responded.call, fault, told)
            }
            None => {
                let state = match responded.runtime {
                    Some(_) => RuntimeState::Ready,
                    None => RuntimeState::ResponseSent,
                };
                let refusal = misplaced(&responded.call, state, &event);
                (State::Responded(responded), refusal)
            }
        },
    }
}

/// Ends an invoke that everybody is done with.
pub(super) fn go_on(world: &World, now: Timestamp, responded: Responded, actions: &mut Vec<Action>) -> State {
    let Some(done) = responded.runtime.filter(|_| !world.extensions.are_busy()) else {
        return State::Responded(responded);
    };
    let Responded { call, status, .. } = responded;
    let extensions = world.extensions.follow_invokes().then(|| now.since(done));
    let spent = Spent { took: now.since(call.began), init: call.init, status, extensions };
    actions.extend([Action::NoTimer, Action::Finish(spent), Action::Offer]);
    State::Idle { init: None }
}

/// What the caller of an invocation knows that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// A response that ends here.
    InPart,
    All,
    /// All, and the runtime waits for work.
    AndDone,
}

/// What an event means for the invoke under way, when it means its end.
fn fault_of(world: &mut World, event: &Event) -> Option<Fault> {
    match event {
        Event::Exited(exit) => Some(Fault::Exit(*exit)),
        Event::ExtensionEnded(number, exit) => world.extensions.ended(*number, *exit),
        Event::TimeUp => Some(Fault::Timeout(world.limits.timeout)),
        _ => None,
    }
}

/// A process ended, or the function's time did. What was in the sandbox is killed; /tmp stays.
fn fail(world: &mut World, now: Timestamp, call: Call, fault: Fault, told: Told) -> (State, Vec<Action>) {
    let (took, status, line, reason) = match &fault {
        Fault::Timeout(limit) => (*limit, Status::Timeout, None, Reason::Timeout),
        fault => (now.since(call.began), failed(fault), Some(fault.clone()), Reason::Failure),
    };
    let runs = !matches!(fault, Fault::Exit(_));
    let mut actions = told.end(fault);
    if told != Told::AndDone {
        actions.push(Action::RuntimeDone(took, status.clone()));
    }
    let spent = Spent { took, init: call.init, status, extensions: None };
    let then = Then::Ended(End { spent, fault: line, told: true });
    let (state, more) = reset(world, now, then, reason, runs);
    actions.extend(more);
    (state, actions)
}

/// The end of a call whose sandbox broke.
pub(super) fn broken(now: Timestamp, call: Call, told: Told) -> Vec<Action> {
    let (took, status) = (now.since(call.began), failed(&Fault::Sandbox));
    let mut actions = told.end(Fault::Sandbox);
    if told != Told::AndDone {
        actions.push(Action::RuntimeDone(took, status.clone()));
    }
    actions.push(Action::Finish(Spent { took, init: call.init, status, extensions: None }));
    actions
}

impl Responded {
    /// What the caller knows.
    pub(super) const fn told(&self) -> Told {
        if self.runtime.is_some() { Told::AndDone } else { Told::All }
    }
}

impl Told {
    /// Tells the caller the rest.
    fn end(self, fault: Fault) -> Vec<Action> {
        match self {
            Self::Nothing => vec![Action::Reply(Answer::Fault(fault))],
            Self::InPart => vec![Action::Flowed],
            Self::All | Self::AndDone => vec![],
        }
    }
}

fn status_of(answer: &Answer) -> Status {
    match answer {
        Answer::Fault(fault) => failed(fault),
        Answer::Response { .. } | Answer::Error { .. } => Status::Success,
    }
}

pub(super) fn failed(fault: &Fault) -> Status {
    Status::Error(fault.error_type().to_owned())
}
