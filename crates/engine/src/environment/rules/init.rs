//! Inits: extensions first, then the runtime, until all of them wait for work.

use base::clock::Timestamp;
use base::limits::{INIT_ERROR_GRACE, RESTORE_TIMEOUT};

use super::leaving::{Reason, close, reset};
use super::refusal::{leads_to, refuse};
use super::reset::{End, Then};
use super::restore::{Asked, Restore};
use super::{Action, Call, Event, InitPhase, RuntimeState, Spent, State, Status, World};
use crate::outcome::{Answer, Fault};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Init {
    began: Timestamp,
    /// The call that this init is a part of.
    pub(super) call: Option<Call>,
    /// What the runtime posted to `/init/error`.
    error: Option<Answer>,
    pub(super) runtime: Progress,
    /// What the runtime asked for, once it is ready.
    asked: Asked,
    from: From,
}

/// What an init begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Nothing; it is written that it begins.
    Nothing,
    /// Nothing, or an image: the runtime has not begun.
    Unknown,
    /// An image of an environment that made it before.
    Image,
}

/// How far the runtime has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It waits for extensions to register.
    Held,
    /// It is being started, or initialises.
    Started,
    /// It asked for work.
    Ready,
}

impl Init {
    const fn phase(&self) -> InitPhase {
        if self.call.is_some() { InitPhase::Invoke } else { InitPhase::Init }
    }

    /// The line about the runtime's part in an init.
    fn runtime_done(&self, status: Status) -> Option<Action> {
        (self.from != From::Image).then(|| Action::InitRuntimeDone(self.phase(), status))
    }

    /// Where the runtime stands.
    const fn state(&self) -> RuntimeState {
        match (self.runtime, self.asked) {
            _ if self.error.is_some() => RuntimeState::InitError,
            (Progress::Ready, Asked::Restore) => RuntimeState::RestoreReady,
            (Progress::Ready, Asked::Work) => RuntimeState::Ready,
            (Progress::Held | Progress::Started, _) => RuntimeState::Started,
        }
    }
}

pub(super) fn begin(world: &mut World, now: Timestamp, call: Option<Call>) -> (State, Vec<Action>) {
    let until = call.as_ref().map_or(now + world.limits.init, |call| call.deadline);
    let from = if world.limits.imaged && call.is_none() { From::Unknown } else { From::Nothing };
    let init = Init { began: now, call, error: None, runtime: Progress::Held, asked: Asked::Work, from };
    let start = (from == From::Nothing).then(|| Action::InitStart(init.phase()));
    let (state, mut actions) = match world.extensions.begin() {
        None => (State::Init(init), vec![Action::Discover, Action::Timer(until)]),
        Some(launches) => launched(world, now, init, launches, Some(until)),
    };
    actions.splice(0..0, start);
    (state, actions)
}

/// Extensions are being launched; where there are none, the runtime is.
fn launched(
    world: &mut World,
    now: Timestamp,
    init: Init,
    launches: Result<Vec<Action>, Fault>,
    until: Option<Timestamp>,
) -> (State, Vec<Action>) {
    let mut actions = match launches {
        Ok(launches) => launches,
        Err(fault) => return failed(world, now, init, Some(fault)),
    };
    let state = go_on(world, now, init, &mut actions);
    actions.extend(until.map(Action::Timer));
    (state, actions)
}

/// Does what the extensions have waited for.
pub(super) fn go_on(world: &mut World, now: Timestamp, init: Init, actions: &mut Vec<Action>) -> State {
    match init.runtime {
        Progress::Held if world.extensions.have_registered() => {
            actions.push(Action::Start);
            State::Init(Init { runtime: Progress::Started, ..init })
        }
        Progress::Ready if world.extensions.are_ready() => done(world, now, init, actions),
        _ => State::Init(init),
    }
}

