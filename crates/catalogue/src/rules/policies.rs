//! What grants and revocations make of a resource policy. Layer versions have the same policies as functions.
//!
//! A statement id that is taken, or unknown, is told before a revision that is not the latest. Source: recorded
//! in 2026.

use std::sync::Arc;

use base::id::RevisionId;
use base::limits::POLICY_BYTES;

use crate::{CatalogueError, Function, Policy, PolicyName, Statement};

/// Why a policy is not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PolicyError {
    /// There is none to take a statement from.
    #[error("there is no policy")]
    Missing,
    /// The policy has a statement with this id.
    #[error("statement {0} exists")]
    StatementExists(String),
    /// The policy has no statement with this id.
    #[error("there is no statement {0}")]
    UnknownStatement(String),
    /// The policy is not at the revision that the caller last saw.
    #[error("the policy has another revision")]
    Stale,
    /// The document would be longer than a policy may be.
    #[error("the policy would have {size} bytes")]
    TooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// What the policy is to be of is not there, and the catalogue's other reasons.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The function with what `decide` makes of the policy of one of its resources; its own revision stays.
pub fn of_function(
    function: &Function,
    name: &PolicyName,
    decide: impl FnOnce(Option<&Policy>) -> Result<Option<Policy>, PolicyError>,
) -> Result<Function, PolicyError> {
    if let Some(missing) = name.0.as_ref().filter(|qualifier| !function.has(qualifier)) {
        let arn = function.key.arn().qualified(missing.clone());
        return Err(CatalogueError::NotFound { arn }.into());
    }
    let decided = decide(function.policies.get(name).map(Arc::as_ref))?;
    let mut function = function.clone();
    match decided {
        Some(policy) => drop(function.policies.insert(name.clone(), Arc::new(policy))),
        None => drop(function.policies.remove(name)),
    }
    Ok(function)
}

/// The policy with one statement more; the first one makes it.
pub fn grant(
    policy: Option<&Policy>,
    statement: Statement,
    expected: Option<&str>,
    revision: RevisionId,
) -> Result<Policy, PolicyError> {
    if let Some(sid) = taken(policy, &statement) {
        return Err(PolicyError::StatementExists(sid.to_owned()));
    }
    fits_revision(policy, expected)?;
    within_limit(match policy {
        None => Policy::of(statement, revision),
        Some(policy) => {
            let mut statements = policy.statements.clone();
            statements.push(Arc::new(statement));
            Policy { revision, statements, ..policy.clone() }
        }
    })
}

/// The policy without one statement; nothing when that was the last.
pub fn revoke(
    policy: Option<&Policy>,
    sid: &str,
    expected: Option<&str>,
    revision: RevisionId,
) -> Result<Option<Policy>, PolicyError> {
    let policy = policy.ok_or(PolicyError::Missing)?;
    let gone = policy.statement(sid).ok_or_else(|| PolicyError::UnknownStatement(sid.to_owned()))?;
    fits_revision(Some(policy), expected)?;
    let statements: Vec<_> =
        policy.statements.iter().filter(|statement| !Arc::ptr_eq(statement, gone)).cloned().collect();
    Ok((!statements.is_empty()).then(|| Policy { revision, statements, ..policy.clone() }))
}

/// The policy that takes the place of another, or of none.
pub fn replace(policy: Option<&Policy>, new: Policy, expected: Option<&str>) -> Result<Policy, PolicyError> {
    fits_revision(policy, expected)?;
    within_limit(new)
}

/// Whether a policy may go.
pub fn drop_all(policy: Option<&Policy>, expected: Option<&str>) -> Result<(), PolicyError> {
    fits_revision(Some(policy.ok_or(PolicyError::Missing)?), expected)
}

fn taken<'a>(policy: Option<&Policy>, statement: &'a Statement) -> Option<&'a str> {
    let sid = statement.sid.as_deref()?;
    policy?.statement(sid).map(|_| sid)
}

/// Whoever names a revision has seen a policy: none is at that revision when there is none.
fn fits_revision(policy: Option<&Policy>, expected: Option<&str>) -> Result<(), PolicyError> {
    let fits = |expected: &str| policy.is_some_and(|policy| policy.revision.to_string() == expected);
    if expected.is_none_or(fits) { Ok(()) } else { Err(PolicyError::Stale) }
}

fn within_limit(policy: Policy) -> Result<Policy, PolicyError> {
    match policy.document().len() {
        size if size > POLICY_BYTES => Err(PolicyError::TooLong { size }),
        _ => Ok(policy),
    }
}

#[cfg(test)]
mod tests;
