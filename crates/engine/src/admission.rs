//! Whether an invocation may run now: the ledger of what runs, and the budget of environments.

pub mod budget;
mod ending;
pub mod memory;
pub mod rules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::arn::{FunctionArn, Qualifier, Scope};
use base::clock::{Clock, Timestamp};
use base::limits::LEASE_PATIENCE;
use base::units::Concurrency;
use catalogue::{Catalogue, Event, FunctionKey, Subscription, Version};

use self::ending::Ending;
pub use self::rules::AdmitError;
use self::rules::Ledger;
use self::rules::rates::Rates;
use crate::census::AccountUse;

/// Grants concurrency. Cheap to clone; clones share one ledger.
#[derive(Debug, Clone)]
pub struct Admission {
    books: Arc<Mutex<Books>>,
    ending: Arc<Ending>,
    rates: Option<Arc<Mutex<Rates>>>,
}

/// One unit of concurrency. It returns to its owner when dropped.
#[derive(Debug)]
pub struct Permit {
    books: Arc<Mutex<Books>>,
    ending: Arc<Ending>,
    function: FunctionKey,
    version: Qualifier,
    /// Whoever waits for the invocation is about to learn of its end.
    answered: bool,
}

impl Admission {
    /// A ledger in which each account has `account` in each region, and no function anything for itself.
    pub fn new(account: Concurrency) -> Self {
        Self::of(Books { ledger: Ledger::new(account), source: None })
    }

    /// The same with what the catalogue's functions have for themselves.
    pub fn following(account: Concurrency, catalogue: Catalogue) -> Self {
        let changes = catalogue.subscribe();
        let mut books = Books { ledger: Ledger::new(account), source: Some(Source { catalogue, changes }) };
        books.read_all();
        Self::of(books)
    }

    fn of(books: Books) -> Self {
        Self { books: Arc::new(Mutex::new(books)), ending: Arc::default(), rates: None }
    }

    /// The same with AWS's rates.
    pub fn with_rates(self) -> Self {
        Self { rates: Some(Arc::default()), ..self }
    }

    /// Counts a request that somebody waits for, or says that there were too many. Events have no rate.
    pub fn request(&self, version: &Version, now: Timestamp) -> Result<(), AdmitError> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let function = version.key();
        let (shares, limit) = {
            let books = lock(&self.books);
            (books.ledger.shares(&function).cloned().unwrap_or_default(), books.ledger.limit())
        };
        lock(rates).request(&function, &version.qualifier, &shares, limit, now)
    }

    /// Counts a new environment, or says that there were too many.
    pub fn start(&self, version: &FunctionArn, now: Timestamp) -> Result<(), AdmitError> {
        let Some(rates) = &self.rates else { return Ok(()) };
        lock(rates).start(&version.scope, &version.name, now)
    }

    /// Grants one unit to a version or says why not.
    pub fn admit(&self, version: &Version) -> Result<Permit, AdmitError> {
        let (function, version) = (version.key(), version.qualifier.clone());
        let mut books = lock(&self.books);
        books.catch_up();
        books.ledger.admit(&function, &version)?;
        drop(books);
        let (books, ending) = (Arc::clone(&self.books), Arc::clone(&self.ending));
        Ok(Permit { books, ending, function, version, answered: false })
    }

    /// The same, but where invocations have been answered and are about to end, waits [`LEASE_PATIENCE`] at most for
    /// what they give back: a caller that sends its next request at once is faster than the end of its last one.
    pub async fn admit_patiently(&self, version: &Version, clock: Clock) -> Result<Permit, AdmitError> {
        match self.admit(version) {
            Err(AdmitError::Account { .. } | AdmitError::Reserved { .. }) if self.ending.is_any() => {}
            decided => return decided,
        }
        let until = clock.now() + LEASE_PATIENCE;
        let waiting = self.ending.wait();
        loop {
            let (freed, any) = (waiting.freed(), self.ending.is_any());
            let refused = match self.admit(version) {
                Err(refused) if any => refused,
                decided => return decided,
            };
            let left = until.since(clock.now());
            if left.is_zero() {
                return Err(refused);
            }
            let _ = tokio::time::timeout(left, freed).await;
        }
    }

    /// Enters what changed since the last look, so that no invocation finds much of it to enter.
    pub fn catch_up(&self) {
        lock(&self.books).catch_up();
    }

    /// What an account uses now in a region.
    pub fn in_use(&self, scope: &Scope) -> Concurrency {
        lock(&self.books).ledger.in_use(scope)
    }

    /// What an account uses now in a region, and what it may.
    pub fn account_use(&self, scope: &Scope) -> AccountUse {
        let ledger = &lock(&self.books).ledger;
        let (running, unreserved) = (ledger.in_use(scope), ledger.unreserved(scope));
        AccountUse { running, unreserved, limit: ledger.limit() }
    }
}

impl Permit {
    /// Whoever waits for the invocation is about to learn of its end.
    pub fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.ending.begin();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.books).ledger.release(&self.function, &self.version);
        if self.answered {
            self.ending.end();
        }
        self.ending.tell();
    }
}

/// The ledger, and where it hears what functions have for themselves.
#[derive(Debug)]
struct Books {
    ledger: Ledger,
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    catalogue: Catalogue,
    changes: Subscription,
}

impl Books {
    /// Enters what changed since the last look. Changes are told before those who made them are answered, so who was
    /// told that nothing may run any more finds it so.
    fn catch_up(&mut self) {
        while let Some(event) = self.source.as_mut().and_then(|source| source.changes.try_next()) {
            match event {
                Event::Changed(function) | Event::Removed(function) => self.read(&function),
                Event::Everything => self.read_all(),
            }
        }
    }

    fn read(&mut self, function: &FunctionKey) {
        let Some(source) = &self.source else { return };
        let shares = source.catalogue.peek(function).map(|found| found.shares());
        self.ledger.allot(function, shares.unwrap_or_default());
    }

    fn read_all(&mut self) {
        let Some(source) = &self.source else { return };
        self.ledger.allot_all(source.catalogue.shares());
    }
}

/// The books hold plain numbers that every step leaves whole, so a panic elsewhere does not spoil them.
fn lock<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
