//! Published versions: when one is made, when it comes into force, and when it may go.
//!
//! One with SnapStart is pending until its init was made; see [`initialized`].
//!
//! Source: recorded answers of 2023 to 2026.

use std::sync::Arc;

use base::arn::Qualifier;
use base::id::RevisionId;

use super::{Step, busy, may_change};
use crate::{CatalogueError, Function, LastUpdate, Published, Reason, State, Version};

/// What a customer asks to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The revision that the caller last saw.
    pub expected: Option<RevisionId>,
    /// The code that the caller means, as [`CodeRef::sha256`](crate::CodeRef::sha256) says it.
    pub code_sha256: Option<Arc<str>>,
    /// The version's description, in place of `$LATEST`'s.
    pub description: Option<Arc<str>>,
}

/// Why a version is not published or not deleted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VersionError {
    /// `$LATEST` has other code than the caller means.
    #[error("the code is {current} and not {given}")]
    OtherCode {
        /// What the caller means.
        given: Arc<str>,
        /// What there is.
        current: String,
    },
    /// There is nothing that could run.
    #[error("the function is {0}")]
    NotActive(&'static str),
    /// Aliases lead to the version.
    #[error("aliases {0:?} lead to the version")]
    InUse(Vec<Arc<str>>),
    /// The catalogue's own reasons.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The function with what runs now as a version, unless the last one published is that: versions differ by the
/// successful updates between them, and by nothing else.
///
/// [`Function::published`] tells which version it is.
pub fn publish(function: &Function, asked: &Publication, step: Step) -> Result<Function, VersionError> {
    may_change(function, asked.expected)?;
    let live = &function.live;
    if live.state != State::Active {
        return Err(VersionError::NotActive(live.state.as_str()));
    }
    if let Some(given) = asked.code_sha256.clone().filter(|given| **given != *live.code.sha256()) {
        return Err(VersionError::OtherCode { given, current: live.code.sha256() });
    }
    if last(function).is_some_and(|published| published.generation == live.generation) {
        return Ok(function.clone());
    }
    let mut version = next(function, live, step);
    if version.snap_starts() {
        version = Version { state: State::Pending(Reason::creating()), last_update: None, ..version };
    }
    if let Some(description) = &asked.description {
        Arc::make_mut(&mut version.configuration).description = Arc::clone(description);
    }
    let published = Published { version: function.next_version, generation: version.generation };
    let function = Function { published: Some(published), ..with(function, version) };
    Ok(renewed(function, step))
}

/// The function without one of its versions, which need not have been there, and without what hangs on it.
pub fn delete(function: &Function, number: u64) -> Result<Function, VersionError> {
    let aliases = function.aliases.values().filter(|alias| alias.leads_to(number));
    let aliases: Vec<Arc<str>> = aliases.map(|alias| Arc::clone(&alias.name)).collect();
    if !aliases.is_empty() {
        return Err(VersionError::InUse(aliases));
    }
    let mut function = function.clone();
    if function.versions.remove(&number).is_some() {
        function.forget(&Qualifier::Version(number));
    }
    Ok(function)
}

/// The function with what `$LATEST` is about to become as a version that is pending as long.
pub(super) fn announce(function: &Function, step: Step) -> Function {
    let version = Version {
        state: State::Pending(Reason::creating()),
        last_update: None,
        ..next(function, &function.latest, step)
    };
    with(function, version)
}

/// The function with the version that was announced with this generation active.
pub(super) fn into_force(mut function: Function, generation: u64, step: Step) -> Function {
    let Some((number, version)) = announced(&function, generation) else { return function };
    if !version.snap_starts() {
        function.versions.insert(number, Arc::new(activated(version, step)));
    }
    function.published = Some(Published { version: number, generation });
    function
}

/// The function with a version in force whose init was made.
pub fn initialized(function: &Function, number: u64, step: Step) -> Result<Function, CatalogueError> {
    let version = initializing(function, number)?;
    let mut function = function.clone();
    function.versions.insert(number, Arc::new(activated(version, step)));
    Ok(function)
}

/// The function with a version given up whose init failed. The next publication makes another one, also when nothing
/// has changed: what made the init fail may have been elsewhere.
pub fn uninitialized(
    function: &Function,
    number: u64,
    reason: &Reason,
    step: Step,
) -> Result<Function, CatalogueError> {
    let version = initializing(function, number)?;
    let mut function = function.clone();
    let failed = Version { state: State::Failed(reason.clone()), revision: step.part, ..version };
    function.versions.insert(number, Arc::new(failed));
    function.published = function.published.filter(|published| published.version != number);
    Ok(function)
}

/// The versions whose init is to be made, now that what they were made of is in force.
pub fn to_initialize(function: &Function) -> impl Iterator<Item = &Arc<Version>> {
    let waiting = function.versions.iter().filter(|(number, _)| initializing(function, **number).is_ok());
    waiting.map(|(_, version)| version)
}

/// A version whose init is being made. One that was announced waits for `$LATEST` first.
fn initializing(function: &Function, number: u64) -> Result<Version, CatalogueError> {
    let missing = || function.missing(&Qualifier::Version(number));
    let version = function.versions.get(&number).ok_or_else(missing)?;
    let announced = busy(function).is_some() && version.generation == function.latest.generation;
    match version.state {
        State::Pending(_) if version.snap_starts() && !announced => Ok(Version::clone(version)),
        _ => Err(CatalogueError::Stale { key: function.key.clone(), generation: version.generation }),
    }
}

fn activated(version: Version, step: Step) -> Version {
    let last_update = Some(LastUpdate::Successful);
    Version { state: State::Active, last_update, revision: step.part, ..version }
}

/// The function with the version that was announced with this generation given up. Its number stays taken.
pub(super) fn given_up(mut function: Function, generation: u64, reason: &Reason, step: Step) -> Function {
    let Some((number, version)) = announced(&function, generation) else { return function };
    let failed = Version { state: State::Failed(reason.clone()), revision: step.part, ..version };
    function.versions.insert(number, Arc::new(failed));
    function
}

/// The version that waits for the change of this generation, and its number. The last one made, if any.
fn announced(function: &Function, generation: u64) -> Option<(u64, Version)> {
    let (number, version) = function.versions.last_key_value()?;
    let waits = version.generation == generation && matches!(version.state, State::Pending(_));
    waits.then(|| (*number, Version::clone(version)))
}

/// The version that the last successful publication made, while it is there.
fn last(function: &Function) -> Option<&Published> {
    function.published.as_ref().filter(|published| function.versions.contains_key(&published.version))
}

/// What a version with the next number is that is made of this one. It shares the generation: its environments
/// are told from those of `$LATEST` by the version.
fn next(function: &Function, of: &Version, step: Step) -> Version {
    Version { qualifier: Qualifier::Version(function.next_version), revision: step.part, ..of.clone() }
}

fn with(function: &Function, version: Version) -> Function {
    let mut function = function.clone();
    function.versions.insert(function.next_version, Arc::new(version));
    function.next_version += 1;
    function
}

/// The function with another revision of `$LATEST`, which runs on in the environments it has.
fn renewed(function: Function, step: Step) -> Function {
    let with_revision =
        |version: &Arc<Version>| Arc::new(Version { revision: step.revision, ..Version::clone(version) });
    let same = Arc::ptr_eq(&function.live, &function.latest);
    let latest = with_revision(&function.latest);
    let live = if same { Arc::clone(&latest) } else { Arc::clone(&function.live) };
    Function { latest, live, ..function }
}

#[cfg(test)]
mod tests;
