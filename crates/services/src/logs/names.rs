//! Groups as requests name them, and as answers do.

use base::arn::Scope;
use wire::error::ServiceError;

use super::errors::{invalid, no_group};

/// The group that a request names, in one of two ways.
pub fn group_of<'a>(
    scope: &Scope,
    name: Option<&'a str>,
    identifier: Option<&'a str>,
) -> Result<&'a str, ServiceError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => group_in(scope, identifier).ok_or_else(no_group),
        (None, None) => Err(invalid("You must include either logGroupIdentifier or logGroupName.")),
        (Some(_), Some(_)) => {
            Err(invalid("You must include either logGroupIdentifier or logGroupName, but not both."))
        }
    }
}

/// The group that an identifier names: a name, or `arn:aws:logs:<region>:<account>:log-group:<name>[:*]`.
///
/// `None` when it is not one of this account and region.
pub fn group_in<'a>(scope: &Scope, identifier: &'a str) -> Option<&'a str> {
    if identifier.starts_with("arn:") { group_at(scope, identifier) } else { Some(identifier) }
}

/// The group with this ARN; `None` when it is not one of this account and region.
pub fn group_at<'a>(scope: &Scope, arn: &'a str) -> Option<&'a str> {
    let mut parts = arn.split(':');
    let (_arn, _partition) = (parts.next()?, parts.next()?);
    let (service, region, account, kind, name) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mine = region == scope.region.as_str() && account == scope.account.as_str();
    let whole = parts.next().is_none_or(|rest| rest == "*") && parts.next().is_none();
    (mine && whole && service == "logs" && kind == "log-group").then_some(name)
}

/// The ARN of a group, without the `:*` that covers its streams.
pub fn group_arn(scope: &Scope, name: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{name}", scope.region, scope.account)
}