pub(super) fn during(world: &mut World, now: Timestamp, init: Init, event: Event) -> (State, Vec<Action>) {
    match event {
        Event::Began(continues) if init.from == From::Unknown => run_on(init, continues),
        Event::Next if init.error.is_some() || init.asked == Asked::Restore => {
            let refusal = refuse(init.state(), RuntimeState::Ready);
            (State::Init(init), vec![refusal])
        }
        Event::RestoreNext if world.limits.restored && init.state() == RuntimeState::Started => {
            restore_ready(world, now, init)
        }
        Event::RestoreNext if init.state() == RuntimeState::RestoreReady => {
            (State::Init(init), vec![Action::ParkRestore])
        }
        Event::Next if init.runtime == Progress::Ready => (State::Init(init), vec![Action::Park]),
        Event::Next => {
            let mut actions = vec![Action::Park];
            actions.extend(init.runtime_done(Status::Success));
            let state = go_on(world, now, Init { runtime: Progress::Ready, ..init }, &mut actions);
            (state, actions)
        }
        Event::InitFailed(_) if init.error.is_some() => {
            let refusal = refuse(RuntimeState::InitError, RuntimeState::InitError);
            (State::Init(init), vec![refusal])
        }
        Event::InitFailed(_) if init.runtime == Progress::Ready => {
            let refusal = refuse(init.state(), RuntimeState::InitError);
            (State::Init(init), vec![refusal])
        }
        Event::InitFailed(error) => {
            let deadline = init.call.as_ref().map(|call| call.deadline);
            let until = deadline.unwrap_or(init.began + world.limits.init).min(now + INIT_ERROR_GRACE);
            (State::Init(Init { error: Some(error), ..init }), vec![Action::Accept, Action::Timer(until)])
        }
        Event::Answered(..) | Event::Begun(_) | Event::RestoreNext | Event::RestoreFailed(_) => {
            let refusal = refuse(init.state(), leads_to(&event));
            (State::Init(init), vec![refusal])
        }
        Event::Found(files) => {
            world.extensions.found(files);
            let launches = world.extensions.begin().unwrap_or_else(|| Ok(vec![]));
            launched(world, now, init, launches, None)
        }
        Event::NotLaunched(number, errno, reason) => {
            match world.extensions.not_launched(number, errno, &reason) {
                Some(fault) => failed(world, now, init, Some(fault)),
                None => (State::Init(init), vec![]),
            }
        }
        Event::ExtensionEnded(number, exit) => match world.extensions.ended(number, exit) {
            Some(fault) => failed(world, now, init, Some(fault)),
            None => (State::Init(init), vec![]),
        },
        Event::Exited(exit) => failed(world, now, init, Some(Fault::Exit(exit))),
        Event::StartFailed(fault) => failed(world, now, init, Some(fault)),
        Event::TimeUp => failed(world, now, init, None),
        _ => (State::Init(init), vec![]),
    }
}

/// The runtime runs. One that goes on from an image is restored: no init is written, and it has no time for one.
fn run_on(init: Init, continues: bool) -> (State, Vec<Action>) {
    let (from, action) = if continues {
        (From::Image, Action::Timer(init.began + RESTORE_TIMEOUT))
    } else {
        (From::Nothing, Action::InitStart(init.phase()))
    };
    (State::Init(Init { from, ..init }), vec![action])
}

/// The runtime is initialised; inside an invoke it goes on to its end.
fn restore_ready(world: &mut World, now: Timestamp, init: Init) -> (State, Vec<Action>) {
    if init.call.is_some() {
        return (State::Init(init), vec![Action::ParkRestore, Action::Restore]);
    }
    let mut actions = vec![Action::ParkRestore];
    actions.extend(init.runtime_done(Status::Success));
    let init = Init { runtime: Progress::Ready, asked: Asked::Restore, ..init };
    let state = go_on(world, now, init, &mut actions);
    (state, actions)
}

fn done(world: &mut World, now: Timestamp, init: Init, actions: &mut Vec<Action>) -> State {
    let took = now.since(init.began);
    let report = Action::InitReport(init.phase(), took, Status::Success);
    let report = (init.from != From::Image).then_some(report);
    actions.extend(world.standings());
    match init.call {
        None if world.limits.restored => {
            actions.extend([Action::NoTimer].into_iter().chain(report).chain([Action::Offer]));
            Restore::ready(init.began, init.asked)
        }
        None => {
            actions.extend([Action::NoTimer].into_iter().chain(report).chain([Action::Offer]));
            // What was warmed before anybody called is no call's cold start.
            State::Idle { init: (!world.limits.kept_ready).then_some(took) }
        }
        Some(call) => {
            actions.extend(report.into_iter().chain([Action::StartLine, Action::Deliver]));
            actions.extend(world.tell());
            State::Running(call)
        }
    }
}

/// A posted init error outranks the exit that follows it; `fault` is `None` when time ran out.
fn failed(world: &mut World, now: Timestamp, init: Init, fault: Option<Fault>) -> (State, Vec<Action>) {
    if init.from == From::Image {
        let (state, actions) = close(world, now, false);
        return (state, [Action::GiveUpImage].into_iter().chain(actions).collect());
    }
    let (phase, took, runtime) = (init.phase(), now.since(init.began), init.runtime);
    let late = (init.from == From::Unknown).then_some(Action::InitStart(phase));
    let answer = init.error.or_else(|| fault.clone().map(Answer::Fault));
    let status = match &answer {
        Some(answer) => Status::Error(answer.error_type()),
        None => Status::Timeout,
    };
    let mut actions: Vec<_> = late.into_iter().collect();
    let end = init.call.map(|call| {
        let took = if answer.is_none() { world.limits.timeout } else { now.since(call.began) };
        let fault = fault.clone().filter(|_| matches!(answer, Some(Answer::Fault(_))));
        let reply = answer.unwrap_or(Answer::Fault(Fault::Timeout(world.limits.timeout)));
        actions.push(Action::Reply(reply));
        let spent = Spent { took, init: call.init, status: status.clone(), extensions: None };
        End { spent, fault, told: false }
    });
    actions.extend((runtime != Progress::Ready).then(|| Action::InitRuntimeDone(phase, status.clone())));
    actions.extend(world.standings());
    let runs = runtime != Progress::Held && !matches!(fault, Some(Fault::Exit(_)));
    let reason = if status == Status::Timeout { Reason::Timeout } else { Reason::Failure };
    let then = Then::InitFailed { phase, took, status, end };
    let (state, more) = reset(world, now, then, reason, runs);
    actions.extend(more);
    (state, actions)
}
