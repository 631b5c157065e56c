//! Asynchronous invocations: taken, stored, run until they are done, and told to whoever wants to know.
//!
//! Every function has a queue in the store, and as long as there is something in it a line that works on it. An event
//! leaves its queue only in the commit that records what followed: the next attempt, or the events for destinations.
//! So a process that is killed loses nothing; what it was doing is done again when its lease has run out.
//!
//! Of the services that events can end in, only Lambda is here. What is meant for queues, topics, event buses and
//! buckets ends as a warning in the server's log.

mod attempt;
mod delivery;
mod ending;
mod lines;
mod rules;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use access::{Authorized, Gate};
use async_trait::async_trait;
use base::clock::Clock;
use base::random::Dice;
use catalogue::{Catalogue, FunctionKey};
use engine::{Engine, Invocation, InvokeError, Reply};
use record::Metrics;
use record::metrics::{Count, Watch};
use store::{Commit, Enqueue, Store, StoreError};

use self::lines::Lines;
use self::rules::{Progress, Settings};
use self::stored::{Event, PREFIX, function_of, queue_of};

/// Runs one invocation: the engine, or what tests put in its place.
#[async_trait]
pub trait Invoker: Send + Sync + 'static {
    /// Runs a function and answers as soon as it did.
    async fn invoke(&self, invocation: Authorized<Invocation>) -> Result<Reply, InvokeError>;
}

#[async_trait]
impl Invoker for Engine {
    async fn invoke(&self, invocation: Authorized<Invocation>) -> Result<Reply, InvokeError> {
        Engine::invoke(self, invocation).await
    }
}

/// What [`Events`] are made of.
pub struct EventsSetup {
    /// Where they wait.
    pub store: Arc<dyn Store>,
    /// What exists.
    pub catalogue: Catalogue,
    /// Runs them.
    pub invoker: Arc<dyn Invoker>,
    /// Who may do what.
    pub gate: Gate,
    /// Where what becomes of events is counted.
    pub metrics: Metrics,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
}

impl EventsSetup {
    /// Where a function's events are counted. One that is gone gets no figures again.
    fn watch(&self, function: &FunctionKey) -> Watch {
        match self.catalogue.peek(function) {
            Some(_) => self.metrics.watch(&function.scope, &function.name),
            None => self.metrics.of_gone(&function.scope),
        }
    }

    /// An event is in its queue.
    fn received(&self, event: &Event) {
        self.watch(&event.function()).add(event.progress.accepted, Count::AsyncEventsReceived);
    }
}

/// Why an event was not taken, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// It may be stored all the same.
    #[error("the event could not be stored")]
    Store(#[from] StoreError),
    /// The server ends.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Events that nobody waits for. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Events {
    lines: Lines,
}

impl Events {
    /// No event runs before [`Events::resume`], or one is accepted. Needs a tokio runtime.
    pub fn new(setup: EventsSetup) -> Self {
        Self { lines: Lines::new(setup) }
    }

    /// Goes on with what an earlier process left.
    pub async fn resume(&self) -> Result<(), EventsError> {
        for queue in self.lines.house().store.queues(PREFIX).await? {
            match function_of(&queue) {
                Some(function) => self.lines.stir(&function),
                None => tracing::error!(
                    queue = &*queue,
                    "a queue of events is left alone: its name is no function's"
                ),
            }
        }
        Ok(())
    }

    /// Takes an event. It is on stable storage when this answers, and will run whatever becomes of the process.
    ///
    /// Dropping the returned future changes nothing.
    pub async fn accept(&self, invocation: Authorized<Invocation>) -> Result<(), EventsError> {
        let event = arrived(self.lines.house(), invocation);
        let lines = self.lines.clone();
        // Who stores an event must live to tell its line.
        let stored = tokio::spawn(async move {
            let enqueue = vec![enqueued(&event)];
            lines.house().store.commit(Commit { enqueue, ..Commit::default() }).await?;
            lines.house().received(&event);
            lines.stir(&event.function());
            Ok(())
        });
        stored.await.unwrap_or(Err(EventsError::ShuttingDown))
    }

    /// Starts nothing any more, and waits at most `bound` for what is under way. What is left is done after the next
    /// start.
    pub async fn drain(&self, bound: Duration) {
        self.lines.drain(bound).await;
    }
}

/// The event that an invocation is until it runs.
fn arrived(house: &EventsSetup, invocation: Authorized<Invocation>) -> Event {
    let principal = invocation.principal().clone();
    let Invocation { id, version, requested, payload, trace, .. } = invocation.into_inner();
    let now = house.clock.now();
    let function = house.catalogue.peek(&version.key());
    let config = function.as_deref().and_then(|function| attempt::config(function, &requested));
    let settings = Settings::of(config, &version);
    let progress = Progress { accepted: now, due: now, attempts: 0 };
    Event { id, principal, requested, payload, trace, progress, settings }
}

/// An event on its way into its queue.
fn enqueued(event: &Event) -> Enqueue {
    Enqueue { queue: queue_of(&event.function()), body: event.write(), not_before: event.progress.due }
}

#[cfg(test)]
mod tests;
