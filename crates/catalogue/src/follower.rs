//! Keeps the snapshot current.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::Clock;
use base::id::Digest;
use store::{Change, Document, Key, Revision, Store, StoreError, Watch};
use tokio::sync::{broadcast, watch};

use crate::code_signing::CodeSigningConfig;
use crate::mapping::Mapping;
use crate::record::{self, Place};
use crate::root::{Root, RootKey};
use crate::snapshot::Snapshot;
use crate::{CatalogueError, Function, FunctionKey, Layer};

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

    fn exchange<R: Root>(&mut self, old: Option<&R>, new: Option<&R>) {
        // New ones first, so that what both hold is held all the time.
        if let Some(new) = new {
            new.codes(&mut |code| *self.0.entry(code.digest).or_default() += 1);
        }
        if let Some(old) = old {
            old.codes(&mut |code| self.release(code.digest));
        }
    }

    fn release(&mut self, digest: Digest) {
        if let Some(count) = self.0.get_mut(&digest) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&digest);
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
    /// Changes of a commit that is not complete yet.
    commit: Vec<Change>,
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
        let (working, commit, told) = (Snapshot::default(), Vec::new(), Vec::new());
        let mut this = Self { store, clock, shared, working, commit, told, reached };
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
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.scan(record::PREFIX, after.as_ref(), PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|document| document.key.clone());
            for Document { key, revision, body } in page {
                // A root's key is the beginning of its parts', so it comes before them.
                if let Some(place) = Place::read(&key) {
                    take_over(&mut fresh, &place, revision, Some(&body))?;
                }
            }
            if !full {
                break;
            }
        }
        let mut references = References::default();
        add_up::<Function>(&mut fresh, &mut references);
        add_up::<Layer>(&mut fresh, &mut references);
        self.working = fresh;
        self.commit.clear();
        *self.shared.references.lock().expect("nobody panics while counting references") = references;
        self.told = vec![Event::Everything];
        self.show(revision);
        Ok(watch)
    }

    fn apply(&mut self, change: Change) {
        let complete = change.last.then_some(change.revision);
        self.commit.push(change);
        if let Some(revision) = complete {
            let commit = std::mem::take(&mut self.commit);
            self.take_over(&commit);
            self.show(revision);
        }
    }

    fn take_over(&mut self, commit: &[Change]) {
        let places = commit.iter().filter_map(|change| Some((Place::read(&change.key)?, change)));
        let mut roots: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, change) in places {
            let root = (place.kind, place.scope.clone(), place.name);
            roots.entry(root).or_default().push((place, change));
        }
        for ((kind, ..), changes) in roots {
            match kind {
                CodeSigningConfig::KIND => self.exchange::<CodeSigningConfig>(changes),
                Function::KIND => self.exchange::<Function>(changes),
                Layer::KIND => self.exchange::<Layer>(changes),
                Mapping::KIND => self.exchange::<Mapping>(changes),
                record::POOL => self.take_over_pool(&changes),
                _ => {}
            }
        }
    }

    /// Takes over what one commit changed of one root: its own document first, because parts need a root.
    fn exchange<R: Root>(&mut self, mut changes: Vec<(Place<'_>, &Change)>) {
        changes.sort_by_key(|(place, _)| place.part.is_some());
        let Some((Place { scope, name, .. }, _)) = changes.first() else { return };
        let old = R::shelves(&self.working).get(scope, name).cloned();
        for (place, change) in &changes {
            let shelves = R::shelves_mut(&mut self.working);
            if let Err(error) = shelves.take_over(place, change.revision, change.body.as_deref()) {
                tracing::error!(%error, "a change is not shown");
            }
        }
        let new = R::shelves(&self.working).get(scope, name);
        let mut references = self.shared.references.lock().expect("nobody panics while counting references");
        references.exchange(old.as_deref(), new.map(Arc::as_ref));
        let new = new.cloned();
        self.working.exchange_usage(scope, old.as_deref(), new.as_deref());
        if let Some(root) = new.as_ref().or(old.as_ref()) {
            self.told.extend(R::event(root.key(), new.is_none()));
        }
    }

    fn take_over_pool(&mut self, changes: &[(Place<'_>, &Change)]) {
        for (place, change) in changes {
            let revision = change.body.as_ref().map(|_| change.revision);
            self.working.set_pool(&place.scope, revision);
        }
    }

    fn show(&mut self, revision: Revision) {
        self.shared.snapshot.store(Arc::new(self.working.clone()));
        // Before those are answered who made the changes: whoever heard of one finds that all others did.
        for event in self.told.drain(..) {
            // Nobody listening is no error.
            let _ = self.shared.events.send(event);
        }
        self.reached.send_replace(revision);
    }
}

/// Takes over a document of any kind; those of other kinds than ours stand for themselves.
fn take_over(
    into: &mut Snapshot,
    place: &Place<'_>,
    revision: Revision,
    body: Option<&[u8]>,
) -> Result<(), CatalogueError> {
    match place.kind {
        CodeSigningConfig::KIND => into.code_signing.take_over(place, revision, body),
        Function::KIND => into.functions.take_over(place, revision, body),
        Layer::KIND => into.layers.take_over(place, revision, body),
        Mapping::KIND => into.mappings.take_over(place, revision, body),
        record::POOL => {
            into.set_pool(&place.scope, body.map(|_| revision));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Counts what the roots of one kind hold, once all are there.
fn add_up<R: Root>(all: &mut Snapshot, references: &mut References) {
    let roots: Vec<Arc<R>> = R::shelves(all).all().cloned().collect();
    for root in roots {
        references.exchange(None, Some(root.as_ref()));
        all.exchange_usage(root.key().scope(), None, Some(root.as_ref()));
    }
}
