//! An environment's own task: it carries out what [`super::rules`] decide.
//!
//! The task owns the sandbox, the connections of its runtime, the log pipe, and while one runs the job with its
//! permit and lease. It ends only when the environment does.

mod audit;
mod extensions;
mod finish;
mod moments;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use catalogue::Version;
use http::HeaderValue;
use record::report::Restored;
use tokio::sync::{mpsc, oneshot};

use self::audit::Audit;
use self::extensions::Extensions;
use super::alarm::Alarm;
use super::counted::Counted;
use super::frost::Weather;
use super::output::{Output, Produced};
use super::recipe::{Kit, Recipe};
use super::restore::{Restore, credentials};
use super::rules::{Action, Environment, Event, InitPhase, Limits, Refusal, RuntimeState};
use crate::flow::Sink;
use crate::host::runtime::{Call, NextReply, Passage, Posted, RuntimeApi, Verdict, Work};
use crate::host::telemetry::delivery::Dial;
use crate::invoke::{Ended, Invocation, Job};
use crate::outcome::{Exit, Fault};
use crate::pool::{Assignment, Command, Lease, Membership, Newcomer, Next};
use crate::starter::{Control, Meter, Sandbox, StartError, Told};

/// `ENOENT` and `EACCES`: what is not there, or may not be executed, is no bootstrap.
const ABSENT: [i32; 2] = [2, 13];

/// Age up to which the meter's last reading stands for a report. Ours: a reading takes longer than all else that a
/// warm invocation does here, and what it misses in this time the next report tells.
const READING_AGE: Duration = Duration::from_millis(100);

/// Runs one environment from its sandbox's building to its end.
pub async fn run(kit: Arc<Kit>, newcomer: Newcomer) {
    let Newcomer { membership, commands, place, version, made_for } = newcomer;
    let mut counted = Counted::building(kit.clock.now(), made_for);
    let built = async {
        let recipe = kit.recipes.recipe(&version, made_for).await?;
        let order = recipe.order(membership.id(), kit.endpoint.is_some(), place);
        Ok((kit.starter.build(order).await?, recipe))
    };
    match built.await {
        Ok((sandbox, recipe)) => {
            counted.built(kit.clock.now());
            live(&kit, membership, commands, version, sandbox, recipe, counted).await;
        }
        Err(error) => {
            tracing::warn!(version = %version.arn, %error, "no environment");
            membership.fail(error);
        }
    }
}

async fn live(
    kit: &Kit,
    membership: Membership,
    commands: mpsc::UnboundedReceiver<Command>,
    version: Arc<Version>,
    sandbox: Sandbox,
    recipe: Recipe,
    counted: Counted,
) {
    let Sandbox { control, log, runtime_api, loopback, endpoint, names, meter, freezer } = sandbox;
    let endpoint = endpoint.zip(kit.endpoint.as_ref());
    let _endpoint = endpoint.map(|(listener, host)| host.serve(listener, Arc::clone(&recipe.keys.identity)));
    let names = names.map(|sockets| kit.names.serve(sockets)).transpose();
    let parts = names.and_then(|names| {
        let api = RuntimeApi::new(runtime_api, Arc::clone(&kit.connections))?;
        let api = match &recipe.snap_start {
            Some(snap_start) => api.restoring(credentials(&recipe.keys, snap_start, kit.clock), loopback)?,
            None => api,
        };
        Ok((names, api, Output::new(log, recipe.log.clone(), kit.clock)?))
    });
    let (_names, api, output) = match parts {
        Ok(parts) => parts,
        Err(error) => return membership.fail(StartError::from(error).into()),
    };
    let restore = Restore::of(kit, &version, &recipe);
    let limits = Limits::of(version.configuration.timeout, recipe.log.made_for);
    let limits = Limits { imaged: restore.has_image(), ..limits };
    let mut driver = Driver {
        clock: kit.clock,
        idle_expiry: kit.idle_expiry,
        rules: Environment::new(limits, recipe.may_have_extensions()),
        membership,
        commands,
        control,
        meter,
        api,
        output,
        alarm: Alarm::new(kit.clock),
        deadline: None,
        expiry: None,
        born: kit.clock.now(),
        max_age: kit.max_age,
        weather: Weather::new(freezer),
        recipe,
        candidate: 0,
        reading: None,
        audit: Audit::default(),
        counted,
        run: None,
        ended: None,
        asker: None,
        extensions: Extensions::new(kit.dice.clone(), version),
        sink: None,
        parked: None,
        restore,
        turns: VecDeque::from([Event::Built]),
    };
    while !driver.rules.is_closed() {
        let event = driver.next().await;
        driver.turn(event).await;
    }
    driver.output.finish().await;
    driver.output.flush().await;
    let Driver { membership, commands, .. } = driver;
    membership.give_back(commands);
}

