//! The catalogue: reads from the snapshot, writes through the store.

use std::fmt;
use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier, Scope};
use base::clock::Clock;
use base::id::{Digest, RevisionId};
use base::limits::CATALOGUE_ATTEMPTS;
use base::random::Dice;
use store::{Commit, Document, Key, Require, Revision, Store, StoreError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::follower::{Follower, Shared};
use crate::record::{self, Kind};
use crate::rules::{self, Numbering, Step};
use crate::{
    Busy, CatalogueError, CodeUpdate, ConfigurationUpdate, Function, FunctionKey, NewFunction, Reason,
    Subscription, Version,
};

/// What exists. Cheap to clone; clones share one snapshot.
#[derive(Clone)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    dice: Dice,
    shared: Arc<Shared>,
    reached: watch::Receiver<Revision>,
    follower: AbortHandle,
}

/// A change that waits to be finished with [`Catalogue::finish`] or [`Catalogue::fail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What it was asked to become.
    pub version: Arc<Version>,
    /// Whether the function is new or changed.
    pub busy: Busy,
}

impl Catalogue {
    /// Loads everything and follows the store from then on. Needs a tokio runtime.
    pub async fn open(store: Arc<dyn Store>, clock: Clock, dice: Dice) -> Result<Self, CatalogueError> {
        let (follower, watch, reached) = Follower::load(Arc::clone(&store), clock).await?;
        let shared = follower.shared();
        let follower = tokio::spawn(follower.run(watch)).abort_handle();
        Ok(Self { inner: Arc::new(Inner { store, clock, dice, shared, reached, follower }) })
    }

    /// At most `limit` functions of one account and region in the order of their names, those after `after`
    /// if given.
    pub fn functions(&self, scope: &Scope, after: Option<&str>, limit: usize) -> Vec<Arc<Function>> {
        self.inner.shared.snapshot.load().list(scope, after).take(limit).cloned().collect()
    }

    /// The function, as far as this process knows. Costs no I/O.
    pub fn peek(&self, key: &FunctionKey) -> Option<Arc<Function>> {
        self.inner.shared.snapshot.load().get(key).cloned()
    }

    /// The function. What this process does not know yet is read from the store.
    pub async fn get(&self, key: &FunctionKey) -> Result<Arc<Function>, CatalogueError> {
        match self.peek(key) {
            Some(function) => Ok(function),
            None => Ok(self.stored(key).await?.0),
        }
    }

    /// What an invocation of `key` runs: `$LATEST` as it was before a change that is still in progress.
    ///
    /// Its state is the caller's to judge.
    pub async fn resolve(
        &self,
        key: &FunctionKey,
        qualifier: Option<&Qualifier>,
    ) -> Result<Arc<Version>, CatalogueError> {
        let missing =
            || CatalogueError::NotFound { arn: FunctionArn { qualifier: qualifier.cloned(), ..key.arn() } };
        match qualifier {
            None | Some(Qualifier::Latest) => match self.get(key).await {
                Err(CatalogueError::NotFound { .. }) => Err(missing()),
                other => Ok(Arc::clone(&other?.live)),
            },
            Some(Qualifier::Version(_) | Qualifier::Alias(_)) => Err(missing()),
        }
    }

    /// Makes a function, pending until [`Catalogue::finish`].
    pub async fn create(&self, new: NewFunction) -> Result<Arc<Version>, CatalogueError> {
        let key = new.key.clone();
        for _ in 0..CATALOGUE_ATTEMPTS {
            let (numbering, unchanged) = self.numbering(&key).await?;
            let function = rules::create(new.clone(), numbering, self.step());
            let document = record::key_of(Kind::Function, &key);
            let commit = Commit {
                require: vec![Require::Absent(document.clone()), unchanged],
                put: vec![(document.clone(), record::write_function(&function))],
                ..Commit::default()
            };
            match self.commit(commit).await {
                Err(StoreError::Conflict(at)) if at == document => {
                    return Err(CatalogueError::AlreadyExists { name: key.name });
                }
                Err(StoreError::Conflict(_)) => {}
                other => return other.map(|()| function.latest).map_err(Into::into),
            }
        }
        Err(CatalogueError::Contended { key })
    }

    /// Begins a change of code.
    pub async fn update_code(
        &self,
        key: &FunctionKey,
        update: CodeUpdate,
    ) -> Result<Arc<Version>, CatalogueError> {
        self.change(key, |function, step| rules::update_code(function, update.clone(), step)).await
    }

