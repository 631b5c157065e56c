//! What an environment does next, as pure decisions.
//!
//! An environment is one sandbox in which a runtime is started, asks for work (`/next`), answers, and asks
//! again. Time limits, exits and refused calls are all decided here; [`super::driver`] carries them out.
//!
//! Sources: Lambda Developer Guide, "execution environment lifecycle"; the state names and their allowed
//! transitions are those of AWS's published runtime interface emulator.

use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{INIT_ERROR_GRACE, INIT_TIMEOUT, RESET_TIME};

use crate::outcome::{Answer, Exit, Fault};

/// Time limits of one version's environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The function's timeout.
    pub timeout: Duration,
    /// How long the first init may take before it is made again inside an invoke.
    pub init: Duration,
}

/// Whether an init runs on its own or inside an invoke ("suppressed").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitPhase {
    /// Before any invoke, not under the function's timeout.
    Init,
    /// Inside an invoke, after an earlier one failed or the environment was reset.
    Invoke,
}

/// How an init or an invoke ended, as reports tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The runtime answered, with a result or with an error of its own.
    Success,
    /// The platform found a fault of this type.
    Error(String),
    /// It ran out of time.
    Timeout,
}

/// One invocation as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The id that the runtime must answer with.
    pub id: RequestId,
    /// When the invoke phase began.
    pub began: Timestamp,
    /// When the function's time is over.
    pub deadline: Timestamp,
    /// The duration of the init that this call waited for, when it was a cold start.
    pub init: Option<Duration>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The sandbox stands.
    Built,
    /// The runtime could not be started.
    StartFailed(Fault),
    /// The runtime asks for work.
    Next,
    /// The runtime answered this request.
    Answered(RequestId, Answer),
    /// The runtime could not initialise.
    InitFailed(Answer),
    /// The runtime's process ended.
    Exited(Exit),
    /// Every process but the sandbox's own init is gone.
    ResetDone,
    /// The pool has work.
    Called(RequestId),
    /// The moment of the last [`Action::Timer`] has come.
    TimeUp,
    /// The environment is no longer wanted.
    Close,
    /// The sandbox broke.
    SandboxLost,
}

/// Something to do. Lists of actions are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the runtime.
    Start,
    /// Kill every process but the sandbox's init.
    Reset,
    /// Raise [`Event::TimeUp`] then; replaces an earlier timer.
    Timer(Timestamp),
    /// Forget the timer.
    NoTimer,
    /// Keep the runtime's `/next` waiting.
    Park,
    /// Answer the runtime's `/next` with the current call.
    Deliver,
    /// Answer the runtime's post with 202.
    Accept,
    /// Refuse the runtime's call.
    Refuse(Refusal),
    /// Write that an init begins.
    InitStart(InitPhase),
    /// Write how an init ended.
    InitReport(InitPhase, Duration, Status),
    /// Write that the invoke begins.
    StartLine,
    /// Write the fault that ended the runtime.
    FaultLine(Fault),
    /// Answer the caller.
    Reply(Answer),
    /// Read the log to its end, write END and REPORT, give the permit back.
    Finish(Duration, Option<Duration>, Status),
    /// Tell the pool that the environment can take a call.
    Offer,
    /// Tear the sandbox down.
    Destroy,
}

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

/// One environment's state. Feed it with [`Environment::on`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    limits: Limits,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The sandbox is being built.
    Building,
    /// The runtime starts; nobody or one call waits for it.
    Init(Init),
    /// The runtime waits in `/next`.
    Idle { init: Option<Duration> },
    /// No runtime: the next call starts one.
    Stopped,
    /// The runtime has the call.
    Running(Call),
    /// The caller has its answer; the runtime has not asked for work again.
    Responded(Call, Status),
    /// Everything in the sandbox is being killed.
    Resetting(Then),
    /// Nothing happens any more.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Init {
    began: Timestamp,
    /// The call that this init is a part of.
    call: Option<Call>,
    /// What the runtime posted to `/init/error`.
    error: Option<Answer>,
}

impl Init {
    const fn phase(&self) -> InitPhase {
        if self.call.is_some() { InitPhase::Invoke } else { InitPhase::Init }
    }
}

/// What waits for the end of a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// Nothing; the environment is in the pool's idle list, and may have been called meanwhile.
    Rest(Option<Call>),
    /// The report of a failed init, and the call it was a part of.
    InitFailed { phase: InitPhase, took: Duration, status: Status, end: Option<End> },
    /// The report of a failed invoke.
    Ended(End),
}

