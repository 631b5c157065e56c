//! What becomes of a layer.

use std::sync::Arc;

use base::limits::UNZIPPED_BYTES;

use super::Step;
use crate::{CatalogueError, CodeRef, Grant, Layer, LayerAbout, LayerKey, LayerUse, LayerVersion, Policy};

/// Why a layer did not become what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LayerError {
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
    let arn = layer.key.version(number);
    let everyone = Grant::of_layer_version(&arn, IMPORT_STATEMENT, None, None);
    let version = LayerVersion {
        arn,
        code,
        created: step.now,
        about: LayerAbout::default(),
        policy: Some(Policy::of(everyone.statement(), step.part)),
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

#[cfg(test)]
mod tests;
