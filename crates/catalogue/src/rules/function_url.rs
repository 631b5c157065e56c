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

/// The function with a change of a URL. Its alias need not exist any more, but is told of where there is no URL.
pub fn update(
    function: &Function,
    qualifier: &Qualifier,
    change: FunctionUrlChange,
    now: Timestamp,
) -> Result<Function, FunctionUrlError> {
    match found(function, qualifier) {
        Ok(url) => Ok(with(function, qualifier, change.applied_to(url, now))),
        Err(_) if !function.has(qualifier) => Err(FunctionUrlError::NoAlias(arn(function, qualifier))),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use base::random::Dice;

    use super::*;
    use crate::function_url::{Cors, InvokeMode, UrlAuth, UrlId};
    use crate::rules::tests::a_function;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn new() -> NewFunctionUrl {
        let cors = Some(Cors { allow_credentials: Some(true), ..Cors::default() });
        let id = UrlId::fresh(&Dice::seeded(1));
        NewFunctionUrl { id, auth: UrlAuth::None, invoke_mode: InvokeMode::Buffered, cors }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name_and_always_the_id() {
        let latest = Qualifier::Latest;
        let made = create(&a_function("f"), &latest, new(), at(1)).unwrap();
        let change = FunctionUrlChange { auth: Some(UrlAuth::AwsIam), ..FunctionUrlChange::default() };
        let changed = update(&made, &latest, change, at(2)).unwrap();
        let expected = FunctionUrl { auth: UrlAuth::AwsIam, last_modified: at(2), ..new().made(at(1)) };
        assert_eq!(**found(&changed, &latest).unwrap(), expected);
        let change = FunctionUrlChange { cors: Some(None), ..FunctionUrlChange::default() };
        let cleared = update(&changed, &latest, change, at(3)).unwrap();
        assert_eq!(
            **found(&cleared, &latest).unwrap(),
            FunctionUrl { cors: None, last_modified: at(3), ..expected }
        );
    }

    #[test]
    fn what_an_alias_left_is_in_the_way_and_may_still_be_changed() {
        let gone = Qualifier::Alias("gone".into());
        let told = |result: Result<Function, FunctionUrlError>| result.unwrap_err().to_string();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let function = a_function("f");
        assert_eq!(told(create(&function, &gone, new(), at(1))), format!("there is no {arn}:gone"));
        assert_eq!(told(delete(&function, &gone)), format!("{arn}:gone has no function URL"));
        let changed = |qualifier| update(&function, qualifier, FunctionUrlChange::default(), at(1));
        assert_eq!(told(changed(&gone)), format!("there is no {arn}:gone"));
        assert_eq!(told(changed(&Qualifier::Latest)), format!("{arn} has no function URL"));
        let left = with(&function, &gone, new().made(at(1)));
        assert_eq!(told(create(&left, &gone, new(), at(2))), format!("{arn}:gone has a function URL"));
        assert!(update(&left, &gone, FunctionUrlChange::default(), at(2)).is_ok());
        assert_eq!(delete(&left, &gone).unwrap(), function);
        let made = create(&function, &Qualifier::Latest, new(), at(1)).unwrap();
        assert_eq!(
            told(create(&made, &Qualifier::Latest, new(), at(2))),
            format!("{arn} has a function URL")
        );
    }
}