/// An invoke that ended by a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    call: Call,
    took: Duration,
    status: Status,
    fault: Option<Fault>,
}

impl Environment {
    /// An environment whose sandbox is being built.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Building }
    }

    /// Whether nothing happens any more.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether a runtime is being started.
    pub const fn is_starting(&self) -> bool {
        matches!(self.state, State::Init(_))
    }

    /// The call that a runtime has or is started for.
    pub const fn call(&self) -> Option<&Call> {
        match &self.state {
            State::Running(call) | State::Responded(call, _) => Some(call),
            State::Init(Init { call, .. }) => call.as_ref(),
            _ => None,
        }
    }

    /// Decides.
    pub fn on(self, now: Timestamp, event: Event) -> (Self, Vec<Action>) {
        let limits = self.limits;
        let (state, actions) = match (self.state, event) {
            (State::Closed, Event::Next | Event::Answered(..) | Event::InitFailed(_)) => {
                (State::Closed, vec![Action::Refuse(Refusal::RequestId)])
            }
            (State::Closed, _) => (State::Closed, vec![]),
            (state, Event::SandboxLost) => lost(now, state),
            (_, Event::Close) => (State::Closed, vec![Action::Destroy]),
            (State::Building, Event::Built) => begin_init(limits, now, None),
            (State::Building, _) => (State::Building, vec![]),
            (State::Init(init), event) => during_init(limits, now, init, event),
            (State::Idle { init }, event) => while_idle(limits, now, init, event),
            (State::Stopped, Event::Called(id)) => {
                let call = begin_call(limits, now, id, None);
                begin_init(limits, now, Some(call))
            }
            (State::Stopped, event) => (State::Stopped, without_runtime(&event)),
            (State::Running(call), event) => while_running(limits, now, call, event),
            (State::Responded(call, status), event) => after_response(limits, now, call, status, event),
            (State::Resetting(then), event) => while_resetting(limits, now, then, event),
        };
        (Self { limits, state }, actions)
    }
}

fn begin_call(limits: Limits, now: Timestamp, id: RequestId, init: Option<Duration>) -> Call {
    Call { id, began: now, deadline: now + limits.timeout, init }
}

fn begin_init(limits: Limits, now: Timestamp, call: Option<Call>) -> (State, Vec<Action>) {
    let until = call.as_ref().map_or(now + limits.init, |call| call.deadline);
    let init = Init { began: now, call, error: None };
    let actions = vec![Action::InitStart(init.phase()), Action::Start, Action::Timer(until)];
    (State::Init(init), actions)
}

fn during_init(limits: Limits, now: Timestamp, init: Init, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::Next if init.error.is_some() => {
            let refusal = refuse(RuntimeState::InitError, RuntimeState::Ready);
            (State::Init(init), vec![refusal])
        }
        Event::Next => init_done(now, init),
        Event::InitFailed(_) if init.error.is_some() => {
            let refusal = refuse(RuntimeState::InitError, RuntimeState::InitError);
            (State::Init(init), vec![refusal])
        }
        Event::InitFailed(error) => {
            let deadline = init.call.as_ref().map(|call| call.deadline);
            let until = deadline.unwrap_or(init.began + limits.init).min(now + INIT_ERROR_GRACE);
            (State::Init(Init { error: Some(error), ..init }), vec![Action::Accept, Action::Timer(until)])
        }
        Event::Answered(_, answer) => {
            let from = if init.error.is_some() { RuntimeState::InitError } else { RuntimeState::Started };
            (State::Init(init), vec![refuse(from, leads_to(&answer))])
        }
        Event::Exited(exit) => init_failed(limits, now, init, Some(Fault::Exit(exit))),
        Event::StartFailed(fault) => init_failed(limits, now, init, Some(fault)),
        Event::TimeUp => init_failed(limits, now, init, None),
        _ => (State::Init(init), vec![]),
    }
}

fn init_done(now: Timestamp, init: Init) -> (State, Vec<Action>) {
    let took = now.since(init.began);
    let report = Action::InitReport(init.phase(), took, Status::Success);
    match init.call {
        None => {
            let actions = vec![Action::Park, Action::NoTimer, report, Action::Offer];
            (State::Idle { init: Some(took) }, actions)
        }
        Some(call) => (State::Running(call), vec![report, Action::StartLine, Action::Deliver]),
    }
}

