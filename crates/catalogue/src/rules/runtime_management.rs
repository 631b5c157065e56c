//! When a version gets another version of its runtime.

use std::sync::Arc;

use base::arn::Qualifier;

use super::{Step, begin, may_change};
use crate::{CatalogueError, Function, RuntimeManagement, Version};

/// The function with this said of one of its versions. For `$LATEST` it begins an update; a published version stays
/// what it is.
pub fn manage_runtime(
    function: &Function,
    version: &Qualifier,
    management: RuntimeManagement,
    step: Step,
) -> Result<Function, CatalogueError> {
    let missing = || CatalogueError::NotFound { arn: function.key.arn().qualified(version.clone()) };
    let mut changed = match version {
        Qualifier::Latest => {
            may_change(function, None)?;
            begin(function, Version::clone(&function.latest), step)
        }
        Qualifier::Version(number) if function.versions.contains_key(number) => function.clone(),
        Qualifier::Version(_) | Qualifier::Alias(_) => return Err(missing()),
    };
    match management {
        RuntimeManagement::Auto => drop(changed.runtime_management.remove(version)),
        other => drop(changed.runtime_management.insert(version.clone(), Arc::new(other))),
    }
    Ok(changed)
}
