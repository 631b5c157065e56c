//! What an environment does next, as pure decisions.
//!
//! An environment is one sandbox in which a runtime is started, asks for work (`/next`), answers, and asks
//! again. Time limits, exits and refused calls are all decided here; [`super::driver`] carries them out.
//!
//! Sources: Lambda Developer Guide, "execution environment lifecycle"; the state names and their allowed
//! transitions are those of AWS's published runtime interface emulator.

mod refusal;
pub mod restore;

use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{INIT_ERROR_GRACE, INIT_TIMEOUT, RESET_TIME};
use catalogue::Configuration;

pub use self::refusal::{Refusal, RuntimeState};
use self::refusal::{leads_to, misplaced, refuse, unasked, verdict_on, without_runtime};
use self::restore::{Asked, Restore, RestoreError, initialised};
use crate::outcome::{Answer, Exit, Fault};

/// Time limits of one version's environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The function's timeout.
    pub timeout: Duration,
    /// How long the first init may take before it is made again inside an invoke.
    pub init: Duration,
    /// Whether an environment is initialised before it is called, and restored for its first call.
    pub restored: bool,
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
    /// The runtime is initialised and asks to be restored.
    RestoreNext,
    /// The runtime could not be restored.
    RestoreFailed(Answer),
    /// The pool has no work yet for an environment that it was offered.
    Rested,
    /// The runtime answered this request.
    Answered(RequestId, Answer),
    /// The runtime begins to stream its response to this request, to a caller that takes it so.
    Begun(RequestId),
    /// That response ended, and the fault when it ended early.
    Streamed(RequestId, Option<Fault>),
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
    /// Keep the runtime's `/restore/next` waiting.
    ParkRestore,
    /// Answer the runtime's `/restore/next`.
    Restore,
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
    /// Write that the restore begins, where a restored environment writes.
    RestoreStart,
    /// Write how a restore ended.
    RestoreReport {
        /// How long the call waited for it.
        took: Duration,
        /// How much of that was the function's own doing.
        billed: Duration,
        /// How it ended.
        status: Status,
    },
    /// Tell the caller that the function did not run.
    RefuseCall(RestoreError),
    /// Take the environment out of the pool's idle list, and raise [`Event::Close`] if it was there.
    Withdraw,
    /// Write that the invoke begins.
    StartLine,
    /// Write the fault that ended the runtime.
    FaultLine(Fault),
    /// Answer the caller.
    Reply(Answer),
    /// Let the runtime's response flow to the caller.
    Flow,
    /// The caller has all that it will get.
    Flowed,
    /// Read the log to its end, write END and REPORT, give the permit back.
    Finish(Duration, Option<Duration>, Status),
    /// Tell the pool that the environment can take a call.
    Offer,
    /// Tear the sandbox down.
    Destroy,
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
    /// It is initialised, and waits for its first call or is restored for it.
    Restore(Restore),
    /// The runtime waits in `/next`.
    Idle { init: Option<Duration> },
    /// No runtime: the next call starts one.
    Stopped,
    /// The runtime has the call.
    Running(Call),
    /// The response flows from the runtime to the caller.
    Flowing(Call),
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

    /// Whether it is initialised and waits for its first call.
    pub const fn awaits_restore(&self) -> bool {
        matches!(self.state, State::Restore(Restore::Ready(_)))
    }

    /// Whether all work in it is done and nothing but a call is waited for.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle { .. } | State::Restore(Restore::Ready(_)))
    }

    /// The call that a runtime has or is started for.
    pub const fn call(&self) -> Option<&Call> {
        match &self.state {
            State::Running(call) | State::Flowing(call) | State::Responded(call, _) => Some(call),
            State::Init(Init { call, .. }) => call.as_ref(),
            _ => None,
        }
    }

    /// Decides.
    pub fn on(self, now: Timestamp, event: Event) -> (Self, Vec<Action>) {
        let limits = self.limits;
        let (state, actions) = match (self.state, event) {
            (State::Closed, event) => (State::Closed, without_runtime(&event)),
            (state, Event::SandboxLost) => lost(now, state),
            (_, Event::Close) => (State::Closed, vec![Action::Destroy]),
            (State::Building, Event::Built) => begin_init(limits, now, None),
            (State::Building, _) => (State::Building, vec![]),
            (State::Init(init), event) => during_init(limits, now, init, event),
            (State::Restore(restore), event) => restore::on(limits, now, restore, event),
            (State::Idle { init }, event) => while_idle(limits, now, init, event),
            (State::Stopped, Event::Called(id)) => {
                let call = begin_call(limits, now, id, None);
                begin_init(limits, now, Some(call))
            }
            (State::Stopped, event) => (State::Stopped, without_runtime(&event)),
            (State::Running(call), event) => while_running(limits, now, call, event),
            (State::Flowing(call), event) => while_flowing(limits, now, call, event),
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
        Event::Next => init_done(limits, now, init),
        Event::RestoreNext if init.error.is_none() && limits.restored => match init.call {
            None => initialised(now, init.began, Asked::Restore),
            // Inside an invoke the init goes on to its end.
            Some(_) => (State::Init(init), vec![Action::ParkRestore, Action::Restore]),
        },
        Event::InitFailed(_) if init.error.is_some() => {
            let refusal = refuse(RuntimeState::InitError, RuntimeState::InitError);
            (State::Init(init), vec![refusal])
        }
        Event::InitFailed(error) => {
            let deadline = init.call.as_ref().map(|call| call.deadline);
            let until = deadline.unwrap_or(init.began + limits.init).min(now + INIT_ERROR_GRACE);
            (State::Init(Init { error: Some(error), ..init }), vec![Action::Accept, Action::Timer(until)])
        }
        Event::Answered(..) | Event::Begun(_) | Event::RestoreNext | Event::RestoreFailed(_) => {
            let from = if init.error.is_some() { RuntimeState::InitError } else { RuntimeState::Started };
            (State::Init(init), vec![refuse(from, leads_to(&event))])
        }
        Event::Exited(exit) => init_failed(limits, now, init, Some(Fault::Exit(exit))),
        Event::StartFailed(fault) => init_failed(limits, now, init, Some(fault)),
        Event::TimeUp => init_failed(limits, now, init, None),
        _ => (State::Init(init), vec![]),
    }
}