/// A posted init error outranks the exit that follows it; `fault` is `None` when time ran out.
fn init_failed(limits: Limits, now: Timestamp, init: Init, fault: Option<Fault>) -> (State, Vec<Action>) {
    let (phase, took) = (init.phase(), now.since(init.began));
    let answer = init.error.or_else(|| fault.clone().map(Answer::Fault));
    let status = match &answer {
        Some(answer) => Status::Error(answer.error_type()),
        None => Status::Timeout,
    };
    let mut actions = vec![];
    let end = init.call.map(|call| {
        let took = if answer.is_none() { limits.timeout } else { now.since(call.began) };
        let fault = fault.filter(|_| matches!(answer, Some(Answer::Fault(_))));
        let reply = answer.unwrap_or(Answer::Fault(Fault::Timeout(limits.timeout)));
        actions.push(Action::Reply(reply));
        End { call, took, status: status.clone(), fault }
    });
    actions.extend([Action::Reset, Action::Timer(now + RESET_TIME)]);
    (State::Resetting(Then::InitFailed { phase, took, status, end }), actions)
}

fn while_idle(limits: Limits, now: Timestamp, init: Option<Duration>, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::Called(id) => {
            let call = begin_call(limits, now, id, init);
            let actions = vec![Action::StartLine, Action::Deliver, Action::Timer(call.deadline)];
            (State::Running(call), actions)
        }
        Event::Next => (State::Idle { init }, vec![Action::Park]),
        Event::Exited(_) => {
            let actions = vec![Action::Reset, Action::Timer(now + RESET_TIME)];
            (State::Resetting(Then::Rest(None)), actions)
        }
        Event::Answered(..) => (State::Idle { init }, vec![Action::Refuse(Refusal::RequestId)]),
        Event::InitFailed(_) => {
            (State::Idle { init }, vec![refuse(RuntimeState::Ready, RuntimeState::InitError)])
        }
        _ => (State::Idle { init }, vec![]),
    }
}

fn while_running(limits: Limits, now: Timestamp, call: Call, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::Answered(id, _) if id != call.id => {
            (State::Running(call), vec![Action::Refuse(Refusal::RequestId)])
        }
        Event::Answered(_, answer) => {
            let status = status_of(&answer);
            let verdict = verdict_on(&answer);
            (State::Responded(call, status), vec![Action::Reply(answer), verdict])
        }
        // A runtime whose connection broke asks again and gets the same call again.
        Event::Next => (State::Running(call), vec![Action::Deliver]),
        Event::InitFailed(_) => {
            (State::Running(call), vec![refuse(RuntimeState::Running, RuntimeState::InitError)])
        }
        Event::Exited(exit) => fail(limits, now, call, Some(Fault::Exit(exit)), false),
        Event::TimeUp => fail(limits, now, call, None, false),
        _ => (State::Running(call), vec![]),
    }
}

fn after_response(
    limits: Limits,
    now: Timestamp,
    call: Call,
    status: Status,
    event: Event,
) -> (State, Vec<Action>) {
    match event {
        Event::Next => {
            let finish = Action::Finish(now.since(call.began), call.init, status);
            (State::Idle { init: None }, vec![Action::Park, Action::NoTimer, finish, Action::Offer])
        }
        Event::Exited(exit) => fail(limits, now, call, Some(Fault::Exit(exit)), true),
        Event::TimeUp => fail(limits, now, call, None, true),
        Event::Answered(id, _) if id != call.id => {
            (State::Responded(call, status), vec![Action::Refuse(Refusal::RequestId)])
        }
        Event::Answered(_, answer) => {
            (State::Responded(call, status), vec![refuse(RuntimeState::ResponseSent, leads_to(&answer))])
        }
        Event::InitFailed(_) => {
            let refusal = refuse(RuntimeState::ResponseSent, RuntimeState::InitError);
            (State::Responded(call, status), vec![refusal])
        }
        _ => (State::Responded(call, status), vec![]),
    }
}

/// The runtime ended, or `fault` is `None` and its time did. What was in the sandbox is killed; /tmp stays.
fn fail(
    limits: Limits,
    now: Timestamp,
    call: Call,
    fault: Option<Fault>,
    replied: bool,
) -> (State, Vec<Action>) {
    let (took, status) = match &fault {
        Some(fault) => (now.since(call.began), Status::Error(fault.error_type().to_owned())),
        None => (limits.timeout, Status::Timeout),
    };
    let mut actions = vec![];
    if !replied {
        let fault = fault.clone().unwrap_or(Fault::Timeout(limits.timeout));
        actions.push(Action::Reply(Answer::Fault(fault)));
    }
    actions.extend([Action::Reset, Action::Timer(now + RESET_TIME)]);
    (State::Resetting(Then::Ended(End { call, took, status, fault })), actions)
}

