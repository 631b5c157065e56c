//! What an environment does next, as pure decisions.
//!
//! An environment is one sandbox in which a runtime is started, asks for work (`/next`), answers, and asks
//! again, and beside it extensions, which are told of each invoke. Time limits, exits and refused calls are all decided
//! here, each phase in a module of its own; [`super::driver`] carries them out.
//!
//! Sources: Lambda Developer Guide, "execution environment lifecycle"; the state names and their allowed
//! transitions are those of AWS's published runtime interface emulator.

mod extensions;
mod init;
mod invoke;
mod leaving;
mod refusal;
mod reset;
pub mod restore;

use std::time::Duration;

use base::clock::Timestamp;
use base::id::RequestId;
use base::limits::{INIT_TIMEOUT, PROVISIONED_INIT, PROVISIONED_INIT_MOST};
use record::report::InitializationType;
use sandbox::protocol::{Stop, Who};

pub use self::extensions::{ExtensionCall, ExtensionId, ExtensionRefusal, Name, Standing};
use self::extensions::{Extensions, Open};
use self::init::{Init, Progress};
use self::invoke::{Responded, Told, broken};
use self::leaving::Leaving;
pub use self::leaving::Reason;
use self::refusal::without_runtime;
pub use self::refusal::{Refusal, RuntimeState};
use self::reset::{Then, reports};
use self::restore::{Restore, RestoreError};
use crate::outcome::{Answer, Exit, Fault};

/// Time limits of one version's environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The function's timeout.
    pub timeout: Duration,
    /// How long the first init may take before it is made again inside an invoke.
    pub init: Duration,
    /// Whether the environment is kept ready for provisioned concurrency: one without a runtime is replaced.
    pub kept_ready: bool,
    /// Whether it is initialised before it is called, and restored for its first call.
    pub restored: bool,
    /// Whether its runtime may go on from an image of another's memory, which it says when it begins.
    pub imaged: bool,
}

impl Limits {
    /// Those of a function with this timeout, in an environment made for this.
    pub fn of(timeout: Duration, made_for: InitializationType) -> Self {
        let long = timeout.max(PROVISIONED_INIT).min(PROVISIONED_INIT_MOST);
        let plain = Self { timeout, init: INIT_TIMEOUT, kept_ready: false, restored: false, imaged: false };
        match made_for {
            InitializationType::OnDemand => plain,
            InitializationType::ProvisionedConcurrency => Self { init: long, kept_ready: true, ..plain },
            InitializationType::SnapStart => Self { init: long, restored: true, ..plain },
        }
    }
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
    /// The runtime runs, and whether it goes on from an image.
    Began(bool),
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
    /// The sandbox named the files of its external extensions.
    Found(Vec<Name>),
    /// The extension with this number could not be executed: the system's error number and text.
    NotLaunched(u32, i32, String),
    /// The process of the extension with this number ended.
    ExtensionEnded(u32, Exit),
    /// An extension asks for something.
    Extension(ExtensionCall),
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
    /// Ask the sandbox for its external extensions.
    Discover,
    /// Start the extension with this number and name.
    Launch(u32, Name),
    /// End a process.
    Signal(Who, Stop),
    /// Answer an extension's registration with the id that it came with.
    Registered(ExtensionId),
    /// Keep the extension's call for the next event waiting.
    Hold(ExtensionId),
    /// Answer an extension's post with 202.
    Taken,
    /// Send telemetry to the extension of this name as it asked.
    Subscribe(Name),
    /// Refuse the extension's call.
    RefuseExtension(ExtensionRefusal),
    /// Tell these extensions of the current call.
    Invoke(Vec<ExtensionId>),
    /// Tell these extensions that all ends at this moment, and why.
    Shutdown(Vec<ExtensionId>, Timestamp, Reason),
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
    /// Write how an init ended for the runtime.
    InitRuntimeDone(InitPhase, Status),
    /// Write how an extension came out of an init.
    ExtensionLine(Standing),
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
    /// Give up the image that the runtime did not go on from, and let another environment take the call.
    GiveUpImage,
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
    /// Write that the runtime is done with the invoke, after this time.
    RuntimeDone(Duration, Status),
    /// Read the log to its end, write END and REPORT, give the permit back.
    Finish(Spent),
    /// Answer whoever waits that the environment is gone, and give the permit back.
    Abandon,
    /// Tell the pool that the environment can take a call.
    Offer,
    /// Tear the sandbox down.
    Destroy,
}

/// What an invoke took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// How long it ran, extensions included; the function's limit itself after a timeout.
    pub took: Duration,
    /// The cold start before it, when it waited for one.
    pub init: Option<Duration>,
    /// How it ended.
    pub status: Status,
    /// How long extensions ran on after the runtime was done, where any follow invokes.
    pub extensions: Option<Duration>,
}

/// One environment's state. Feed it with [`Environment::on`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    world: World,
    state: State,
}

/// What outlives an environment's phases.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    limits: Limits,
    extensions: Extensions,
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
    /// The caller has its answer; the runtime or an extension has not asked for work again.
    Responded(Responded),
    /// Processes are asked to end.
    Leaving(Leaving),
    /// Everything in the sandbox is being killed.
    Resetting(Then),
    /// Nothing happens any more.
    Closed,
}

