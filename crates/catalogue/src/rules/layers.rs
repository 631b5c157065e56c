//! What becomes of a layer.

use std::sync::Arc;

use base::id::RevisionId;
use base::limits::UNZIPPED_BYTES;

use super::Step;
use crate::{
    CatalogueError, CodeRef, Grantee, Layer, LayerAbout, LayerKey, LayerPolicy, LayerStatement, LayerUse,
    LayerVersion,
};

/// Why a layer did not become what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LayerError {
    /// There is no such version.
    #[error("there is no such layer version")]
    NoVersion,
    /// The version has a policy with such a statement.
    #[error("statement {0} exists")]
    StatementExists(Arc<str>),
    /// The version has a policy without such a statement.
    #[error("there is no statement {0}")]
    NoStatement(Arc<str>),
    /// The version has no policy.
    #[error("the layer version has no policy")]
    NoPolicy,
    /// The policy is not at the revision that the caller last saw.
    #[error("the policy has another revision")]
    RevisionMismatch,
    /// The policy would be longer than it may be.
    #[error("the policy would have {bytes} bytes")]
    PolicyTooLong {
        /// Bytes that it would have.
        bytes: usize,
    },
    /// The number holds another package already.
    #[error("the layer version holds another package")]
    OtherPackage,
    /// The catalogue refused.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The statement by which imported layers may be used by every account.
pub const IMPORT_STATEMENT: &str = "samovar-import";

/// The layer with one version more, also when it has the same package already.
pub fn publish(
    layer: Option<&Layer>,
    key: &LayerKey,
    code: CodeRef,
    about: &LayerAbout,
    step: Step,
) -> Layer {
    let mut layer = layer.cloned().unwrap_or_else(|| Layer::empty(key.clone()));
    let number = layer.next_version;
    let arn = layer.key.version(number);
    let version = LayerVersion { arn, code, created: step.now, about: about.clone(), policy: None };
    layer.next_version = number + 1;
    layer.versions.insert(number, Arc::new(version));
    layer
}

/// The layer with this package as the version of this number, which everyone may use. Another package in its place
/// is only replaced when that is asked for.
pub fn import(
    layer: Option<&Layer>,
    key: &LayerKey,
    number: u64,
    code: CodeRef,
    replace: bool,
    step: Step,
) -> Result<Layer, LayerError> {
    let mut layer = layer.cloned().unwrap_or_else(|| Layer::empty(key.clone()));
    match layer.versions.get(&number) {
        Some(there) if there.code.digest == code.digest => return Ok(layer),
        Some(_) if !replace => return Err(LayerError::OtherPackage),
        _ => {}
    }
    let everyone =
        LayerStatement { sid: IMPORT_STATEMENT.into(), grantee: Grantee::Everyone, organization: None };
    let version = LayerVersion {
        arn: layer.key.version(number),
        code,
        created: step.now,
        about: LayerAbout::default(),
        policy: Some(LayerPolicy { revision: step.revision, statements: vec![everyone] }),
    };
    layer.next_version = layer.next_version.max(number.saturating_add(1));
    layer.versions.insert(number, Arc::new(version));
    Ok(layer)
}

/// A function with this package may have these layers: together they are not larger than they may be.
pub fn fit(code: &CodeRef, layers: &[LayerUse]) -> Result<(), CatalogueError> {
    let bytes = layers.iter().map(|layer| layer.code.unzipped).fold(code.unzipped, u64::saturating_add);
    if bytes > UNZIPPED_BYTES { Err(CatalogueError::TooLarge { bytes }) } else { Ok(()) }
}

/// The layer without this version.
pub fn delete(layer: &Layer, number: u64) -> Layer {
    let mut layer = layer.clone();
    layer.versions.remove(&number);
    layer
}

/// The layer with one statement more in the policy of a version.
///
/// A statement that exists is told before a revision that is not the latest. Source: recorded in 2026 for functions.
pub fn grant(
    layer: &Layer,
    number: u64,
    statement: &LayerStatement,
    expected: Option<RevisionId>,
    step: Step,
) -> Result<Layer, LayerError> {
    let version = layer.versions.get(&number).ok_or(LayerError::NoVersion)?;
    let mut statements = statements(version).to_vec();
    if statements.iter().any(|there| there.sid == statement.sid) {
        return Err(LayerError::StatementExists(Arc::clone(&statement.sid)));
    }
    at_revision(version, expected)?;
    statements.push(statement.clone());
    Ok(with_policy(layer, version, Some(LayerPolicy { revision: step.revision, statements })))
}

/// The layer with one statement less in the policy of a version.
pub fn revoke(
    layer: &Layer,
    number: u64,
    sid: &str,
    expected: Option<RevisionId>,
    step: Step,
) -> Result<Layer, LayerError> {
    let version = layer.versions.get(&number).ok_or(LayerError::NoVersion)?;
    if version.policy.is_none() {
        return Err(LayerError::NoPolicy);
    }
    let (gone, statements): (Vec<_>, Vec<_>) =
        statements(version).iter().cloned().partition(|there| *there.sid == *sid);
    if gone.is_empty() {
        return Err(LayerError::NoStatement(sid.into()));
    }
    at_revision(version, expected)?;
    let policy = (!statements.is_empty()).then_some(LayerPolicy { revision: step.revision, statements });
    Ok(with_policy(layer, version, policy))
}

fn statements(version: &LayerVersion) -> &[LayerStatement] {
    version.policy.as_ref().map_or(&[], |policy| &policy.statements)
}

fn at_revision(version: &LayerVersion, expected: Option<RevisionId>) -> Result<(), LayerError> {
    let latest = version.policy.as_ref().map(|policy| policy.revision);
    if expected.is_some() && expected != latest { Err(LayerError::RevisionMismatch) } else { Ok(()) }
}

fn with_policy(layer: &Layer, version: &LayerVersion, policy: Option<LayerPolicy>) -> Layer {
    let mut layer = layer.clone();
    let changed = LayerVersion { policy, ..version.clone() };
    layer.versions.insert(version.arn.number, Arc::new(changed));
    layer
}

#[cfg(test)]
mod tests;