fn while_resetting(limits: Limits, now: Timestamp, then: Then, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::ResetDone => after_reset(limits, now, then),
        Event::TimeUp => {
            let mut actions = reports(now, then).0;
            actions.push(Action::Destroy);
            (State::Closed, actions)
        }
        Event::Called(id) => {
            let call = begin_call(limits, now, id, None);
            (State::Resetting(Then::Rest(Some(call))), vec![])
        }
        event => (State::Resetting(then), without_runtime(&event)),
    }
}

fn after_reset(limits: Limits, now: Timestamp, then: Then) -> (State, Vec<Action>) {
    if let Then::Rest(call) = then {
        let Some(call) = call else { return (State::Stopped, vec![Action::NoTimer]) };
        return begin_init(limits, now, Some(call));
    }
    let (mut actions, reusable) = reports(now, then);
    if reusable {
        actions.extend([Action::NoTimer, Action::Offer]);
        (State::Stopped, actions)
    } else {
        actions.push(Action::Destroy);
        (State::Closed, actions)
    }
}

/// The lines that a reset left to write, and whether the environment is worth keeping: one whose second
/// init failed is not, so the next invoke begins from nothing and logs both inits again, as on AWS.
fn reports(now: Timestamp, then: Then) -> (Vec<Action>, bool) {
    match then {
        Then::Rest(None) => (vec![], true),
        Then::Rest(Some(call)) => {
            let mut actions = broken(now, call, true);
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
        let finish = Action::Finish(self.took, self.call.init, self.status);
        self.fault.map(Action::FaultLine).into_iter().chain([finish]).collect()
    }
}

/// The sandbox broke: whoever waits gets an answer, and everything ends.
fn lost(now: Timestamp, state: State) -> (State, Vec<Action>) {
    let mut actions = match state {
        State::Running(call) => broken(now, call, true),
        State::Responded(call, _) => broken(now, call, false),
        State::Init(Init { call, .. }) => reports(now, Then::Rest(call)).0,
        State::Resetting(then) => reports(now, then).0,
        _ => vec![],
    };
    actions.push(Action::Destroy);
    (State::Closed, actions)
}

/// The end of a call whose sandbox broke.
fn broken(now: Timestamp, call: Call, waiting: bool) -> Vec<Action> {
    let status = Status::Error(Fault::Sandbox.error_type().to_owned());
    let finish = Action::Finish(now.since(call.began), call.init, status);
    let reply = waiting.then_some(Action::Reply(Answer::Fault(Fault::Sandbox)));
    reply.into_iter().chain([finish]).collect()
}

fn status_of(answer: &Answer) -> Status {
    match answer {
        Answer::Fault(fault) => Status::Error(fault.error_type().to_owned()),
        Answer::Response(_) | Answer::Error { .. } => Status::Success,
    }
}

const fn verdict_on(answer: &Answer) -> Action {
    match answer {
        Answer::Fault(Fault::ResponseTooLarge) => Action::Refuse(Refusal::TooLarge),
        Answer::Fault(Fault::TruncatedResponse) => Action::Refuse(Refusal::Truncated),
        Answer::Fault(Fault::ResponseMode) => Action::Refuse(Refusal::ResponseMode),
        _ => Action::Accept,
    }
}

const fn leads_to(answer: &Answer) -> RuntimeState {
    match answer {
        Answer::Error { .. } => RuntimeState::InvocationErrorResponse,
        Answer::Response(_) | Answer::Fault(_) => RuntimeState::InvocationResponse,
    }
}

const fn refuse(from: RuntimeState, to: RuntimeState) -> Action {
    Action::Refuse(Refusal::Transition { from, to })
}

/// A call over a connection whose process is being killed has no one to answer to.
fn without_runtime(event: &Event) -> Vec<Action> {
    match event {
        Event::Next | Event::Answered(..) | Event::InitFailed(_) => {
            vec![Action::Refuse(Refusal::RequestId)]
        }
        _ => vec![],
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(3), init: INIT_TIMEOUT }
    }
}

#[cfg(test)]
mod tests;
