//! Whether an invocation may run now: the ledger of what runs, and the budget of environments.

pub mod budget;
pub mod rules;

use std::sync::{Arc, Mutex, PoisonError};

use base::arn::Scope;
use base::units::Concurrency;

pub use self::rules::AdmitError;
use self::rules::Ledger;

/// Grants concurrency. Cheap to clone; clones share one ledger.
#[derive(Debug, Clone)]
pub struct Admission {
    ledger: Arc<Mutex<Ledger>>,
}

/// One unit of concurrency. It returns to its owner when dropped.
#[derive(Debug)]
pub struct Permit {
    ledger: Arc<Mutex<Ledger>>,
    scope: Scope,
}

impl Admission {
    /// A ledger in which each account has `account` in each region.
    pub fn new(account: Concurrency) -> Self {
        Self { ledger: Arc::new(Mutex::new(Ledger::new(account))) }
    }

    /// Grants one unit or says why not.
    pub fn admit(&self, scope: &Scope) -> Result<Permit, AdmitError> {
        lock(&self.ledger).admit(scope)?;
        Ok(Permit { ledger: Arc::clone(&self.ledger), scope: scope.clone() })
    }

    /// What an account uses now in a region.
    pub fn in_use(&self, scope: &Scope) -> Concurrency {
        lock(&self.ledger).in_use(scope)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.ledger).release(&self.scope);
    }
}

/// The ledger holds plain numbers that every step leaves whole, so a panic elsewhere does not spoil it.
fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
