//! Who may run, as pure counting.

pub mod rates;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base::arn::{FunctionName, Qualifier, Scope};
use base::units::Concurrency;
use catalogue::{FunctionKey, Shares};

/// Why an invocation may not run now. AWS answers 429 `TooManyRequestsException`; safe to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The account's concurrency in the region is used up, apart from what functions have for themselves.
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
    /// More requests came in a second than AWS takes.
    #[error("more than {per_second} requests came in a second")]
    Requests {
        /// How many it takes.
        per_second: u64,
        /// Whether that goes by the function's own, reserved concurrency.
        reserved: bool,
        /// When it takes the next.
        after: Duration,
    },
    /// The function got as many new environments as AWS makes at once.
    #[error("{most} new environments came within ten seconds")]
    Starts {
        /// How many it makes.
        most: u64,
        /// When it makes the next.
        after: Duration,
    },
}

/// What runs, and what functions have for themselves, by account and region.
///
/// An invocation takes what is provisioned for its version first. Beyond that, a function with a reservation uses the
/// rest of it and nothing else; all other functions share what is left of the account's limit.
#[derive(Debug)]
pub struct Ledger {
    limit: Concurrency,
    accounts: HashMap<Scope, Account>,
}

/// The books of one account in one region.
#[derive(Debug, Default)]
struct Account {
    /// Those that run, or have something for themselves.
    functions: HashMap<FunctionName, Entry>,
    /// What runs.
    running: u64,
    /// What functions have for themselves, used or not.
    claimed: u64,
    /// What runs beyond that.
    pooled: u64,
}

#[derive(Debug, Default)]
struct Entry {
    shares: Shares,
    /// What runs of each version; only those that do.
    running: BTreeMap<Qualifier, u64>,
}

impl Ledger {
    /// An empty ledger with one limit for every account and region.
    pub fn new(limit: Concurrency) -> Self {
        Self { limit, accounts: HashMap::new() }
    }

    /// Counts one more of a version, or refuses.
    pub fn admit(&mut self, function: &FunctionKey, version: &Qualifier) -> Result<(), AdmitError> {
        let limit = self.limit;
        let account = self.accounts.entry(function.scope.clone()).or_default();
        account.may_run(&function.name, version, limit)?;
        account.change(&function.name, |entry| *entry.running.entry(version.clone()).or_default() += 1);
        Ok(())
    }

    /// Counts one less.
    pub fn release(&mut self, function: &FunctionKey, version: &Qualifier) {
        self.change(function, |entry| {
            let Some(running) = entry.running.get_mut(version) else { return };
            *running -= 1;
            if *running == 0 {
                entry.running.remove(version);
            }
        });
    }

    /// Notes what a function has for itself from now on. What runs already runs on, and counts.
    pub fn allot(&mut self, function: &FunctionKey, shares: Shares) {
        self.change(function, |entry| entry.shares = shares);
    }

    /// Notes what all functions have for themselves; whoever is not among them has nothing.
    pub fn allot_all(&mut self, all: impl IntoIterator<Item = (FunctionKey, Shares)>) {
        for account in self.accounts.values_mut() {
            let names: Vec<_> = account.functions.keys().cloned().collect();
            for name in names {
                account.change(&name, |entry| entry.shares = Shares::default());
            }
        }
        self.accounts.retain(|_, account| !account.functions.is_empty());
        for (function, shares) in all {
            self.allot(&function, shares);
        }
    }

    /// What a function has for itself.
    pub fn shares(&self, function: &FunctionKey) -> Option<&Shares> {
        Some(&self.accounts.get(&function.scope)?.functions.get(&function.name)?.shares)
    }

    /// What one account runs in a region.
    pub fn in_use(&self, scope: &Scope) -> Concurrency {
        let running = self.accounts.get(scope).map_or(0, |account| account.running);
        Concurrency(u32::try_from(running).unwrap_or(u32::MAX))
    }

    /// What one account runs in a region on what no function has for itself.
    pub fn unreserved(&self, scope: &Scope) -> Concurrency {
        let pooled = self.accounts.get(scope).map_or(0, |account| account.pooled);
        Concurrency(u32::try_from(pooled).unwrap_or(u32::MAX))
    }

    /// What each account may run in each region.
    pub const fn limit(&self) -> Concurrency {
        self.limit
    }

    fn change(&mut self, function: &FunctionKey, change: impl FnOnce(&mut Entry)) {
        let account = self.accounts.entry(function.scope.clone()).or_default();
        account.change(&function.name, change);
        if account.functions.is_empty() {
            self.accounts.remove(&function.scope);
        }
    }
}

impl Account {
    fn may_run(
        &self,
        name: &FunctionName,
        version: &Qualifier,
        limit: Concurrency,
    ) -> Result<(), AdmitError> {
        let nothing = Entry::default();
        let entry = self.functions.get(name).unwrap_or(&nothing);
        let (ready, total) = (entry.has_ready(version), u64::from(limit.0));
        let room = match entry.shares.reserved {
            Some(reserved) if entry.fills(reserved, ready) => return Err(AdmitError::Reserved { reserved }),
            Some(_) => true,
            None => ready || self.pooled < total.saturating_sub(self.claimed),
        };
        // What ran before others got something for themselves may still use it.
        if room && self.running < total { Ok(()) } else { Err(AdmitError::Account { limit }) }
    }

    /// Changes one function's entry and keeps the sums.
    fn change(&mut self, name: &FunctionName, change: impl FnOnce(&mut Entry)) {
        let entry = self.functions.entry(name.clone()).or_default();
        let before = entry.sums();
        change(entry);
        let after = entry.sums();
        if entry.running.is_empty() && entry.shares == Shares::default() {
            self.functions.remove(name);
        }
        self.running = self.running + after.running - before.running;
        self.claimed = self.claimed + after.claimed - before.claimed;
        self.pooled = self.pooled + after.pooled - before.pooled;
    }
}

/// What an entry adds to its account's sums.
struct Sums {
    running: u64,
    claimed: u64,
    pooled: u64,
}

impl Entry {
    fn sums(&self) -> Sums {
        let beyond = match self.shares.reserved {
            Some(reserved) => self.running().saturating_sub(u64::from(reserved.0)),
            None => self.on_demand(),
        };
        Sums { running: self.running(), claimed: self.shares.claimed(), pooled: beyond }
    }

    fn running(&self) -> u64 {
        self.running.values().sum()
    }

    /// What runs of all versions beyond what is provisioned for each.
    fn on_demand(&self) -> u64 {
        self.running.iter().map(|(version, running)| running.saturating_sub(self.provisioned(version))).sum()
    }

    /// Whether nothing of the reservation is left, be it for what is provisioned or for the rest. What ran before it
    /// was made or lowered counts.
    fn fills(&self, reserved: Concurrency, ready: bool) -> bool {
        let reserved = u64::from(reserved.0);
        let rest = reserved.saturating_sub(self.shares.provisioned());
        self.running() >= reserved || !ready && self.on_demand() >= rest
    }

    /// Whether something of what is provisioned for a version is free.
    fn has_ready(&self, version: &Qualifier) -> bool {
        self.running.get(version).copied().unwrap_or(0) < self.provisioned(version)
    }

    fn provisioned(&self, version: &Qualifier) -> u64 {
        match version {
            Qualifier::Version(number) => u64::from(self.shares.of_version(*number).0),
            Qualifier::Latest | Qualifier::Alias(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