    /// Begins a change of configuration.
    pub async fn update_configuration(
        &self,
        key: &FunctionKey,
        update: ConfigurationUpdate,
    ) -> Result<Arc<Version>, CatalogueError> {
        self.change(key, |function, step| rules::update_configuration(function, update.clone(), step)).await
    }

    /// Brings the change of this generation into force: a new function is active, an updated one runs the update.
    pub async fn finish(&self, key: &FunctionKey, generation: u64) -> Result<Arc<Version>, CatalogueError> {
        self.change(key, |function, step| rules::finish(function, generation, step)).await
    }

    /// Gives the change of this generation up. A failed update leaves what was before it running.
    pub async fn fail(
        &self,
        key: &FunctionKey,
        generation: u64,
        reason: Reason,
    ) -> Result<Arc<Version>, CatalogueError> {
        self.change(key, |function, step| rules::fail(function, generation, reason.clone(), step)).await
    }

    /// Removes a function with everything that belongs to it. Only the numbers of its versions stay.
    pub async fn delete(&self, key: &FunctionKey) -> Result<(), CatalogueError> {
        for _ in 0..CATALOGUE_ATTEMPTS {
            let (function, at) = self.stored(key).await?;
            let numbering = record::write_numbering(Numbering::after(&function));
            let commit = Commit {
                require: vec![at],
                put: vec![(record::key_of(Kind::Numbering, key), numbering)],
                delete: vec![record::key_of(Kind::Function, key)],
                ..Commit::default()
            };
            match self.commit(commit).await {
                Err(StoreError::Conflict(_)) => {}
                other => return Ok(other?),
            }
        }
        Err(CatalogueError::Contended { key: key.clone() })
    }

    /// Changes that nobody has finished; at the start, those that the last process left.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let snapshot = self.inner.shared.snapshot.load();
        let unfinished = |function: &Arc<Function>| {
            Some(Unfinished { version: Arc::clone(&function.latest), busy: rules::busy(function)? })
        };
        snapshot.all().filter_map(unfinished).collect()
    }

    /// Whether any function of any account needs this package.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.inner.shared.references.lock().expect("nobody panics while counting references").holds(digest)
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.inner.shared.events.subscribe())
    }

    /// Lets the rules decide on the stored function and stores what they make of it, again when another change
    /// came between.
    async fn change(
        &self,
        key: &FunctionKey,
        decide: impl Fn(&Function, Step) -> Result<Function, CatalogueError>,
    ) -> Result<Arc<Version>, CatalogueError> {
        for _ in 0..CATALOGUE_ATTEMPTS {
            let (function, at) = self.stored(key).await?;
            let changed = decide(&function, self.step())?;
            let commit = Commit {
                require: vec![at],
                put: vec![(record::key_of(Kind::Function, key), record::write_function(&changed))],
                ..Commit::default()
            };
            match self.commit(commit).await {
                Err(StoreError::Conflict(_)) => {}
                other => return other.map(|()| changed.latest).map_err(Into::into),
            }
        }
        Err(CatalogueError::Contended { key: key.clone() })
    }

    /// Commits, and waits until the snapshot shows it.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let revision = self.inner.store.commit(commit).await?;
        let mut reached = self.inner.reached.clone();
        reached.wait_for(|reached| *reached >= revision).await.map_err(|_| StoreError::Closed)?;
        Ok(())
    }

    /// The function in the store, and what holds as long as nobody changes it.
    async fn stored(&self, key: &FunctionKey) -> Result<(Arc<Function>, Require), CatalogueError> {
        let document = record::key_of(Kind::Function, key);
        let Some(Document { revision, body, .. }) = self.inner.store.get(&document).await? else {
            return Err(CatalogueError::NotFound { arn: key.arn() });
        };
        let function = record::read_function(&document, key, &body)?;
        Ok((function, Require::At(document, revision)))
    }

    /// The numbers that go on under this name, and what holds as long as nobody changes them.
    async fn numbering(&self, key: &FunctionKey) -> Result<(Numbering, Require), CatalogueError> {
        let document: Key = record::key_of(Kind::Numbering, key);
        Ok(match self.inner.store.get(&document).await? {
            None => (Numbering::default(), Require::Absent(document)),
            Some(Document { revision, body, .. }) => {
                (record::read_numbering(&document, &body)?, Require::At(document, revision))
            }
        })
    }

    fn step(&self) -> Step {
        Step { now: self.inner.clock.now(), revision: RevisionId::fresh(&self.inner.dice) }
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").field("reached", &*self.inner.reached.borrow()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[cfg(test)]
mod tests;
