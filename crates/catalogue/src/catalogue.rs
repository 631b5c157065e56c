//! The catalogue: reads from the snapshot, writes through the store.

use std::fmt;
use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier, Scope};
use base::clock::Clock;
use base::id::{Digest, RevisionId};
use base::limits::{CATALOGUE_ATTEMPTS, CODE_STORAGE_BYTES};
use base::random::Dice;
use store::{Commit, Document, Require, Revision, Store, StoreError};
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;

use crate::follower::{Follower, Shared};
use crate::record;
use crate::root::{Differences, Root, RootKey};
use crate::rules::{self, Numbering, Step};
use crate::turns::Turns;
use crate::{
    Busy, CatalogueError, CodeUpdate, ConfigurationUpdate, Function, FunctionKey, NewFunction, Reason,
    Shares, Subscription, Usage, Version,
};

/// What exists. Cheap to clone; clones share one snapshot.
#[derive(Clone)]
pub struct Catalogue {
    inner: Arc<Inner>,
    /// Bytes that all archives of an account may have in a region.
    code_storage: u64,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    dice: Dice,
    shared: Arc<Shared>,
    reached: watch::Receiver<Revision>,
    /// Changes of one root.
    turns: Turns,
    /// Changes of shares, whatever function they are of. Taken before the function's turn.
    sharing: Mutex<()>,
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
        let (turns, sharing) = (Turns::default(), Mutex::default());
        let inner = Arc::new(Inner { store, clock, dice, shared, reached, turns, sharing, follower });
        Ok(Self { inner, code_storage: CODE_STORAGE_BYTES })
    }

    /// The same with another limit for all archives of an account in a region, in bytes.
    #[must_use]
    pub fn with_code_storage(self, bytes: u64) -> Self {
        Self { code_storage: bytes, ..self }
    }

    /// Bytes that all archives of an account may have in a region.
    pub const fn code_storage(&self) -> u64 {
        self.code_storage
    }

    /// At most `limit` roots of one account and region that `keep` wants, by name, those after `after` if given.
    pub fn list<R: Root>(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&R) -> bool,
    ) -> Vec<Arc<R>> {
        let snapshot = self.inner.shared.snapshot.load();
        let kept = R::shelves(&snapshot).list(scope, after).filter(|root| keep(root));
        kept.take(limit).cloned().collect()
    }

    /// The roots of all accounts and regions that `keep` wants.
    pub fn everywhere<R: Root>(&self, keep: impl Fn(&R) -> bool) -> Vec<Arc<R>> {
        let snapshot = self.inner.shared.snapshot.load();
        R::shelves(&snapshot).all().filter(|root| keep(root)).cloned().collect()
    }

    /// What has this name, as far as this process knows. Costs no I/O.
    pub fn peek<K: RootKey>(&self, key: &K) -> Option<Arc<K::Root>> {
        K::Root::shelves(&self.inner.shared.snapshot.load()).get(key.scope(), key.name()).cloned()
    }

    /// What has this name. What this process does not know yet is waited for.
    pub async fn get<K: RootKey>(&self, key: &K) -> Result<Arc<K::Root>, CatalogueError> {
        if let Some(root) = self.peek(key) {
            return Ok(root);
        }
        self.catch_up().await?;
        self.peek(key).ok_or_else(|| key.missing())
    }

    /// What an invocation of `key` runs: a version, and of `$LATEST` what was before a change that is still in
    /// progress. An alias with two versions leads to either, by weight, for each invocation anew.
    ///
    /// Its state is the caller's to judge.
    pub async fn resolve(
        &self,
        key: &FunctionKey,
        qualifier: Option<&Qualifier>,
    ) -> Result<Arc<Version>, CatalogueError> {
        let missing = || {
            let arn = FunctionArn { qualifier: qualifier.cloned(), ..key.arn() };
            CatalogueError::NotFound { arn: arn.to_string() }
        };
        let function = match self.get(key).await {
            Err(CatalogueError::NotFound { .. }) => return Err(missing()),
            other => other?,
        };
        let draw = || self.inner.dice.fraction();
        function.runs(qualifier.unwrap_or(&Qualifier::Latest), draw).cloned().ok_or_else(missing)
    }

    /// Makes a function, pending until [`Catalogue::finish`].
    pub async fn create(&self, new: NewFunction) -> Result<Arc<Function>, CatalogueError> {
        let key = new.key.clone();
        for _ in 0..CATALOGUE_ATTEMPTS {
            let (numbering, unchanged) = self.numbering(&key).await?;
            let function = rules::create(new.clone(), numbering, self.step());
            let commit = Commit { require: vec![unchanged], ..Commit::default() };
            self.fits(None, &function)?;
            match self.write(&key, None, Some(&function), commit).await {
                Err(StoreError::Conflict(at)) if at == record::key_of::<Function>(&key) => {
                    return Err(CatalogueError::AlreadyExists { name: key.name });
                }
                Err(StoreError::Conflict(_)) => {}
                other => return other.map(|()| Arc::new(function)).map_err(Into::into),
            }
        }
        Err(CatalogueError::Contended { key: key.to_string() })
    }

    /// Begins a change of code.
    pub async fn update_code(
        &self,
        key: &FunctionKey,
        update: CodeUpdate,
    ) -> Result<Arc<Function>, CatalogueError> {
        self.change(key, |function, step| rules::update_code(function, update.clone(), step)).await
    }

    /// Begins a change of configuration.
    pub async fn update_configuration(
        &self,
        key: &FunctionKey,
        update: ConfigurationUpdate,
    ) -> Result<Arc<Version>, CatalogueError> {
        self.change_latest(key, |function, step| rules::update_configuration(function, update.clone(), step))
            .await
    }

    /// Brings the change of this generation into force: a new function is active, an updated one runs the update.
    pub async fn finish(&self, key: &FunctionKey, generation: u64) -> Result<Arc<Version>, CatalogueError> {
        self.change_latest(key, |function, step| rules::finish(function, generation, step)).await
    }

    /// Gives the change of this generation up. A failed update leaves what was before it running.
    pub async fn fail(
        &self,
        key: &FunctionKey,
        generation: u64,
        reason: Reason,
    ) -> Result<Arc<Version>, CatalogueError> {
        self.change_latest(key, |function, step| rules::fail(function, generation, reason.clone(), step))
            .await
    }

    /// Removes a function with everything that belongs to it. Only the numbers of its versions stay.
    pub async fn delete(&self, key: &FunctionKey) -> Result<(), CatalogueError> {
        self.exchange(key, |function, _| {
            let function = function.ok_or_else(|| key.missing())?;
            let numbering = record::write_numbering(Numbering::after(function));
            let put = vec![(record::numbering_of(key), numbering)];
            Ok::<_, CatalogueError>((None, Commit { put, ..Commit::default() }))
        })
        .await?;
        Ok(())
    }

    /// Lets `decide` make of a root and its parts what they are to be, and stores what differs.
    ///
    /// `decide` is asked again when another change came between.
    pub async fn change<K: RootKey, E: From<CatalogueError> + Send>(
        &self,
        key: &K,
        decide: impl Fn(&K::Root, Step) -> Result<K::Root, E> + Send + Sync,
    ) -> Result<Arc<K::Root>, E> {
        self.upsert(key, |root, step| decide(root.ok_or_else(|| key.missing())?, step)).await
    }

    /// As [`Catalogue::change`], also where there is nothing yet.
    pub async fn upsert<K: RootKey, E: From<CatalogueError> + Send>(
        &self,
        key: &K,
        decide: impl Fn(Option<&K::Root>, Step) -> Result<K::Root, E> + Send + Sync,
    ) -> Result<Arc<K::Root>, E> {
        let made = |root: Option<&K::Root>, step| Ok((Some(decide(root, step)?), Commit::default()));
        let root = self.exchange::<K, E>(key, made).await?;
        Ok(Arc::new(root.expect("what is made is there")))
    }

    /// Removes a root with its parts, if `may` it go.
    pub async fn remove<K: RootKey, E: From<CatalogueError> + Send>(
        &self,
        key: &K,
        may: impl Fn(&K::Root) -> Result<(), E> + Send + Sync,
    ) -> Result<(), E> {
        self.exchange::<K, E>(key, |root, _| {
            may(root.ok_or_else(|| key.missing())?)?;
            Ok((None, Commit::default()))
        })
        .await?;
        Ok(())
    }

    /// As [`Catalogue::change`], for changes of what a function has of its account's concurrency for itself: `decide`
    /// is told what all functions of the account have, and no two such changes come through side by side.
    pub async fn change_shares<E: From<CatalogueError> + Send>(
        &self,
        key: &FunctionKey,
        decide: impl Fn(&Function, Usage, Step) -> Result<Function, E> + Send + Sync,
    ) -> Result<Arc<Function>, E> {
        let pool = record::pool_of(&key.scope);
        let changed = |function: Option<&Function>, step| {
            let snapshot = self.inner.shared.snapshot.load();
            let function = function.ok_or_else(|| key.missing())?;
            let changed = decide(function, snapshot.usage(&key.scope), step)?;
            let require = vec![match snapshot.pool(&key.scope) {
                Some(revision) => Require::At(pool.clone(), revision),
                None => Require::Absent(pool.clone()),
            }];
            let put = vec![(pool.clone(), record::write_pool())];
            Ok((Some(changed), Commit { require, put, ..Commit::default() }))
        };
        let _alone = self.inner.sharing.lock().await;
        let function = self.exchange::<FunctionKey, E>(key, changed).await?;
        Ok(Arc::new(function.expect("what is changed is there")))
    }

    /// What an account has in a region.
    pub fn usage(&self, scope: &Scope) -> Usage {
        self.inner.shared.snapshot.load().usage(scope)
    }

    /// What each function of any account has for itself; those are left out that have nothing.
    pub fn shares(&self) -> Vec<(FunctionKey, Shares)> {
        let snapshot = self.inner.shared.snapshot.load();
        let all = snapshot.functions.all().map(|function| (function, function.shares()));
        let some = all.filter(|(_, shares)| *shares != Shares::default());
        some.map(|(function, shares)| (function.key.clone(), shares)).collect()
    }

    /// Changes that nobody has finished; at the start, those that the last process left.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let snapshot = self.inner.shared.snapshot.load();
        let unfinished = |function: &Arc<Function>| {
            Some(Unfinished { version: Arc::clone(&function.latest), busy: rules::busy(function)? })
        };
        snapshot.functions.all().filter_map(unfinished).collect()
    }

    /// Versions of all functions whose init is to be made; at the start, those that the last process left.
    pub fn uninitialized(&self) -> Vec<Arc<Version>> {
        let snapshot = self.inner.shared.snapshot.load();
        snapshot
            .functions
            .all()
            .flat_map(|function| rules::versions::to_initialize(function))
            .cloned()
            .collect()
    }

    /// Whether any function or layer of any account needs this package.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.inner.shared.references.lock().expect("nobody panics while counting references").holds(digest)
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.inner.shared.events.subscribe())
    }

    /// A change of `$LATEST`; answers what became of it.
    async fn change_latest(
        &self,
        key: &FunctionKey,
        decide: impl Fn(&Function, Step) -> Result<Function, CatalogueError> + Send + Sync,
    ) -> Result<Arc<Version>, CatalogueError> {
        Ok(Arc::clone(&self.change(key, decide).await?.latest))
    }

    /// Stores what `decide` makes of a root, and what else it wants stored with it. It decides on what this process
    /// knows; a refusal, and a conflict with another change, count only when that was all there is to know.
    async fn exchange<K: RootKey, E: From<CatalogueError> + Send>(
        &self,
        key: &K,
        decide: impl Fn(Option<&K::Root>, Step) -> Result<(Option<K::Root>, Commit), E> + Send + Sync,
    ) -> Result<Option<K::Root>, E> {
        let _turn = self.inner.turns.of(&record::key_of::<K::Root>(key)).await;
        for _ in 0..CATALOGUE_ATTEMPTS {
            let old = self.peek(key);
            let (new, commit) = match decide(old.as_deref(), self.step()) {
                Ok(decided) => decided,
                Err(_) if self.catch_up().await? => continue,
                Err(error) => return Err(error),
            };
            if let Some(new) = &new {
                self.fits(old.as_deref(), new)?;
            }
            match self.write(key, old.as_deref(), new.as_ref(), commit).await {
                Err(StoreError::Conflict(_)) => drop(self.catch_up().await?),
                other => return other.map(|()| new).map_err(|error| CatalogueError::from(error).into()),
            }
        }
        Err(CatalogueError::Contended { key: key.to_string() }.into())
    }

    /// Whether an account's archives stay within their limit when one root takes another's place. Who adds nothing
    /// may always; those who add side by side may together add too much.
    fn fits<R: Root>(&self, old: Option<&R>, new: &R) -> Result<(), CatalogueError> {
        let (before, after) = (old.map_or(0, |old| old.usage().code), new.usage().code);
        let others = self.usage(new.key().scope()).code.saturating_sub(before);
        match after > before && others + after > self.code_storage {
            true => Err(CatalogueError::CodeStorage { limit: self.code_storage }),
            false => Ok(()),
        }
    }

    /// Stores what differs between two states of a root, if the old one is still what the store has.
    async fn write<K: RootKey>(
        &self,
        key: &K,
        old: Option<&K::Root>,
        new: Option<&K::Root>,
        mut commit: Commit,
    ) -> Result<(), StoreError> {
        let document = record::key_of::<K::Root>(key);
        commit.require.push(match old {
            Some(old) => Require::At(document, old.stored()),
            None => Require::Absent(document),
        });
        self.commit(Differences::between(key, old, new, commit)).await
    }

    /// Waits until the snapshot shows what the store has now. Whether it had to.
    async fn catch_up(&self) -> Result<bool, CatalogueError> {
        let revision = self.inner.store.revision().await?;
        let behind = *self.inner.reached.borrow() < revision;
        self.shows(revision).await?;
        Ok(behind)
    }

    /// Commits, and waits until the snapshot shows it.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let revision = self.inner.store.commit(commit).await?;
        self.shows(revision).await
    }

    async fn shows(&self, revision: Revision) -> Result<(), StoreError> {
        let mut reached = self.inner.reached.clone();
        reached.wait_for(|reached| *reached >= revision).await.map_err(|_| StoreError::Closed)?;
        Ok(())
    }

    /// The numbers that go on under this name, and what holds as long as nobody changes them.
    async fn numbering(&self, key: &FunctionKey) -> Result<(Numbering, Require), CatalogueError> {
        let document = record::numbering_of(key);
        Ok(match self.inner.store.get(&document).await? {
            None => (Numbering::default(), Require::Absent(document)),
            Some(Document { revision, body, .. }) => {
                (record::read_numbering(&document, &body)?, Require::At(document, revision))
            }
        })
    }

    fn step(&self) -> Step {
        let fresh = || RevisionId::fresh(&self.inner.dice);
        Step { now: self.inner.clock.now(), revision: fresh(), part: fresh() }
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
