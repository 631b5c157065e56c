//! What an alias may lead to, and what goes with it.
//!
//! Source: recorded answers of 2023 to 2026, and the Lambda Developer Guide, "Lambda function aliases".

use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier};

use super::Step;
use crate::{Alias, AliasUpdate, CatalogueError, Function, NewAlias, Routing, State, Version};

/// Why an alias is not made or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AliasError {
    /// The name is taken.
    #[error("alias {0} exists")]
    Exists(FunctionArn),
    /// There is no such alias.
    #[error("there is no alias {0}")]
    Unknown(FunctionArn),
    /// It leads to one version twice.
    #[error("version {0} has a part of its own")]
    SameVersion(u64),
    /// It leads to `$LATEST` and to another version.
    #[error("$LATEST shares invocations with no other version")]
    SharedLatest,
    /// It keeps environments ready, and would lead to `$LATEST`.
    #[error("$LATEST cannot be kept ready")]
    KeptReady,
    /// It keeps environments ready, and would lead to a version that starts from a snapshot.
    #[error("a version with SnapStart cannot be kept ready")]
    SnapStart,
    /// It would lead to a version that could not be made.
    #[error("version {arn} has failed: {code}")]
    Failed {
        /// The version.
        arn: FunctionArn,
        /// Why it failed.
        code: Arc<str>,
    },
    /// Its two versions have not the same role.
    #[error("two versions have different execution roles")]
    Roles,
    /// Its two versions have not the same dead-letter queue.
    #[error("two versions have different dead-letter queues")]
    DeadLetters,
    /// It leads to a version that is not there, and the catalogue's other reasons.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The function with one more alias.
pub fn create(function: &Function, new: &NewAlias, step: Step) -> Result<Function, AliasError> {
    let alias = Alias {
        name: Arc::clone(&new.name),
        version: new.version.clone(),
        routing: new.routing,
        description: Arc::clone(&new.description),
        revision: step.revision,
    };
    // A version that is not there is told before a name that is taken. Source: recorded answers.
    exists(function, &alias.version)?;
    if function.aliases.contains_key(&alias.name) {
        return Err(AliasError::Exists(arn_of(function, Qualifier::Alias(alias.name))));
    }
    with(function, alias)
}

/// The function with one alias changed. Its revision changes even when nothing else does.
pub fn update(
    function: &Function,
    name: &str,
    update: &AliasUpdate,
    step: Step,
) -> Result<Function, AliasError> {
    let unknown = || AliasError::Unknown(arn_of(function, Qualifier::Alias(name.into())));
    let old = function.aliases.get(name).ok_or_else(unknown)?;
    if update.expected.is_some_and(|expected| expected != old.revision) {
        return Err(CatalogueError::RevisionMismatch.into());
    }
    let old = Alias::clone(old);
    with(
        function,
        Alias {
            version: update.version.clone().unwrap_or(old.version),
            routing: update.routing.unwrap_or(old.routing),
            description: update.description.clone().unwrap_or(old.description),
            revision: step.revision,
            name: old.name,
        },
    )
}

/// The function without an alias, which need not have been there, and without what hangs on it.
pub fn delete(function: &Function, name: &str) -> Function {
    let mut function = function.clone();
    if function.aliases.remove(name).is_some() {
        function.forget(&Qualifier::Alias(name.into()));
    }
    function
}

fn with(function: &Function, alias: Alias) -> Result<Function, AliasError> {
    let first = exists(function, &alias.version)?;
    if let Some(Routing { version, .. }) = alias.routing {
        if alias.version == Qualifier::Latest {
            return Err(AliasError::SharedLatest);
        }
        if alias.version == Qualifier::Version(version) {
            return Err(AliasError::SameVersion(version));
        }
        let second = exists(function, &Qualifier::Version(version))?;
        may_share(first, second)?;
        may_lead_to(second)?;
    }
    may_lead_to(first)?;
    let kept_ready = function.provisioned.contains_key(&Qualifier::Alias(Arc::clone(&alias.name)));
    if kept_ready && alias.version == Qualifier::Latest {
        return Err(AliasError::KeptReady);
    }
    if kept_ready && first.snap_starts() {
        return Err(AliasError::SnapStart);
    }
    let mut function = function.clone();
    function.aliases.insert(Arc::clone(&alias.name), Arc::new(alias));
    Ok(function)
}

fn exists<'a>(function: &'a Function, version: &Qualifier) -> Result<&'a Version, CatalogueError> {
    let found = function.shown(version).filter(|_| !matches!(version, Qualifier::Alias(_)));
    found.map(Arc::as_ref).ok_or_else(|| function.missing(version))
}

/// A version that has failed never runs. Source: a deployment tool's report of 2026.
fn may_lead_to(version: &Version) -> Result<(), AliasError> {
    match &version.state {
        State::Failed(reason) if version.qualifier != Qualifier::Latest => {
            Err(AliasError::Failed { arn: version.qualified_arn(), code: Arc::clone(&reason.code) })
        }
        _ => Ok(()),
    }
}

fn arn_of(function: &Function, qualifier: Qualifier) -> FunctionArn {
    function.key.arn().qualified(qualifier)
}

/// Two versions share an alias's invocations only if nobody can tell them apart by what they may do or where
/// their failed events go.
fn may_share(one: &Version, other: &Version) -> Result<(), AliasError> {
    if one.configuration.role != other.configuration.role {
        return Err(AliasError::Roles);
    }
    if one.configuration.dead_letter != other.configuration.dead_letter {
        return Err(AliasError::DeadLetters);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
