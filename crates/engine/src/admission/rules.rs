//! Who may run, as pure counting.

use std::collections::HashMap;

use base::arn::Scope;
use base::units::Concurrency;

/// Why an invocation may not run now. AWS answers 429 `TooManyRequestsException`; safe to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The account's concurrency in the region is used up.
    #[error("the account's concurrency of {limit} is in use")]
    Account {
        /// The account's limit.
        limit: Concurrency,
    },
    /// The function's own, reserved concurrency is used up, or is zero.
    #[error("reserved concurrency of {reserved} is in use")]
    Reserved {
        /// What is reserved for the function.
        reserved: Concurrency,
    },
}

/// What runs, by owner.
#[derive(Debug)]
pub struct Ledger {
    account: Concurrency,
    running: HashMap<Scope, Concurrency>,
}

impl Ledger {
    /// An empty ledger with one limit for every account and region.
    pub fn new(account: Concurrency) -> Self {
        Self { account, running: HashMap::new() }
    }

    /// Counts one more, or refuses.
    pub fn admit(&mut self, scope: &Scope) -> Result<(), AdmitError> {
        let used = self.in_use(scope);
        if used >= self.account {
            return Err(AdmitError::Account { limit: self.account });
        }
        match self.running.get_mut(scope) {
            Some(running) => running.0 += 1,
            None => drop(self.running.insert(scope.clone(), Concurrency(1))),
        }
        Ok(())
    }

    /// Counts one less.
    pub fn release(&mut self, scope: &Scope) {
        let Some(running) = self.running.get_mut(scope) else { return };
        running.0 = running.0.saturating_sub(1);
        if running.0 == 0 {
            self.running.remove(scope);
        }
    }

    /// What one owner runs.
    pub fn in_use(&self, scope: &Scope) -> Concurrency {
        self.running.get(scope).copied().unwrap_or(Concurrency(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(region: &str) -> Scope {
        Scope { account: "000000000000".parse().expect("account"), region: region.parse().expect("region") }
    }

    #[test]
    fn an_account_is_limited_in_each_region_on_its_own() {
        let mut ledger = Ledger::new(Concurrency(2));
        let (here, there) = (scope("us-east-1"), scope("eu-west-1"));
        assert_eq!(ledger.admit(&here), Ok(()));
        assert_eq!(ledger.admit(&here), Ok(()));
        assert_eq!(ledger.admit(&here), Err(AdmitError::Account { limit: Concurrency(2) }));
        assert_eq!(ledger.admit(&there), Ok(()));
        ledger.release(&here);
        assert_eq!(ledger.admit(&here), Ok(()));
    }

    #[test]
    fn an_owner_that_runs_nothing_leaves_no_trace() {
        let mut ledger = Ledger::new(Concurrency(2));
        ledger.admit(&scope("us-east-1")).expect("room");
        ledger.release(&scope("us-east-1"));
        ledger.release(&scope("us-east-1"));
        assert!(ledger.running.is_empty());
    }
}
