//! Whether an invocation may run now: the ledger of what runs, and the budget of environments.

pub mod budget;
pub mod rules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::arn::{Qualifier, Scope};
use base::units::Concurrency;
use catalogue::{Catalogue, Event, FunctionKey, Subscription, Version};

pub use self::rules::AdmitError;
use self::rules::Ledger;
use crate::census::AccountUse;

/// Grants concurrency. Cheap to clone; clones share one ledger.
#[derive(Debug, Clone)]
pub struct Admission {
    books: Arc<Mutex<Books>>,
}

/// One unit of concurrency. It returns to its owner when dropped.
#[derive(Debug)]
pub struct Permit {
    books: Arc<Mutex<Books>>,
    function: FunctionKey,
    version: Qualifier,
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
        Self { books: Arc::new(Mutex::new(books)) }
    }

    /// Grants one unit to a version or says why not.
    pub fn admit(&self, version: &Version) -> Result<Permit, AdmitError> {
        let (function, version) = (version.key(), version.qualifier.clone());
        let mut books = lock(&self.books);
        books.catch_up();
        books.ledger.admit(&function, &version)?;
        drop(books);
        Ok(Permit { books: Arc::clone(&self.books), function, version })
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

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.books).ledger.release(&self.function, &self.version);
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
fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