pub(super) struct Driver {
    pub(super) clock: Clock,
    pub(super) idle_expiry: Duration,
    pub(super) rules: Environment,
    pub(super) membership: Membership,
    commands: mpsc::UnboundedReceiver<Command>,
    control: Box<dyn Control>,
    meter: Box<dyn Meter>,
    pub(super) api: RuntimeApi,
    pub(super) output: Output,
    alarm: Alarm,
    /// The moment that the rules asked for.
    deadline: Option<Timestamp>,
    /// The moment at which idling ends, while the environment is in the pool's idle list.
    expiry: Option<Timestamp>,
    /// When the sandbox stood.
    born: Timestamp,
    /// How long it is of use.
    max_age: Duration,
    /// Whether it is frozen, or soon will be.
    weather: Weather,
    pub(super) recipe: Recipe,
    /// Which of the recipe's commands is being started.
    candidate: usize,
    /// When a report last read the meter, and what it said in bytes.
    reading: Option<(Timestamp, u64)>,
    audit: Audit,
    counted: Counted,
    pub(super) run: Option<Run>,
    /// The lease of a run that ended, until the environment is offered again.
    ended: Option<Lease>,
    /// The call of the runtime that is being decided on.
    pub(super) asker: Option<Asker>,
    extensions: Extensions,
    /// What took the response that has just ended. The caller learns of the end when it is dropped.
    sink: Option<Sink>,
    /// The runtime's `/next`, while there is no work.
    parked: Option<oneshot::Sender<NextReply>>,
    /// What a restored environment has besides.
    pub(super) restore: Restore,
    /// Events that actions raised.
    pub(super) turns: VecDeque<Event>,
}

/// What runs now.
pub(super) struct Run {
    pub(super) job: Box<Job>,
    lease: Lease,
    /// What came of the runtime's answer.
    produced: Produced,
}

pub(super) enum Asker {
    Next(oneshot::Sender<NextReply>),
    Restore(oneshot::Sender<Verdict>),
    Stream(Option<HeaderValue>, oneshot::Sender<Passage>),
    Post(oneshot::Sender<Verdict>),
}

/// What woke the task.
enum Happened {
    Command(Command),
    Call(Call),
    Told(Told),
    Alarm,
    Dial(Dial),
}

