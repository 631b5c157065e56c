//! What functions have of their account's concurrency for themselves.

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::units::Concurrency;

/// What one function has for itself: nobody else can use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    /// All that it may use, if it was reserved. Zero stops it.
    pub reserved: Option<Concurrency>,
    /// What is provisioned for published versions, within the reservation if there is one.
    pub provisioned: BTreeMap<u64, Concurrency>,
}

impl Shares {
    /// What is provisioned for one version.
    pub fn of_version(&self, version: u64) -> Concurrency {
        self.provisioned.get(&version).copied().unwrap_or(Concurrency(0))
    }

    /// What is provisioned for all versions.
    pub fn provisioned(&self) -> u64 {
        self.provisioned.values().map(|one| u64::from(one.0)).sum()
    }

    /// What others cannot use: the reservation, or without one what is provisioned.
    pub fn claimed(&self) -> u64 {
        self.reserved.map_or_else(|| self.provisioned(), |reserved| u64::from(reserved.0))
    }
}

/// Environments that a version or an alias keeps ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedConcurrency {
    /// How many were asked for.
    pub requested: Concurrency,
    /// When.
    pub last_modified: Timestamp,
}

impl crate::Function {
    pub fn shares(&self) -> Shares { Shares::default() }
}
impl crate::Catalogue {
    pub fn shares(&self) -> Vec<(crate::FunctionKey, Shares)> { Vec::new() }
}
