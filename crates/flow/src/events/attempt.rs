//! One attempt at an event, from its claim to the commit that records what followed.

use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use catalogue::{CatalogueError, EventInvokeConfig, Function, State, Version};
use engine::{Ended, Invocation, InvokeError, Reply, RestoreError};
use record::metrics::{Count, Sample};
use store::{Claimed, Commit, LeaseToken, StoreError};
use tokio::sync::oneshot;

use super::delivery::deliveries;
use super::ending::{Ending, Response};
use super::lines::Lines;
use super::rules::{self, Condition, Next, Progress, Settings, Tried};
use super::stored::Event;
use super::{EventsSetup, enqueued};

/// Time after which an event comes back that nobody holds any more. Ours: what a killed process delays its events by.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How often a lease is extended while its event runs: one or two may fail.
const BEAT: Duration = Duration::from_secs(10);

/// Time before an event is looked at again that this Samovar cannot read. Ours.
const UNREADABLE: Duration = Duration::from_secs(5 * 60);

/// Makes one attempt at a claimed event, and returns when the function is free for another.
pub(super) async fn attempt(lines: &Lines, Claimed { token, body, .. }: Claimed) {
    let house = lines.house();
    let event = match Event::read(&body) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(%error, message = token.message, "an event stays in its queue");
            let later = house.clock.now() + UNREADABLE;
            return concluded(house.store.release(token, later).await);
        }
    };
    drop(body);
    let mut attempt = Attempt { lines, event, end: None };
    let (next, response) = held(house, token, attempt.make()).await;
    concluded(attempt.conclude(token, next, response).await);
    if let Some(end) = attempt.end {
        // Until then the function's concurrency is taken. An environment that broke drops it.
        let _ = end.await;
    }
}

/// The configuration for events of what a request named.
pub(super) fn config<'a>(function: &'a Function, requested: &FunctionArn) -> Option<&'a EventInvokeConfig> {
    let qualifier = requested.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
    function.event_invoke.get(qualifier).map(AsRef::as_ref)
}

struct Attempt<'a> {
    lines: &'a Lines,
    event: Event,
    /// Resolves when the function's environment is free.
    end: Option<oneshot::Receiver<Ended>>,
}

/// What an event's function is at this attempt.
enum Target {
    /// This runs.
    Found(Arc<Version>),
    /// There is no such function, version or alias.
    Gone,
    /// The catalogue does not answer.
    Unknown,
}