impl Driver {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.turns.pop_front() {
                return event;
            }
            let happened = std::future::poll_fn(|cx| self.poll(cx)).await;
            if let Some(event) = self.translate(happened).await {
                return event;
            }
        }
    }

    /// The alarm comes before the runtime's calls, which could otherwise keep it from ever ringing; those come
    /// before the news of its end, because what it said last still counts. One that may go on from an image is heard
    /// when it is known whether it does: it may be faster than that news.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if let Poll::Ready(command) = self.commands.poll_recv(cx) {
            // The pool keeps a sender for as long as the membership lasts.
            return Poll::Ready(Happened::Command(command.unwrap_or(Command::Close)));
        }
        if self.alarm.poll_ring(cx).is_ready() {
            return Poll::Ready(Happened::Alarm);
        }
        if !self.restore.is_beginning()
            && let Poll::Ready(call) = self.api.poll_call(cx)
        {
            return Poll::Ready(Happened::Call(call));
        }
        if let Poll::Ready(told) = self.control.poll_told(cx) {
            return Poll::Ready(Happened::Told(told));
        }
        self.output.poll(cx);
        self.output.telemetry().poll_dial(cx).map(Happened::Dial)
    }

    async fn translate(&mut self, happened: Happened) -> Option<Event> {
        match happened {
            Happened::Command(Command::Run(assignment)) => Some(self.assigned(assignment)),
            Happened::Command(Command::Close) => Some(Event::Close),
            Happened::Call(Call::Next(asker)) => {
                self.asker = Some(Asker::Next(asker));
                Some(Event::Next)
            }
            Happened::Call(Call::RestoreNext(asker, image)) => {
                self.keep_image(image).await;
                self.asker = Some(Asker::Restore(asker));
                Some(Event::RestoreNext)
            }
            Happened::Call(Call::Stream(id, content_type, asker)) => self.streams(id, content_type, asker),
            Happened::Call(Call::Post(posted, asker)) => {
                self.asker = Some(Asker::Post(asker));
                self.posted(posted)
            }
            Happened::Call(Call::Extension(request)) => self.extensions.called(request),
            Happened::Told(told) => self.told(told).await,
            Happened::Alarm => self.rang(),
            Happened::Dial(dial) => {
                self.dial(dial);
                None
            }
        }
    }

    fn assigned(&mut self, assignment: Assignment) -> Event {
        let Assignment { job, footing, lease } = assignment;
        self.expiry = None;
        self.set_alarm();
        job.span.record("environment", tracing::field::display(self.membership.id()));
        let id = job.invocation.id;
        self.counted.assigned(self.clock.now().since(job.watch.began()), footing);
        self.run = Some(Run { job, lease, produced: Produced::default() });
        Event::Called(id)
    }

    /// A caller that waits for the whole response has the runtime post it when all of it is there.
    fn streams(
        &mut self,
        id: Option<RequestId>,
        content_type: Option<HeaderValue>,
        asker: oneshot::Sender<Passage>,
    ) -> Option<Event> {
        if self.run.as_ref().is_some_and(|run| run.job.is_whole()) {
            let _ = asker.send(Passage::Whole);
            return None;
        }
        self.asker = Some(Asker::Stream(content_type, asker));
        if id.is_none() {
            self.refuse(Refusal::RequestId);
        }
        id.map(Event::Begun)
    }

    fn posted(&mut self, posted: Posted) -> Option<Event> {
        match posted {
            Posted::Streamed(id, sink, fault) => {
                self.sink = Some(sink);
                self.audit(Event::Streamed(id, fault))
            }
            Posted::Answer(Some(id), answer) => self.audit(Event::Answered(id, answer)),
            Posted::Answer(None, _) => {
                self.refuse(Refusal::RequestId);
                None
            }
            Posted::InitError(answer) => Some(Event::InitFailed(answer)),
            Posted::RestoreError(answer) => Some(Event::RestoreFailed(answer)),
        }
    }

    async fn told(&mut self, told: Told) -> Option<Event> {
        match told {
            Told::Started => None,
            Told::Began(zygote, continues) => {
                self.restore.began(zygote, continues);
                Some(Event::Began(continues))
            }
            Told::StartFailed(errno) => self.start_failed(errno),
            Told::Exited(status) => Some(Event::Exited(Exit::Status(status))),
            Told::Killed(signal) => Some(Event::Exited(Exit::Signal(signal))),
            Told::OutOfMemory => Some(Event::Exited(Exit::OutOfMemory)),
            Told::Extension(name) => {
                self.extensions.found(&name);
                None
            }
            Told::Discovered => {
                if let Some(pipe) = self.control.descriptor() {
                    self.output.hear_extensions(pipe);
                }
                Some(self.extensions.all_found())
            }
            Told::NotLaunched(number, errno) => Some(Extensions::not_launched(number, errno)),
            Told::ExtensionEnded(number, exit) => Some(Event::ExtensionEnded(number, exit)),
            Told::Dialed(number) => {
                let socket = self.control.descriptor();
                self.dialed(number, socket);
                None
            }
            Told::NotDialed(number) => {
                self.dialed(number, None);
                None
            }
            Told::Audited(vouched) => self.audited(vouched),
            Told::ResetDone => {
                self.audit.forget();
                self.parked = None;
                self.restore.forget();
                self.extensions.forget();
                self.api.forget().await;
                self.output.finish().await;
                Some(Event::ResetDone)
            }
            Told::Lost => Some(Event::SandboxLost),
        }
    }

    /// Tries the next place where a bootstrap may be. News of a start that was overtaken by a reset is none.
    fn start_failed(&mut self, errno: i32) -> Option<Event> {
        self.restore.forget();
        if !self.rules.is_starting() {
            return None;
        }
        if ABSENT.contains(&errno) && self.candidate + 1 < self.recipe.commands.len() {
            self.candidate += 1;
            self.start();
            return None;
        }
        Some(Event::StartFailed(self.recipe.start_fault(self.candidate, errno, ABSENT.contains(&errno))))
    }

    async fn turn(&mut self, event: Event) {
        // What a runtime says of itself thaws nothing: it was said before the frost.
        if matches!(event, Event::Called(_) | Event::Close) {
            self.wake();
        }
        let rules = std::mem::replace(&mut self.rules, Environment::new(Limits::default(), false));
        let (rules, actions) = rules.on(self.clock.now(), event);
        self.rules = rules;
        for action in actions {
            self.perform(action).await;
        }
        // Every call was decided on; one that fell through is answered by its dropped sender.
        self.asker = None;
        self.extensions.drop_asker();
        self.sink = None;
        if self.rules.is_idle() && self.run.is_none() {
            self.weather.rest(self.clock.now());
            self.set_alarm();
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Start => {
                self.candidate = 0;
                self.start();
            }
            Action::Reset => self.sandbox_says(|control| control.reset()),
            Action::Timer(moment) => {
                self.deadline = Some(moment);
                self.set_alarm();
            }
            Action::NoTimer => {
                self.deadline = None;
                self.set_alarm();
            }
            Action::Park => self.park(),
            Action::Deliver => self.deliver(),
            Action::Accept => self.decide(Ok(())),
            Action::Refuse(refusal) => self.refuse(refusal),
            Action::InitStart(phase) => self.output.init_start(phase),
            Action::InitRuntimeDone(phase, status) => self.output.init_runtime_done(phase, &status),
            Action::InitReport(phase, took, status) => {
                self.output.init_report(phase, took, &status);
                self.note_init(&status);
                if phase == InitPhase::Init {
                    self.counted.initialised(took);
                }
                // Seen once here, an environment that crashes before its first report has a figure.
                self.meter.max_memory();
            }
            Action::ParkRestore => self.park_restore(),
            Action::Restore => self.restore(),
            Action::RestoreStart => self.restore_start().await,
            Action::RestoreReport { took, billed, status } => {
                self.counted.restored(took);
                self.output.restore_report(Restored { duration: took, own: billed }, &status);
            }
            Action::GiveUpImage => self.give_up_image(),
            Action::RefuseCall(error) => self.refuse_call(error),
            Action::Withdraw => self.withdraw(),
            Action::StartLine => {
                if let Some(run) = &mut self.run {
                    run.produced.began = Some(self.clock.now());
                    self.output.start(&run.job.invocation);
                }
            }
            Action::FaultLine(fault) => {
                if let Some(run) = &self.run {
                    self.output.fault(run.job.invocation.id, &fault);
                }
            }
            Action::Reply(answer) => {
                if let Some(run) = &mut self.run {
                    run.produced.bytes = answer.size();
                    let now = self.clock.now();
                    run.produced.answered = Some((now, now));
                    self.counted.replied(&answer);
                    // Whoever hears the answer may invoke again at once.
                    run.lease.answered();
                    run.job.reply(answer);
                }
            }
            Action::Flow => self.flow(),
            Action::Flowed => {
                if let Some(run) = &mut self.run {
                    run.produced.bytes = self.sink.as_ref().map(Sink::taken);
                    let now = self.clock.now();
                    run.produced.answered = run.produced.answered.map(|(first, _)| (first, now));
                    self.counted.flowed(self.sink.as_ref());
                    run.lease.answered();
                    run.job.flowed();
                }
            }
            Action::RuntimeDone(took, status) => {
                if let Some(run) = &self.run {
                    self.output.runtime_done(run.job.invocation.id, took, &status, &run.produced);
                }
            }
            Action::Finish(spent) => self.finish(spent).await,
            Action::Offer => self.offer(),
            Action::Abandon | Action::Destroy => self.abandon(),
            action => self.perform_for_extensions(action),
        }
    }
}

