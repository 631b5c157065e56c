//! Which of the runtime's calls have a place, and what the others are told.

use super::{Action, Call, Event};
use crate::outcome::{Answer, Fault};

/// Why a call of the runtime is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The id is not the current invocation's.
    RequestId,
    /// The runtime is in a state in which the call has no place.
    Transition {
        /// The state it is in.
        from: RuntimeState,
        /// The state the call would lead to.
        to: RuntimeState,
    },
    /// The response is larger than the limit.
    TooLarge,
    /// The body ended before its announced end.
    Truncated,
    /// The response mode is not one we know.
    ResponseMode,
}

/// A runtime's state, by the names that error messages carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeState {
    /// Started, has not asked for work.
    Started,
    /// Reported that it could not initialise.
    InitError,
    /// Initialised; waits to be restored.
    RestoreReady,
    /// Runs what is to run after it was restored.
    Restoring,
    /// Reported that it could not be restored.
    RestoreError,
    /// Asked for work.
    Ready,
    /// Has work.
    Running,
    /// Posts a response.
    InvocationResponse,
    /// Posts an error.
    InvocationErrorResponse,
    /// Answered; has not asked for work again.
    ResponseSent,
}

/// What the runtime says of an invocation that it has answered, or is answering.
pub(super) fn misplaced(call: &Call, from: RuntimeState, event: &Event) -> Vec<Action> {
    match event {
        Event::Answered(id, _) | Event::Begun(id) if *id != call.id => {
            vec![Action::Refuse(Refusal::RequestId)]
        }
        Event::Answered(..)
        | Event::Begun(_)
        | Event::InitFailed(_)
        | Event::RestoreNext
        | Event::RestoreFailed(_) => vec![refuse(from, leads_to(event))],
        _ => vec![],
    }
}

/// What the runtime says of no invocation, in a state in which it has none.
pub(super) fn unasked(from: RuntimeState, event: &Event) -> Vec<Action> {
    match event {
        Event::Answered(..) | Event::Begun(_) => vec![Action::Refuse(Refusal::RequestId)],
        Event::Next => vec![refuse(from, RuntimeState::Ready)],
        Event::InitFailed(_) | Event::RestoreNext | Event::RestoreFailed(_) => {
            vec![refuse(from, leads_to(event))]
        }
        _ => vec![],
    }
}

/// What the runtime is told of an answer that came in its place.
pub(super) const fn verdict_on(answer: &Answer) -> Action {
    match answer {
        Answer::Fault(Fault::ResponseTooLarge) => Action::Refuse(Refusal::TooLarge),
        Answer::Fault(Fault::TruncatedResponse) => Action::Refuse(Refusal::Truncated),
        Answer::Fault(Fault::ResponseMode) => Action::Refuse(Refusal::ResponseMode),
        _ => Action::Accept,
    }
}

/// The state that a post asks for.
pub(super) const fn leads_to(event: &Event) -> RuntimeState {
    match event {
        Event::InitFailed(_) => RuntimeState::InitError,
        Event::RestoreNext => RuntimeState::RestoreReady,
        Event::RestoreFailed(_) => RuntimeState::RestoreError,
        Event::Answered(_, Answer::Error { .. }) => RuntimeState::InvocationErrorResponse,
        _ => RuntimeState::InvocationResponse,
    }
}

/// The refusal of a call that has no place in the state.
pub(super) const fn refuse(from: RuntimeState, to: RuntimeState) -> Action {
    Action::Refuse(Refusal::Transition { from, to })
}

/// A call over a connection whose process is being killed has no one to answer to.
pub(super) fn without_runtime(event: &Event) -> Vec<Action> {
    match event {
        Event::Next
        | Event::RestoreNext
        | Event::Answered(..)
        | Event::Begun(_)
        | Event::InitFailed(_)
        | Event::RestoreFailed(_) => vec![Action::Refuse(Refusal::RequestId)],
        _ => vec![],
    }
}
