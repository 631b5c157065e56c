//! Function URLs, one for the function and one for each alias.
//!
//! Source: recorded answers of 2024 and 2026.

use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier};
use base::clock::Timestamp;

use crate::function_url::{FunctionUrl, FunctionUrlChange, NewFunctionUrl};
use crate::{CatalogueError, Function};

/// Why a function URL was not touched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FunctionUrlError {
    /// There is one already. Carries the ARN with the alias, if it is an alias's.
    #[error("{0} has a function URL")]
    Exists(FunctionArn),
    /// The function has no such alias.
    #[error("there is no {0}")]
    NoAlias(FunctionArn),
    /// There is none.
    #[error("{0} has no function URL")]
    NoUrl(FunctionArn),
    /// The catalogue did not do it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The function with a URL for `$LATEST` or an alias.
///
/// What an alias that was deleted has left is in the way of a new one: recreating the alias revives it.
pub fn create(
    function: &Function,
    qualifier: &Qualifier,
    new: NewFunctionUrl,
    now: Timestamp,
) -> Result<Function, FunctionUrlError> {
    if function.urls.contains_key(qualifier) {
        return Err(FunctionUrlError::Exists(arn(function, qualifier)));
    }
    if !function.has(qualifier) {
        return Err(FunctionUrlError::NoAlias(arn(function, qualifier)));
    }
    Ok(with(function, qualifier, new.made(now)))
}

/// The function with a change of a URL, whose alias need not exist any more.
pub fn update(
    function: &Function,
    qualifier: &Qualifier,
    change: FunctionUrlChange,
    now: Timestamp,
) -> Result<Function, FunctionUrlError> {
    let changed = change.applied_to(found(function, qualifier)?, now);
    Ok(with(function, qualifier, changed))
}

/// The function without that URL.
pub fn delete(function: &Function, qualifier: &Qualifier) -> Result<Function, FunctionUrlError> {
    found(function, qualifier)?;
    let mut function = function.clone();
    function.urls.remove(qualifier);
    Ok(function)
}

/// The URL of `$LATEST` or of an alias, which need not exist any more.
pub fn found<'a>(
    function: &'a Function,
    qualifier: &Qualifier,
) -> Result<&'a Arc<FunctionUrl>, FunctionUrlError> {
    function.urls.get(qualifier).ok_or_else(|| FunctionUrlError::NoUrl(arn(function, qualifier)))
}

/// The ARN under which a URL is shown: unqualified for `$LATEST`.
pub fn arn(function: &Function, qualifier: &Qualifier) -> FunctionArn {
    match qualifier {
        Qualifier::Latest => function.key.arn(),
        Qualifier::Version(_) | Qualifier::Alias(_) => function.key.arn().qualified(qualifier.clone()),
    }
}

fn with(function: &Function, qualifier: &Qualifier, url: FunctionUrl) -> Function {
    let mut function = function.clone();
    function.urls.insert(qualifier.clone(), Arc::new(url));
    function
}