impl Driver {
    fn start(&mut self) {
        let command = self.recipe.commands[self.candidate].clone();
        let gift = self.restore.gift();
        self.sandbox_says(|control| control.start(command, gift));
    }

    /// A sandbox whose init takes no orders is lost.
    fn sandbox_says(&mut self, order: impl FnOnce(&mut dyn Control) -> std::io::Result<()>) {
        self.wake();
        if let Err(error) = order(self.control.as_mut()) {
            tracing::error!(environment = %self.membership.id(), %error, "sandbox lost");
            self.turns.push_back(Event::SandboxLost);
        }
    }

    /// Keeps `/next` waiting. A runtime asks over one connection, so an earlier one is stale.
    fn park(&mut self) {
        let Some(Asker::Next(asker)) = self.asker.take() else { return };
        if let Some(stale) = self.parked.replace(asker) {
            let transition = Refusal::Transition { from: RuntimeState::Ready, to: RuntimeState::Ready };
            let _ = stale.send(NextReply::Refused(transition));
        }
    }

    /// Where the runtime's connection broke meanwhile, its next `/next` gets the same work.
    fn deliver(&mut self) {
        self.park();
        let (Some(run), Some(call)) = (&self.run, self.rules.call()) else { return };
        let Some(parked) = self.parked.take() else { return };
        let Invocation { id, requested, payload, trace, client_context, cognito_identity, .. } =
            &run.job.invocation;
        let work = Work {
            id: *id,
            deadline: call.deadline,
            arn: requested.to_string(),
            trace: trace.to_string(),
            client_context: client_context.clone(),
            cognito_identity: cognito_identity.clone(),
            payload: payload.clone(),
        };
        let _ = parked.send(NextReply::Work(Box::new(work)));
    }

