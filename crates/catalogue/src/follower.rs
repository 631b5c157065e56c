//! Keeps the snapshot current.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::Clock;
use base::id::Digest;
use store::{Change, Document, Key, Revision, Store, StoreError, Watch};
use tokio::sync::{broadcast, watch};

use crate::record::{self, Kind};
use crate::snapshot::Snapshot;
use crate::{CatalogueError, Function, FunctionKey};

/// Documents that are loaded at once.
const PAGE: usize = 1000;

/// Events that a subscriber may be behind before it is told [`Event::Everything`].
pub(crate) const EVENTS: usize = 4096;

/// Pause after the store refused to be followed.
const RETRY: Duration = Duration::from_secs(1);

/// What happened to a function. The snapshot shows it already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was made or changed.
    Changed(FunctionKey),
    /// It is gone.
    Removed(FunctionKey),
    /// Anything may have happened: the subscriber was too slow, or the snapshot was loaded anew.
    Everything,
}

/// Tells of changes in the order in which the snapshot shows them.
#[derive(Debug)]
pub struct Subscription(pub(crate) broadcast::Receiver<Event>);

impl Subscription {
    /// The next event; none when the catalogue is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Everything),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Event::Everything),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}

/// What readers and the follower share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) references: Mutex<References>,
    pub(crate) events: broadcast::Sender<Event>,
}

/// How many functions hold each package.
#[derive(Debug, Default)]
pub(crate) struct References(HashMap<Digest, usize>);

impl References {
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    fn exchange(&mut self, old: Option<&Function>, new: Option<&Function>) {
        // New ones first, so that what both hold is held all the time.
        for code in new.into_iter().flat_map(Function::codes) {
            *self.0.entry(code.digest).or_default() += 1;
        }
        for code in old.into_iter().flat_map(Function::codes) {
            if let Some(count) = self.0.get_mut(&code.digest) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&code.digest);
                }
            }
        }
    }
}

/// Applies changes to a working copy and shows it whenever a commit is complete.
pub(crate) struct Follower {
    store: Arc<dyn Store>,
    clock: Clock,
    shared: Arc<Shared>,
    working: Snapshot,
    told: Vec<Event>,
    reached: watch::Sender<Revision>,
}

impl Follower {
    /// Loads everything. The receiver tells which revision the snapshot has.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        clock: Clock,
    ) -> Result<(Self, Watch, watch::Receiver<Revision>), CatalogueError> {
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::default(),
            references: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
        });
        let (reached, reader) = watch::channel(Revision(0));
        let mut this = Self { store, clock, shared, working: Snapshot::default(), told: Vec::new(), reached };
        let watch = this.reload().await?;
        Ok((this, watch, reader))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Follows until the store closes.
    pub(crate) async fn run(mut self, mut watch: Watch) {
        loop {
            let mut followed = false;
            while let Some(change) = watch.next().await {
                self.apply(change);
                followed = true;
            }
            if !followed {
                // A store that lets itself be watched and then cannot be read must not be asked without pause.
                self.clock.sleep(RETRY).await;
            }
            watch = loop {
                match self.resume().await {
                    Ok(watch) => break watch,
                    Err(CatalogueError::Store(StoreError::Closed)) => return,
                    Err(error) => {
                        tracing::error!(%error, "the catalogue cannot follow the store; it tries again")
                    }
                }
                self.clock.sleep(RETRY).await;
            };
        }
    }

    async fn resume(&mut self) -> Result<Watch, CatalogueError> {
        let reached = *self.reached.borrow();
        match self.store.watch(reached).await {
            Err(StoreError::Gone { .. }) => self.reload().await,
            other => Ok(other?),
        }
    }

    /// Loads all documents; those that change meanwhile come again through the watch.
    async fn reload(&mut self) -> Result<Watch, CatalogueError> {
        let revision = self.store.revision().await?;
        let watch = self.store.watch(revision).await?;
        let mut fresh = Snapshot::default();
        let mut references = References::default();
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.scan(record::PREFIX, after.as_ref(), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|document| document.key.clone());
            for Document { key, body, .. } in page {
                if let Some((Kind::Function, name)) = record::read_key(&key) {
                    let function = record::read_function(&key, &name, &body)?;
                    references.exchange(None, Some(&function));
                    fresh.insert(function);
                }
            }
            if !full {
                break;
            }
        }
        self.working = fresh;
        *self.shared.references.lock().expect("nobody panics while counting references") = references;
        self.told = vec![Event::Everything];
        self.show(revision);
        Ok(watch)
    }

    fn apply(&mut self, change: Change) {
        if let Some((Kind::Function, name)) = record::read_key(&change.key) {
            match change.body.map(|body| record::read_function(&change.key, &name, &body)).transpose() {
                Ok(function) => self.exchange(name, function),
                Err(error) => tracing::error!(%error, "a changed function is not shown"),
            }
        }
        if change.last {
            self.show(change.revision);
        }
    }

    fn exchange(&mut self, name: FunctionKey, function: Option<Arc<Function>>) {
        let (old, event) = match &function {
            Some(function) => (self.working.insert(Arc::clone(function)), Event::Changed(name)),
            None => (self.working.remove(&name), Event::Removed(name)),
        };
        let mut references = self.shared.references.lock().expect("nobody panics while counting references");
        references.exchange(old.as_deref(), function.as_deref());
        self.told.push(event);
    }

    fn show(&mut self, revision: Revision) {
        self.shared.snapshot.store(Arc::new(self.working.clone()));
        self.reached.send_replace(revision);
        for event in self.told.drain(..) {
            // Nobody listening is no error.
            let _ = self.shared.events.send(event);
        }
    }
}