impl Attempt<'_> {
    /// What comes of it, and what the function answered.
    async fn make(&mut self) -> (Next, Option<Response>) {
        let house = self.lines.house();
        let (target, function) = self.look().await;
        let reserved = function.and_then(|function| function.reserved);
        let Event { progress, settings, .. } = &self.event;
        let executed = match &target {
            Target::Found(version) => Some(version.qualifier.clone()),
            Target::Gone | Target::Unknown => None,
        };
        if let Some(condition) = rules::stopped(progress, settings, reserved, house.clock.now()) {
            // Too old before its turn: there was no place for it.
            let response = condition.is_of_age().then(|| Response::none(429, executed));
            return (Next::End { condition, attempts: progress.attempts }, response);
        }
        let (tried, response) = match target {
            Target::Gone => (Tried::Failed, Response::none(404, None)),
            Target::Unknown => (Tried::Hindered, Response::none(500, None)),
            Target::Found(version) => match self.run(version).await {
                Some(done) => done,
                // It was not the event's fault: it is first in line after the next start.
                None => return (Next::Wait(self.event.progress.due), None),
            },
        };
        let Event { progress, settings, .. } = &self.event;
        (rules::after(progress, settings, tried, house.clock.now()), Some(response))
    }

    /// Finds what the event is for now, and how it is to be treated. What is gone is treated as it was last.
    async fn look(&mut self) -> (Target, Option<Arc<Function>>) {
        let catalogue = &self.lines.house().catalogue;
        let key = self.event.function();
        let function = catalogue.get(&key).await;
        let found = match &function {
            Ok(_) => catalogue.resolve(&key, self.event.requested.qualifier.as_ref()).await,
            Err(error) => Err(error.clone()),
        };
        let target = match found {
            Ok(version) => Target::Found(version),
            Err(CatalogueError::NotFound { .. }) => Target::Gone,
            Err(error) => {
                tracing::error!(%error, function = %key, "an event's function cannot be looked up");
                Target::Unknown
            }
        };
        let function = function.ok();
        if let (Target::Found(version), Some(function)) = (&target, &function) {
            self.event.settings = Settings::of(config(function, &self.event.requested), version);
        }
        (target, function)
    }

    /// Runs the function; nothing when the server's end came between.
    async fn run(&mut self, version: Arc<Version>) -> Option<(Tried, Response)> {
        let executed = Some(version.qualifier.clone());
        if version.state != State::Active {
            return Some((Tried::Hindered, Response::none(409, executed)));
        }
        let Event { id, principal, requested, payload, trace, progress, .. } = &self.event;
        let house = self.lines.house();
        let (now, accepted) = (house.clock.now(), progress.accepted);
        house.watch(&self.event.function()).enter(now, Sample::AsyncEventAge, now.since(accepted));
        let invocation = Invocation {
            id: *id,
            version,
            requested: requested.clone(),
            payload: payload.clone(),
            trace: trace.clone(),
            client_context: None,
            cognito_identity: None,
            tail: false,
        };
        match house.invoker.invoke(house.gate.readmit(principal, invocation)).await {
            Ok(reply) if reply.broken => {
                (!self.lines.is_ending()).then(|| (Tried::Hindered, Response::none(500, executed)))
            }
            Ok(reply) => Some(self.answered(reply)),
            Err(InvokeError::ShuttingDown) => None,
            // The function's own code failed, as it does when it answers with an error.
            Err(error @ InvokeError::Restore(_)) => {
                Some((Tried::Failed, Response::none(status(&error), executed)))
            }
            Err(error) => {
                tracing::info!(request_id = %id, function = %requested, %error, "an event waits");
                Some((Tried::Hindered, Response::none(status(&error), executed)))
            }
        }
    }

    fn answered(&mut self, reply: Reply) -> (Tried, Response) {
        self.end = Some(reply.end);
        let tried = if reply.function_error.is_some() { Tried::Failed } else { Tried::Succeeded };
        let response = Response {
            status: 200,
            executed: Some(reply.executed_version),
            function_error: reply.function_error.map(engine::FunctionError::as_str),
            payload: Some(reply.payload),
        };
        (tried, response)
    }

    /// Records what came of the attempt, all of it or nothing.
    async fn conclude(
        &mut self,
        token: LeaseToken,
        next: Next,
        response: Option<Response>,
    ) -> Result<(), StoreError> {
        let house = self.lines.house();
        let mut ended = None;
        let follow = match next {
            Next::Wait(at) => return house.store.release(token, at).await,
            Next::Retry(due) => {
                let Progress { accepted, attempts, .. } = self.event.progress;
                self.event.progress = Progress { accepted, due, attempts: attempts + 1 };
                vec![self.event.clone()]
            }
            Next::End { condition, attempts } => {
                ended = Some(condition);
                deliveries(house, &self.event, &Ending { condition, attempts, response }).await
            }
        };
        let enqueue = follow.iter().map(enqueued).collect();
        house.store.commit(Commit { settle: vec![token], enqueue, ..Commit::default() }).await?;
        for event in follow {
            if ended.is_some() {
                house.received(&event);
            }
            self.lines.stir(&event.function());
        }
        if ended.is_some_and(|condition| condition != Condition::Success) {
            house.watch(&self.event.function()).add(house.clock.now(), Count::AsyncEventsDropped);
        }
        Ok(())
    }
}

/// Does `work` while the lease on its event is kept.
async fn held<T>(house: &EventsSetup, token: LeaseToken, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = house.clock.sleep(BEAT) => {}
        }
        if let Err(error) = house.store.extend(token, house.clock.now() + LEASE).await {
            tracing::warn!(%error, message = token.message, "the lease on an event could not be extended");
        }
    }
}

/// An event whose step could not be recorded comes back when its lease runs out.
fn concluded(recorded: Result<(), StoreError>) {
    match recorded {
        Ok(()) => {}
        // The server was emptied, or was away for so long that another took the event.
        Err(StoreError::LeaseLost) => tracing::info!("an event was not ours any more"),
        Err(error) => tracing::error!(%error, "what came of an event could not be stored; it will run again"),
    }
}

/// What a caller who waits would have got.
fn status(error: &InvokeError) -> u16 {
    match error {
        InvokeError::Throttled { .. } | InvokeError::NoPlace { .. } | InvokeError::NoMemory { .. } => 429,
        InvokeError::Sandbox(start) if start.is_passing() => 429,
        InvokeError::Restore(RestoreError::Failed) => 400,
        InvokeError::Restore(RestoreError::TimedOut) => 408,
        InvokeError::Runtime(_) => 502,
        InvokeError::ShuttingDown => 503,
        InvokeError::TooLarge { .. }
        | InvokeError::Code(_)
        | InvokeError::Variables(_)
        | InvokeError::Sandbox(_) => 500,
    }
}
