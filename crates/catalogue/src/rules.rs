//! The life cycle of a function: what each request and each end of a change makes of it.
//!
//! Source: recorded answers of 2025 and 2026.

pub mod aliases;
pub mod concurrency;
pub mod event_invoke;
pub mod function_url;
pub mod layers;
pub mod mappings;
pub mod policies;
pub mod runtime_management;
pub mod secrets;
pub mod tags;
pub mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::id::RevisionId;
use store::Revision;

pub use self::aliases::AliasError;
pub use self::concurrency::{Pool, ShareError};
pub use self::versions::{Publication, VersionError};
use crate::{
    Busy, CatalogueError, CodeUpdate, Configuration, ConfigurationUpdate, Function, FunctionKey, LastUpdate,
    NewFunction, Reason, RecursiveLoop, State, Version,
};

/// What a step takes from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The moment of the step.
    pub now: Timestamp,
    /// The revision id that the function or the alias gets.
    pub revision: RevisionId,
    /// The revision id that a version gets which the same step makes or changes.
    pub part: RevisionId,
}

/// The numbers that go on under a name after its function was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering {
    /// See [`Function::next_version`].
    pub next_version: u64,
    /// The generation that the next change makes.
    pub next_generation: u64,
}

impl Default for Numbering {
    /// For a name that was never used.
    fn default() -> Self {
        Self { next_version: 1, next_generation: 1 }
    }
}

impl Numbering {
    /// What is left of a function that is deleted.
    pub fn after(function: &Function) -> Self {
        Self { next_version: function.next_version, next_generation: function.latest.generation + 1 }
    }
}

/// A function that was just asked for: pending, without a last update, and so is its version if it has one.
pub fn create(new: NewFunction, numbering: Numbering, step: Step) -> Function {
    let latest = Arc::new(Version {
        arn: new.key.arn(),
        qualifier: Qualifier::Latest,
        configuration: new.configuration,
        code: new.code,
        state: State::Pending(Reason::creating()),
        last_update: None,
        revision: step.revision,
        last_modified: step.now,
        generation: numbering.next_generation,
    });
    let function = Function {
        key: new.key,
        stored: Revision::default(),
        live: Arc::clone(&latest),
        latest,
        next_version: numbering.next_version,
        published: None,
        code_signing: new.code_signing,
        reserved: None,
        recursion: RecursiveLoop::default(),
        tags: new.tags,
        event_invoke: BTreeMap::new(),
        urls: BTreeMap::new(),
        aliases: BTreeMap::new(),
        policies: BTreeMap::new(),
        provisioned: BTreeMap::new(),
        runtime_management: BTreeMap::new(),
        versions: BTreeMap::new(),
    };
    if new.publish { versions::announce(&function, step) } else { function }
}

/// The function with new code in progress, also when it is the code it has.
pub fn update_code(function: &Function, update: CodeUpdate, step: Step) -> Result<Function, CatalogueError> {
    may_change(function, update.expected)?;
    let latest = &function.latest;
    layers::fit(&update.code, &latest.configuration.layers)?;
    let configuration = Configuration {
        architecture: update.architecture.unwrap_or(latest.configuration.architecture),
        ..latest.configuration.clone()
    };
    let changed =
        begin(function, Version { configuration, code: update.code, ..Version::clone(latest) }, step);
    Ok(if update.publish { versions::announce(&changed, step) } else { changed })
}

/// The function with a new configuration in progress, also when it equals the one it has.
pub fn update_configuration(
    function: &Function,
    update: ConfigurationUpdate,
    step: Step,
) -> Result<Function, CatalogueError> {
    may_change(function, update.expected)?;
    let latest = &function.latest;
    let configuration = update.applied_to(&latest.configuration);
    layers::fit(&latest.code, &configuration.layers)?;
    Ok(begin(function, Version { configuration, ..Version::clone(latest) }, step))
}

/// The function with the change of this generation in force.
pub fn finish(function: &Function, generation: u64, step: Step) -> Result<Function, CatalogueError> {
    in_progress(function, generation)?;
    let latest = Arc::new(Version {
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
        revision: step.revision,
        ..Version::clone(&function.latest)
    });
    let function = Function { live: Arc::clone(&latest), latest, ..function.clone() };
    Ok(versions::into_force(function, generation, step))
}

/// The function with the change of this generation given up. A failed update leaves what was before it running.
pub fn fail(
    function: &Function,
    generation: u64,
    reason: Reason,
    step: Step,
) -> Result<Function, CatalogueError> {
    let busy = in_progress(function, generation)?;
    let latest = Version { revision: step.revision, ..Version::clone(&function.latest) };
    let function = versions::given_up(function.clone(), generation, &reason, step);
    Ok(match busy {
        Busy::Creating => {
            let latest = Arc::new(Version { state: State::Failed(reason), last_update: None, ..latest });
            Function { live: Arc::clone(&latest), latest, ..function }
        }
        Busy::Updating => {
            let last_update = Some(LastUpdate::Failed(reason));
            Function { latest: Arc::new(Version { last_update, ..latest }), ..function }
        }
    })
}

/// What the function is busy with.
pub fn busy(function: &Function) -> Option<Busy> {
    match (&function.latest.state, &function.latest.last_update) {
        (State::Pending(_), _) => Some(Busy::Creating),
        (_, Some(LastUpdate::InProgress(_))) => Some(Busy::Updating),
        _ => None,
    }
}

/// Whether a customer may change the function now.
pub fn may_change(function: &Function, expected: Option<RevisionId>) -> Result<(), CatalogueError> {
    if let Some(busy) = busy(function) {
        return Err(CatalogueError::Busy { key: function.key.clone(), busy });
    }
    match expected {
        Some(expected) if expected != function.latest.revision => Err(CatalogueError::RevisionMismatch),
        _ => Ok(()),
    }
}

fn begin(function: &Function, changed: Version, step: Step) -> Function {
    let latest = Version {
        last_update: Some(LastUpdate::InProgress(Reason::creating())),
        revision: step.revision,
        last_modified: step.now,
        generation: function.latest.generation + 1,
        ..changed
    };
    Function { latest: Arc::new(latest), ..function.clone() }
}

fn in_progress(function: &Function, generation: u64) -> Result<Busy, CatalogueError> {
    let stale = || CatalogueError::Stale { key: FunctionKey::clone(&function.key), generation };
    busy(function).filter(|_| function.latest.generation == generation).ok_or_else(stale)
}

#[cfg(test)]
pub(crate) mod tests;