impl Environment {
    /// An environment whose sandbox is being built; `extensible` when it may hold external extensions.
    pub const fn new(limits: Limits, extensible: bool) -> Self {
        Self { world: World { limits, extensions: Extensions::new(extensible) }, state: State::Building }
    }

    /// Whether nothing happens any more.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether a runtime is being started.
    pub const fn is_starting(&self) -> bool {
        matches!(self.state, State::Init(_))
    }

    /// Whether all work in it is done and nothing but a call is waited for.
    pub const fn is_idle(&self) -> bool {
        self.awaits_restore() || matches!(self.state, State::Idle { .. })
    }

    /// Whether it is initialised and waits for its first call.
    pub const fn awaits_restore(&self) -> bool {
        matches!(self.state, State::Restore(Restore::Ready(_)))
    }

    /// The call that a runtime has or is started for.
    pub const fn call(&self) -> Option<&Call> {
        match &self.state {
            State::Running(call) | State::Flowing(call) => Some(call),
            State::Responded(responded) => Some(&responded.call),
            State::Init(Init { call, .. }) => call.as_ref(),
            _ => None,
        }
    }

    /// Decides.
    pub fn on(self, now: Timestamp, event: Event) -> (Self, Vec<Action>) {
        let Self { mut world, state } = self;
        let (state, actions) = world.decide(now, state, event);
        (Self { world, state }, actions)
    }
}

impl World {
    fn decide(&mut self, now: Timestamp, state: State, event: Event) -> (State, Vec<Action>) {
        match (state, event) {
            (State::Closed, event) => (State::Closed, without_runtime(&event)),
            (state, Event::SandboxLost) => lost(now, state),
            (state, Event::Close) => self.close(now, state),
            (state, Event::Extension(call)) => self.hear(now, state, call),
            (State::Building, Event::Built) => init::begin(self, now, None),
            (State::Building, _) => (State::Building, vec![]),
            (State::Init(init), event) => init::during(self, now, init, event),
            (State::Restore(restore), event) => restore::on(self, now, restore, event),
            (State::Idle { init }, event) => invoke::while_idle(self, now, init, event),
            (State::Stopped, Event::Called(id)) => {
                let call = self.call(now, id, None);
                init::begin(self, now, Some(call))
            }
            (State::Stopped, event) => (State::Stopped, without_runtime(&event)),
            (State::Running(call), event) => invoke::while_running(self, now, call, event),
            (State::Flowing(call), event) => invoke::while_flowing(self, now, call, event),
            (State::Responded(responded), event) => invoke::after_response(self, now, responded, event),
            (State::Leaving(leaving), event) => leaving::during(self, now, leaving, event),
            (State::Resetting(then), event) => reset::during(self, now, then, event),
        }
    }

    fn call(&self, now: Timestamp, id: RequestId, init: Option<Duration>) -> Call {
        Call { id, began: now, deadline: now + self.limits.timeout, init }
    }

    /// Gives the call to the extensions that want to know.
    fn tell(&mut self) -> Option<Action> {
        self.extensions.follow_invokes().then(|| Action::Invoke(self.extensions.begin_invoke()))
    }

    /// Lines about the extensions.
    fn standings(&self) -> Vec<Action> {
        self.extensions.standings().into_iter().map(Action::ExtensionLine).collect()
    }

    /// Answers an extension, and does what waited for it.
    fn hear(&mut self, now: Timestamp, state: State, call: ExtensionCall) -> (State, Vec<Action>) {
        let open = match &state {
            State::Init(init) => Open { registration: init.runtime != Progress::Ready, subscription: true },
            _ => Open { registration: false, subscription: false },
        };
        let mut actions = vec![self.extensions.hear(call, open)];
        let state = match state {
            State::Init(init) => init::go_on(self, now, init, &mut actions),
            State::Responded(responded) => invoke::go_on(self, now, responded, &mut actions),
            state => state,
        };
        (state, actions)
    }

    /// The environment is no longer wanted.
    fn close(&mut self, now: Timestamp, state: State) -> (State, Vec<Action>) {
        let runs = match &state {
            State::Building | State::Stopped | State::Resetting(_) | State::Closed => {
                return (State::Closed, vec![Action::Destroy]);
            }
            State::Init(init) => init.runtime != Progress::Held,
            _ => true,
        };
        if let State::Leaving(leaving) = state {
            return leaving.closed(now);
        }
        let (state, actions) = leaving::close(self, now, runs);
        (state, [Action::Abandon].into_iter().chain(actions).collect())
    }
}

/// The sandbox broke: whoever waits gets an answer, and everything ends.
fn lost(now: Timestamp, state: State) -> (State, Vec<Action>) {
    let mut actions = match state {
        State::Running(call) => broken(now, call, Told::Nothing),
        State::Flowing(call) => broken(now, call, Told::InPart),
        State::Responded(responded) => broken(now, responded.call.clone(), responded.told()),
        State::Init(Init { call, .. }) => reports(now, Then::Rest(call)).0,
        State::Leaving(leaving) => leaving.reports(now),
        State::Resetting(then) => reports(now, then).0,
        State::Restore(restore) => restore.lost(now),
        _ => vec![],
    };
    actions.push(Action::Destroy);
    (State::Closed, actions)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            init: INIT_TIMEOUT,
            kept_ready: false,
            restored: false,
            imaged: false,
        }
    }
}

#[cfg(test)]
mod tests;
