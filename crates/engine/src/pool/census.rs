//! How many environments are in which state.

use std::collections::HashMap;

use base::arn::{FunctionName, Scope};

use super::Pool;
use super::pools::Pools;
use super::rules::Occupancy;

/// Environments by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Environments {
    /// Not ready for a first request yet.
    pub starting: usize,
    /// Waiting for a request.
    pub idle: usize,
    /// Running one, or starting again after a failed one.
    pub busy: usize,
}

impl Pools {
    /// All environments by function, and how many pools there are.
    pub fn census(&self) -> (HashMap<(Scope, FunctionName), Environments>, usize) {
        let mut functions: HashMap<_, Environments> = HashMap::new();
        let pools = self.matching(|_| true);
        for pool in &pools {
            let version = &pool.key().version;
            let there = functions.entry((version.scope.clone(), version.name.clone())).or_default();
            there.add(pool.environments());
        }
        (functions, pools.len())
    }
}

impl Pool {
    fn environments(&self) -> Environments {
        let Occupancy { members, idle, starting } = self.lock().occupancy();
        Environments { starting, idle, busy: members - idle - starting }
    }
}

impl Environments {
    fn add(&mut self, more: Self) {
        self.starting += more.starting;
        self.idle += more.idle;
        self.busy += more.busy;
    }
}
