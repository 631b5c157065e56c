//! A line for each function that has events: takes what is due, as much as may run at once, and sleeps otherwise.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::limits::{EVENTS_AT_ONCE, FUNCTION_EVENTS_AT_ONCE};
use base::units::Concurrency;
use catalogue::FunctionKey;
use store::StoreError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use super::EventsSetup;
use super::attempt::{LEASE, attempt};
use super::stored::queue_of;

/// Time before a line whose store failed asks again. Ours.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// All lines. Cheap to clone; clones share them.
#[derive(Clone)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    house: EventsSetup,
    lines: Mutex<HashMap<FunctionKey, Arc<Line>>>,
    /// How many lines there are.
    alive: watch::Sender<usize>,
    /// Room for what runs at once, beyond one event of each function.
    room: Arc<Semaphore>,
    ending: watch::Sender<bool>,
}

/// What a line and those who wake it share.
#[derive(Default)]
struct Line {
    /// Whether something came that the line has not looked at.
    news: AtomicBool,
    stirred: Notify,
}

impl Lines {
    pub(super) fn new(house: EventsSetup) -> Self {
        let (alive, ending) = (watch::Sender::new(0), watch::Sender::new(false));
        let room = Arc::new(Semaphore::new(EVENTS_AT_ONCE));
        Self { shared: Arc::new(Shared { house, lines: Mutex::default(), alive, room, ending }) }
    }

    /// What events are made of.
    pub(super) fn house(&self) -> &EventsSetup {
        &self.shared.house
    }

    /// Has a function's line look at its queue; makes the line if there is none.
    pub(super) fn stir(&self, function: &FunctionKey) {
        let mut lines = self.lock();
        if self.is_ending() {
            return;
        }
        let line = match lines.entry(function.clone()) {
            Entry::Occupied(there) => Arc::clone(there.get()),
            Entry::Vacant(place) => {
                let line = Arc::clone(place.insert(Arc::default()));
                self.shared.alive.send_modify(|alive| *alive += 1);
                tokio::spawn(Worker::new(self.clone(), function.clone(), Arc::clone(&line)).work());
                line
            }
        };
        line.news.store(true, Ordering::Release);
        line.stirred.notify_one();
    }

    /// Starts nothing any more, and waits at most `bound` for what is under way.
    pub(super) async fn drain(&self, bound: Duration) {
        {
            // Under the lock, so that whoever stirs sees it or has made its line before.
            let _lines = self.lock();
            self.shared.ending.send_replace(true);
        }
        let mut alive = self.shared.alive.subscribe();
        let _ = tokio::time::timeout(bound, alive.wait_for(|alive| *alive == 0)).await;
    }

    /// Whether the server ends.
    pub(super) fn is_ending(&self) -> bool {
        *self.shared.ending.borrow()
    }

    async fn ended(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.shared.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// The map is whole between any two statements that can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionKey, Arc<Line>>> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a line.
struct Worker {
    lines: Lines,
    function: FunctionKey,
    queue: Arc<str>,
    line: Arc<Line>,
    under_way: JoinSet<()>,
    /// The place of the one event that needs no room: nobody else can keep a function from its events.
    own: Arc<Semaphore>,
    /// A place that was waited for.
    spare: Option<OwnedSemaphorePermit>,
}

impl Worker {
    fn new(lines: Lines, function: FunctionKey, line: Arc<Line>) -> Self {
        let (queue, own) = (queue_of(&function), Arc::new(Semaphore::new(1)));
        Self { lines, function, queue, line, under_way: JoinSet::new(), own, spare: None }
    }

    /// Works until there is nothing in the queue, or the server ends.
    async fn work(mut self) {
        while !self.lines.is_ending() {
            self.line.news.store(false, Ordering::Release);
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => {
                    if self.leave() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, queue = &*self.queue, "a queue of events does not answer");
                    self.rest(Some(STORE_RETRY)).await;
                }
            }
        }
        while let Some(ended) = self.under_way.join_next().await {
            noted(ended);
        }
        self.line.news.store(false, Ordering::Release);
        self.leave();
    }

    /// Starts what is due and may run, or sleeps until there may be something. Whether there is anything to wait for.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        while let Some(ended) = self.under_way.try_join_next() {
            noted(ended);
        }
        let now = self.lines.house().clock.now();
        match self.lines.house().store.queue_due(&self.queue).await? {
            None if self.under_way.is_empty() => return Ok(false),
            None => self.rest(None).await,
            Some(due) if due > now => self.rest(Some(due.since(now))).await,
            Some(_) => self.start().await?,
        }
        Ok(true)
    }

    /// Starts as many events as there are places for.
    async fn start(&mut self) -> Result<(), StoreError> {
        let places = self.places();
        if places.is_empty() {
            self.wait_for_place().await;
            return Ok(());
        }
        let house = self.lines.house();
        let claimed = house.store.claim(&self.queue, places.len(), LEASE, house.clock.now()).await?;
        for (claimed, place) in claimed.into_iter().zip(places) {
            let lines = self.lines.clone();
            self.under_way.spawn(async move {
                attempt(&lines, claimed).await;
                drop(place);
            });
        }
        Ok(())
    }

    /// The places that are free now.
    fn places(&mut self) -> Vec<OwnedSemaphorePermit> {
        let room = &self.lines.shared.room;
        let own = Arc::clone(&self.own).try_acquire_owned().ok();
        let shared = std::iter::from_fn(|| Arc::clone(room).try_acquire_owned().ok());
        let free = self.limit().saturating_sub(self.under_way.len());
        own.into_iter().chain(self.spare.take()).chain(shared).take(free).collect()
    }

    async fn wait_for_place(&mut self) {
        let more = self.under_way.len() < self.limit();
        let room = Arc::clone(&self.lines.shared.room);
        tokio::select! {
            Some(ended) = self.under_way.join_next() => noted(ended),
            permit = room.acquire_owned(), if more => self.spare = permit.ok(),
            () = self.lines.ended() => {}
        }
    }

    /// Events of this function that may run at once. More than is reserved for it would only be throttled, and lose
    /// their order.
    fn limit(&self) -> usize {
        let function = self.lines.house().catalogue.peek(&self.function);
        match function.and_then(|function| function.reserved) {
            Some(Concurrency(reserved @ 1..)) => FUNCTION_EVENTS_AT_ONCE.min(reserved as usize),
            // Where nothing may run, events end as fast as they come.
            Some(Concurrency(0)) | None => FUNCTION_EVENTS_AT_ONCE,
        }
    }

    /// Sleeps until something happens, or for `time`.
    async fn rest(&mut self, time: Option<Duration>) {
        let clock = self.lines.house().clock;
        tokio::select! {
            () = self.line.stirred.notified() => {}
            Some(ended) = self.under_way.join_next() => noted(ended),
            () = clock.sleep(time.unwrap_or_default()), if time.is_some() => {}
            () = self.lines.ended() => {}
        }
    }

    /// Ends the line, unless something came meanwhile.
    fn leave(&self) -> bool {
        let mut lines = self.lines.lock();
        if self.line.news.load(Ordering::Acquire) {
            return false;
        }
        lines.remove(&self.function);
        self.lines.shared.alive.send_modify(|alive| *alive -= 1);
        true
    }
}

/// What is left of an attempt that broke comes back when its lease runs out.
fn noted(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt at an event broke");
    }
}