    /// A runtime whose connection broke meanwhile ends its response here.
    fn flow(&mut self) {
        let (Some(run), Some(Asker::Stream(content_type, asker))) = (&mut self.run, self.asker.take()) else {
            return;
        };
        let (id, sink) = (run.job.invocation.id, run.job.begin(content_type));
        let now = self.clock.now();
        run.produced.answered = Some((now, now));
        if asker.send(Passage::Flowing(id, sink)).is_err() {
            self.turns.push_back(Event::Streamed(id, Some(Fault::TruncatedResponse)));
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        match self.asker.take() {
            Some(Asker::Next(asker)) => drop(asker.send(NextReply::Refused(refusal))),
            Some(Asker::Stream(_, asker)) => drop(asker.send(Passage::Refused(refusal))),
            Some(Asker::Restore(asker) | Asker::Post(asker)) => drop(asker.send(Err(refusal))),
            None => {}
        }
    }

    fn decide(&mut self, verdict: Verdict) {
        if let Some(Asker::Post(asker)) = self.asker.take() {
            let _ = asker.send(verdict);
        }
    }

    /// One that has run for the last time is not offered: with its lease it goes, and who waits gets another.
    fn offer(&mut self) {
        let now = self.clock.now();
        let end = self.born + self.max_age;
        if end <= now && self.ended.is_some() {
            return drop(self.ended.take());
        }
        match self.membership.offer(now, self.ended.take()) {
            Next::Run(assignment) => {
                let event = self.assigned(assignment);
                self.turns.push_back(event);
            }
            Next::Rest => {
                let patience = self.patience();
                self.expiry = Some(end.min(now + patience));
                self.set_alarm();
            }
            Next::Stay => {
                self.expiry = Some(end);
                self.set_alarm();
            }
            Next::Close => self.turns.push_back(Event::Close),
        }
    }

    /// Whoever still waits is told by the end of the job; the sandbox goes with the driver.
    fn abandon(&mut self) {
        if let Some(Run { job, lease, .. }) = self.run.take() {
            drop(lease);
            self.counted.abandoned(&job.watch, self.clock.now());
            job.finish(Ended::default());
        }
    }
}

#[cfg(test)]
mod tests;
