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
    function.must_have(qualifier)?;
    Ok(with(function, qualifier, new.alone(now)))
}

/// The function with `change` made to what there was for the events of `qualifier`.
pub fn update(
    function: &Function,
    qualifier: &Qualifier,
    change: EventInvokeChange,
    now: Timestamp,
) -> Result<Function, EventInvokeError> {
    function.must_have(qualifier)?;
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

fn with(function: &Function, qualifier: &Qualifier, config: EventInvokeConfig) -> Function {
    let mut function = function.clone();
    function.event_invoke.insert(qualifier.clone(), Arc::new(config));
    function
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::tests::a_function;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn to(success: Option<&str>, failure: Option<&str>) -> EventInvokeChange {
        let target = |text: &str| (!text.is_empty()).then(|| text.into());
        EventInvokeChange {
            on_success: success.map(target),
            on_failure: failure.map(target),
            ..EventInvokeChange::default()
        }
    }

    #[test]
    fn put_replaces_everything_and_update_only_what_it_names() {
        let latest = Qualifier::Latest;
        let tries = EventInvokeChange { maximum_retry_attempts: Some(1), ..to(Some("a"), Some("b")) };
        let put_first = put(&a_function("f"), &latest, tries, at(1)).unwrap();
        let age = Some(Duration::from_secs(60));
        let change = EventInvokeChange { maximum_event_age: age, ..to(Some(""), None) };
        let updated = update(&put_first, &latest, change, at(2)).unwrap();
        let expected = EventInvokeConfig {
            last_modified: at(2),
            maximum_retry_attempts: Some(1),
            maximum_event_age: age,
            on_success: None,
            on_failure: Some("b".into()),
        };
        assert_eq!(**found(&updated, &latest).unwrap(), expected);
        let replaced = put(&updated, &latest, to(Some("c"), None), at(3)).unwrap();
        assert_eq!(**found(&replaced, &latest).unwrap(), to(Some("c"), None).alone(at(3)));
        assert_eq!(replaced.latest, a_function("f").latest, "the function itself stays as it is");
    }

    #[test]
    fn what_is_not_there_is_not_touched() {
        let function = a_function("f");
        let none = EventInvokeChange::default();
        let missing = Qualifier::Version(1);
        let told = |result: Result<Function, EventInvokeError>| result.unwrap_err().to_string();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for result in
            [put(&function, &missing, none.clone(), at(1)), update(&function, &missing, none.clone(), at(1))]
        {
            assert_eq!(told(result), format!("there is no {arn}:1"));
        }
        for result in
            [update(&function, &Qualifier::Latest, none, at(1)), delete(&function, &Qualifier::Latest)]
        {
            assert_eq!(told(result), format!("{arn}:$LATEST has no configuration for events"));
        }
    }
}