fn init_done(limits: Limits, now: Timestamp, init: Init) -> (State, Vec<Action>) {
    let took = now.since(init.began);
    let report = Action::InitReport(init.phase(), took, Status::Success);
    match init.call {
        None if limits.restored => initialised(now, init.began, Asked::Work),
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
            let mut actions = vec![Action::Reset, Action::Timer(now + RESET_TIME)];
            if limits.restored {
                actions.push(Action::Withdraw);
            }
            (State::Resetting(Then::Rest(None)), actions)
        }
        event => (State::Idle { init }, unasked(RuntimeState::Ready, &event)),
    }
}

fn while_running(limits: Limits, now: Timestamp, call: Call, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::Answered(id, _) | Event::Begun(id) if id != call.id => {
            (State::Running(call), vec![Action::Refuse(Refusal::RequestId)])
        }
        Event::Begun(_) => (State::Flowing(call), vec![Action::Flow]),
        Event::Answered(_, answer) => {
            let status = status_of(&answer);
            let verdict = verdict_on(&answer);
            (State::Responded(call, status), vec![Action::Reply(answer), verdict])
        }
        // A runtime whose connection broke asks again and gets the same call again.
        Event::Next => (State::Running(call), vec![Action::Deliver]),
        Event::InitFailed(_) | Event::RestoreNext | Event::RestoreFailed(_) => {
            let refusal = unasked(RuntimeState::Running, &event);
            (State::Running(call), refusal)
        }
        Event::Exited(exit) => fail(limits, now, call, Some(Fault::Exit(exit)), Told::Nothing),
        Event::TimeUp => fail(limits, now, call, None, Told::Nothing),
        _ => (State::Running(call), vec![]),
    }
}

