//! What stands and what runs now, for whoever watches the engine.

use std::collections::HashMap;

use base::arn::{FunctionName, Scope};
use base::units::Concurrency;

use crate::Engine;
pub use crate::pool::census::Environments;

/// What stands and what runs now.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Environments by function; only of functions that have some.
    pub functions: HashMap<(Scope, FunctionName), Environments>,
    /// Pools: versions that have environments, or requests that wait for one.
    pub pools: usize,
    /// How many environments the machine carries.
    pub places: usize,
}

/// What one account uses of its concurrency in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountUse {
    /// Everything that runs.
    pub running: Concurrency,
    /// What of it runs on what no function has for itself.
    pub unreserved: Concurrency,
    /// The account's limit.
    pub limit: Concurrency,
}

impl Engine {
    /// Counts what stands. Takes each pool's lock for a moment.
    pub fn census(&self) -> Census {
        let (functions, pools) = self.pools.census();
        Census { functions, pools, places: self.pools.places() }
    }

    /// What an account uses now.
    pub fn account_use(&self, scope: &Scope) -> AccountUse {
        self.admission.account_use(scope)
    }
}
