//! What a function may have of its account's concurrency for itself.

use std::sync::Arc;

use base::arn::Qualifier;
use base::limits::UNRESERVED_CONCURRENCY;
use base::units::Concurrency;

use super::Step;
use crate::{CatalogueError, Function, ProvisionedConcurrency, Usage};

/// Why a function does not get concurrency for itself.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ShareError {
    /// The reservation would leave others too little.
    #[error("the reservation leaves less than {minimum} to functions without one")]
    ReservesTooMuch {
        /// What must be left.
        minimum: Concurrency,
    },
    /// The reservation would not hold what is provisioned.
    #[error("the reservation of {reserved} is less than the {provisioned} that are provisioned")]
    ReservesTooLittle {
        /// What was to be reserved.
        reserved: Concurrency,
        /// What is provisioned for all versions.
        provisioned: u64,
    },
    /// More would be provisioned than is reserved.
    #[error("more would be provisioned than is reserved for the function")]
    ProvisionsBeyondReservation,
    /// More would be provisioned than anybody can have.
    #[error("more would be provisioned than the {unreserved} that are unreserved")]
    ProvisionsBeyondAccount {
        /// What nobody has for himself.
        unreserved: u64,
    },
    /// What would be provisioned would leave others too little.
    #[error(
        "what would be provisioned leaves less than {minimum} to functions without anything of their own"
    )]
    ProvisionsTooMuch {
        /// What must be left.
        minimum: Concurrency,
    },
    /// `$LATEST`, or an alias of it.
    #[error("only published versions can be kept ready")]
    Unpublished,
    /// A version that starts from a snapshot.
    #[error("a version with SnapStart cannot be kept ready")]
    SnapStart,
    /// An alias that leads to two versions.
    #[error("an alias with weights cannot be kept ready")]
    Weighted,
    /// An alias of a version that has its own.
    #[error("the alias leads to a version that is kept ready by itself")]
    VersionIsProvisioned,
    /// A version under an alias that has its own.
    #[error("the version is kept ready under an alias")]
    AliasIsProvisioned,
    /// The catalogue refused.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// An account's concurrency in a region, as one of its functions finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    limit: Concurrency,
    /// What other functions have for themselves.
    others: u64,
}

impl Pool {
    /// What `function` finds in an account with this limit that has `usage` together with it.
    pub fn around(function: &Function, limit: Concurrency, usage: Usage) -> Self {
        Self { limit, others: usage.claimed.saturating_sub(function.shares().claimed()) }
    }

    /// What must be left to functions without anything of their own; an account with less than that reserves nothing.
    ///
    /// Source: recorded errors of accounts with limits of 10 and 50.
    pub fn minimum(self) -> Concurrency {
        UNRESERVED_CONCURRENCY.min(self.limit)
    }

    /// What nobody has for himself once the function has `claim`.
    fn left(self, claim: u64) -> u64 {
        u64::from(self.limit.0).saturating_sub(self.others + claim)
    }

    /// Whether enough is left to others when the function has `after` instead of `before`. Who gives back may, also
    /// where the limit has been lowered.
    fn spares(self, before: u64, after: u64) -> bool {
        after <= before || self.others + after + u64::from(self.minimum().0) <= u64::from(self.limit.0)
    }
}

/// The function with a reservation.
pub fn reserve(function: &Function, reserved: Concurrency, pool: Pool) -> Result<Function, ShareError> {
    let changed = Function { reserved: Some(reserved), ..function.clone() };
    let (before, after) = (function.shares(), changed.shares());
    if !pool.spares(before.claimed(), after.claimed()) {
        return Err(ShareError::ReservesTooMuch { minimum: pool.minimum() });
    }
    match after.provisioned() {
        provisioned if provisioned > u64::from(reserved.0) => {
            Err(ShareError::ReservesTooLittle { reserved, provisioned })
        }
        _ => Ok(changed),
    }
}

/// The function without a reservation.
pub fn unreserve(function: &Function) -> Function {
    Function { reserved: None, ..function.clone() }
}

/// The function with `requested` environments that a version or an alias keeps ready.
pub fn provision(
    function: &Function,
    qualifier: &Qualifier,
    requested: Concurrency,
    pool: Pool,
    step: Step,
) -> Result<Function, ShareError> {
    let version = provisionable(function, qualifier)?;
    if function.versions.get(&version).is_some_and(|version| version.snap_starts()) {
        return Err(ShareError::SnapStart);
    }
    let config = ProvisionedConcurrency { requested, last_modified: step.now };
    let mut changed = function.clone();
    changed.provisioned.insert(qualifier.clone(), Arc::new(config));
    enough(function, &changed, requested, pool)?;
    alone(function, qualifier, version)?;
    Ok(changed)
}

/// The function without what a version or an alias keeps ready; also where that was nothing.
pub fn unprovision(function: &Function, qualifier: &Qualifier) -> Result<Function, ShareError> {
    function.must_have(qualifier)?;
    let mut changed = function.clone();
    changed.provisioned.remove(qualifier);
    Ok(changed)
}

/// The published version that a qualifier leads to.
fn provisionable(function: &Function, qualifier: &Qualifier) -> Result<u64, ShareError> {
    let alias = match qualifier {
        Qualifier::Latest => return Err(ShareError::Unpublished),
        Qualifier::Version(number) if function.versions.contains_key(number) => return Ok(*number),
        Qualifier::Version(_) => return Err(function.missing(qualifier).into()),
        Qualifier::Alias(name) => function.aliases.get(name).ok_or_else(|| function.missing(qualifier))?,
    };
    match alias.version {
        _ if alias.routing.is_some() => Err(ShareError::Weighted),
        Qualifier::Version(number) => Ok(number),
        Qualifier::Latest | Qualifier::Alias(_) => Err(ShareError::Unpublished),
    }
}

/// Whether there is enough for what would be provisioned.
fn enough(old: &Function, new: &Function, requested: Concurrency, pool: Pool) -> Result<(), ShareError> {
    let (before, after) = (old.shares(), new.shares());
    if let Some(reserved) = new.reserved {
        let within = after.provisioned() <= u64::from(reserved.0);
        return if within { Ok(()) } else { Err(ShareError::ProvisionsBeyondReservation) };
    }
    if pool.spares(before.claimed(), after.claimed()) {
        return Ok(());
    }
    let unreserved = pool.left(after.claimed() - u64::from(requested.0));
    Err(match u64::from(requested.0) > unreserved {
        true => ShareError::ProvisionsBeyondAccount { unreserved },
        false => ShareError::ProvisionsTooMuch { minimum: pool.minimum() },
    })
}

/// Whether nothing else keeps environments of the same version ready.
fn alone(function: &Function, qualifier: &Qualifier, version: u64) -> Result<(), ShareError> {
    let version = Qualifier::Version(version);
    if *qualifier != version {
        let provisioned = function.provisioned.contains_key(&version);
        return if provisioned { Err(ShareError::VersionIsProvisioned) } else { Ok(()) };
    }
    let leads = |name| function.aliases.get(name).is_some_and(|alias| alias.version == version);
    let provisioned =
        function.provisioned.keys().any(|other| matches!(other, Qualifier::Alias(name) if leads(name)));
    if provisioned { Err(ShareError::AliasIsProvisioned) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
