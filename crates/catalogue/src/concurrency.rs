//! What functions have of their account's concurrency for themselves.

use std::collections::BTreeMap;

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::units::Concurrency;

use crate::Function;

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

impl Function {
    /// What it has for itself. What is provisioned for an alias goes to the versions that it leads to.
    pub fn shares(&self) -> Shares {
        let mut provisioned = BTreeMap::new();
        for (qualifier, config) in &self.provisioned {
            for (version, part) in self.split(qualifier, config.requested) {
                provisioned.entry(version).or_insert(Concurrency(0)).0 += part.0;
            }
        }
        provisioned.retain(|_, part| part.0 > 0);
        Shares { reserved: self.reserved, provisioned }
    }

    /// What each version gets of environments that are kept ready under a qualifier: an alias that leads to two
    /// versions splits them by weight.
    pub fn split(&self, qualifier: &Qualifier, all: Concurrency) -> Vec<(u64, Concurrency)> {
        let alias = match qualifier {
            Qualifier::Latest => return Vec::new(),
            Qualifier::Version(number) => return vec![(*number, all)],
            Qualifier::Alias(name) => self.aliases.get(name),
        };
        let Some(alias) = alias else { return Vec::new() };
        let second = alias.routing.map(|routing| {
            // A weight is at most one, so the part is no more than the whole.
            (routing.version, Concurrency((f64::from(all.0) * routing.weight.get()) as u32))
        });
        let rest = Concurrency(all.0 - second.map_or(0, |(_, part)| part.0));
        let first = match alias.version {
            Qualifier::Version(number) => Some((number, rest)),
            Qualifier::Latest | Qualifier::Alias(_) => None,
        };
        first.into_iter().chain(second).collect()
    }
}