fn while_flowing(limits: Limits, now: Timestamp, call: Call, event: Event) -> (State, Vec<Action>) {
    let state = RuntimeState::InvocationResponse;
    match event {
        Event::Streamed(id, fault) if id == call.id => {
            let (status, verdict) = match fault {
                Some(fault) => (failed(&fault), Action::Refuse(Refusal::Truncated)),
                None => (Status::Success, Action::Accept),
            };
            (State::Responded(call, status), vec![Action::Flowed, verdict])
        }
        Event::Exited(exit) => fail(limits, now, call, Some(Fault::Exit(exit)), Told::InPart),
        Event::TimeUp => fail(limits, now, call, None, Told::InPart),
        Event::Next => (State::Flowing(call), vec![refuse(state, RuntimeState::Ready)]),
        event => {
            let refusal = misplaced(&call, state, &event);
            (State::Flowing(call), refusal)
        }
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
        Event::Exited(exit) => fail(limits, now, call, Some(Fault::Exit(exit)), Told::All),
        Event::TimeUp => fail(limits, now, call, None, Told::All),
        event => {
            let refusal = misplaced(&call, RuntimeState::ResponseSent, &event);
            (State::Responded(call, status), refusal)
        }
    }
}

/// What the caller of an invocation knows that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// A response that ends here.
    InPart,
    All,
}

/// The runtime ended, or `fault` is `None` and its time did. What was in the sandbox is killed; /tmp stays.
fn fail(
    limits: Limits,
    now: Timestamp,
    call: Call,
    fault: Option<Fault>,
    told: Told,
) -> (State, Vec<Action>) {
    let (took, status) = match &fault {
        Some(fault) => (now.since(call.began), failed(fault)),
        None => (limits.timeout, Status::Timeout),
    };
    let mut actions = told.end(fault.clone().unwrap_or(Fault::Timeout(limits.timeout)));
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
    if reusable && !limits.restored {
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
        let finish = Action::Finish(self.took, self.call.init, self.status);
        self.fault.map(Action::FaultLine).into_iter().chain([finish]).collect()
    }
}

/// The sandbox broke: whoever waits gets an answer, and everything ends.
fn lost(now: Timestamp, state: State) -> (State, Vec<Action>) {
    let mut actions = match state {
        State::Running(call) => broken(now, call, Told::Nothing),
        State::Flowing(call) => broken(now, call, Told::InPart),
        State::Responded(call, _) => broken(now, call, Told::All),
        State::Init(Init { call, .. }) => reports(now, Then::Rest(call)).0,
        State::Resetting(then) => reports(now, then).0,
        State::Restore(restore) => restore::lost(now, &restore),
        _ => vec![],
    };
    actions.push(Action::Destroy);
    (State::Closed, actions)
}

/// The end of a call whose sandbox broke.
fn broken(now: Timestamp, call: Call, told: Told) -> Vec<Action> {
    let finish = Action::Finish(now.since(call.began), call.init, failed(&Fault::Sandbox));
    told.end(Fault::Sandbox).into_iter().chain([finish]).collect()
}

impl Told {
    /// Tells the caller the rest.
    fn end(self, fault: Fault) -> Vec<Action> {
        match self {
            Self::Nothing => vec![Action::Reply(Answer::Fault(fault))],
            Self::InPart => vec![Action::Flowed],
            Self::All => vec![],
        }
    }
}

fn status_of(answer: &Answer) -> Status {
    match answer {
        Answer::Fault(fault) => failed(fault),
        Answer::Response { .. } | Answer::Error { .. } => Status::Success,
    }
}

fn failed(fault: &Fault) -> Status {
    Status::Error(fault.error_type().to_owned())
}

impl Limits {
    /// Of a version's environments, which are `restored` for their first calls or begin with an init.
    pub fn of(configuration: &Configuration, restored: bool) -> Self {
        let timeout = configuration.timeout;
        Self { timeout, init: if restored { restore::init_limit(timeout) } else { INIT_TIMEOUT }, restored }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(3), init: INIT_TIMEOUT, restored: false }
    }
}

#[cfg(test)]
mod tests;
