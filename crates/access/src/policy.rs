//! What a resource policy says to a request.
//!
//! Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
//!
//! Where nobody can say whether a statement applies, because it asks for something that Samovar does not know of
//! a request, it is read to the caller's disadvantage: it allows nothing, and it denies.

mod circumstances;
mod wildcard;

use base::arn::AccountId;
use catalogue::{Condition, Effect, Listed, Named, Policy, Principals, Statement, Test, UrlAuth};

use self::circumstances::Value;
use self::wildcard::{arn_like, like, like_folded};
use crate::principal::Principal;

/// A request, as far as policies may ask about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Who asks.
    pub(crate) principal: &'a Principal,
    /// For what: `lambda:InvokeFunction`.
    pub(crate) action: &'a str,
    /// ARN of what it is done to, as the caller named it.
    pub(crate) resource: &'a str,
    /// Present when the request came through a function URL.
    pub(crate) url: Option<UrlAuth>,
    /// The organization that the accounts of this server belong to.
    pub(crate) organization: Option<&'a str>,
}

/// What a policy says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Statements allow it, and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement is about it.
    Silent,
}

/// Whether something holds of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Unknown,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// What `policy` says.
pub(crate) fn judge(policy: &Policy, asked: &Asked<'_>) -> Ruling {
    let mut ruling = Ruling::Silent;
    for statement in &policy.statements {
        match (statement.effect, applies(statement, asked)) {
            (Effect::Deny, Holds::Yes | Holds::Unknown) => return Ruling::Denied,
            (Effect::Allow, Holds::Yes) => ruling = Ruling::Allowed,
            (Effect::Deny, Holds::No) | (Effect::Allow, Holds::No | Holds::Unknown) => {}
        }
    }
    ruling
}

fn applies(statement: &Statement, asked: &Asked<'_>) -> Holds {
    let Statement { principals, actions, resources, conditions, .. } = statement;
    let mut applies = Holds::Yes;
    let parts = [
        about(principals, asked.principal),
        lists(actions, |pattern| like_folded(pattern, asked.action)),
        lists(resources, |pattern| arn_like(pattern, asked.resource)),
    ];
    for part in parts.into_iter().chain(conditions.iter().map(|condition| holds(condition, asked))) {
        match part {
            Holds::No => return Holds::No,
            Holds::Unknown => applies = Holds::Unknown,
            Holds::Yes => {}
        }
    }
    applies
}

fn about(Principals { excluded, named }: &Principals, principal: &Principal) -> Holds {
    (named.iter().any(|named| is(named, principal)) != *excluded).into()
}

fn is(named: &Named, principal: &Principal) -> bool {
    match (named, principal) {
        (Named::Everyone, _) => true,
        (Named::Account(account), principal) => {
            principal.account().map(AccountId::as_str) == Some(&**account)
        }
        // A role stands for each of its sessions.
        (Named::Arn(arn), Principal::Function(identity)) => {
            *arn == identity.role || **arn == *identity.to_string()
        }
        (Named::Service(name), Principal::Service(call)) => *name == call.service,
        (Named::Arn(_) | Named::Service(_) | Named::Stranger, _) => false,
    }
}

fn lists(Listed { excluded, patterns }: &Listed, fits: impl Fn(&str) -> bool) -> Holds {
    if patterns.iter().any(|pattern| fits(pattern)) {
        return (!excluded).into();
    }
    // What a variable stands for is nothing that Samovar knows.
    if patterns.iter().any(|pattern| pattern.contains("${")) { Holds::Unknown } else { (*excluded).into() }
}

fn holds(condition: &Condition, asked: &Asked<'_>) -> Holds {
    let value = asked.value(&condition.key);
    let any = |test: &dyn Fn(&str) -> bool| condition.values.iter().any(|wanted| test(wanted));
    match (condition.test, &value) {
        (Test::Unjudged, _) | (_, Value::Unknown) => Holds::Unknown,
        (Test::Null, value) => {
            let absent = if *value == Value::Absent { "true" } else { "false" };
            any(&|wanted| wanted.eq_ignore_ascii_case(absent)).into()
        }
        (_, Value::Absent) => condition.absent.into(),
        (test, Value::Is(value)) => {
            (any(&|wanted| compares(test, wanted, value)) != condition.negated).into()
        }
    }
}

fn compares(test: Test, wanted: &str, value: &str) -> bool {
    match test {
        Test::Equal => wanted == value,
        Test::Folded => wanted.eq_ignore_ascii_case(value),
        Test::Like => like(wanted, value),
        Test::Arn => arn_like(wanted, value),
        Test::Null | Test::Unjudged => false,
    }
}

#[cfg(test)]
mod tests;
