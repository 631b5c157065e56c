//! Configurations for asynchronous events, one for each qualifier.
//!
//! Source: recorded answers of 2024 and 2026.

use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier};
use base::clock::Timestamp;

use crate::event_invoke::{EventInvokeChange, EventInvokeConfig};
use crate::{CatalogueError, Function};

/// Why a configuration for events was not touched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EventInvokeError {
    /// The function has no such version or alias.
    #[error("there is no {0}")]
    NoQualifier(FunctionArn),
    /// The qualifier has no configuration.
    #[error("{0} has no configuration for events")]
    NoConfig(FunctionArn),
    /// The catalogue did not do it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The function with nothing but `new` for the events of `qualifier`.
pub fn put(
    function: &Function,
    qualifier: &Qualifier,
    new: EventInvokeChange,
    now: Timestamp,
) -> Result<Function, EventInvokeError> {
    exists(function, qualifier)?;
    Ok(with(function, qualifier, new.alone(now)))
}

/// The function with `change` made to what there was for the events of `qualifier`.
pub fn update(
    function: &Function,
    qualifier: &Qualifier,
    change: EventInvokeChange,
    now: Timestamp,
) -> Result<Function, EventInvokeError> {
    exists(function, qualifier)?;
    let changed = change.applied_to(found(function, qualifier)?, now);
    Ok(with(function, qualifier, changed))
}

/// The function without a configuration for the events of `qualifier`.
pub fn delete(function: &Function, qualifier: &Qualifier) -> Result<Function, EventInvokeError> {
    found(function, qualifier)?;
    let mut function = function.clone();
    function.event_invoke.remove(qualifier);
    Ok(function)
}

/// The configuration of a qualifier, which need not exist any more.
pub fn found<'a>(
    function: &'a Function,
    qualifier: &Qualifier,
) -> Result<&'a Arc<EventInvokeConfig>, EventInvokeError> {
    let missing = || EventInvokeError::NoConfig(function.key.arn().qualified(qualifier.clone()));
    function.event_invoke.get(qualifier).ok_or_else(missing)
}

fn exists(function: &Function, qualifier: &Qualifier) -> Result<(), EventInvokeError> {
    if function.has(qualifier) {
        return Ok(());
    }
    Err(EventInvokeError::NoQualifier(function.key.arn().qualified(qualifier.clone())))
}

fn with(function: &Function, qualifier: &Qualifier, config: EventInvokeConfig) -> Function {
    let mut function = function.clone();
    function.event_invoke.insert(qualifier.clone(), Arc::new(config));
    function
}
