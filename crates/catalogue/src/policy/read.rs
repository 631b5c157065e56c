//! Reads policy documents.
//!
//! Source: IAM User Guide, "IAM JSON policy elements reference".

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use base::id::RevisionId;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Condition, Effect, Listed, Named, Policy, Principals, Statement, Test};

/// Why a document is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON, a member is missing, unknown or of another type.
    #[error("{0}")]
    Syntax(String),
    /// The document or a statement is JSON of another kind.
    #[error("policies and statements are JSON objects")]
    NoObject,
    /// `Version` is none of the two that there are.
    #[error("the policy language has no version {0}")]
    Language(String),
    /// There is no statement.
    #[error("there is no statement")]
    Empty,
    /// Two statements have this id.
    #[error("statement id {0} is used twice")]
    Duplicate(String),
    /// A member that must be there once, itself or as its opposite.
    #[error("each statement must have either {0} or Not{0}")]
    OneOf(&'static str),
    /// `Effect` is neither Allow nor Deny.
    #[error("{0} is not an effect")]
    Effect(String),
    /// A kind of principal that there is not.
    #[error("{0} is not a kind of principal")]
    PrincipalKind(String),
    /// Somebody who cannot be.
    #[error("{0} is not a principal")]
    Principal(String),
    /// What is neither `*` nor a service's action.
    #[error("{0} is not an action")]
    Action(String),
    /// What is neither `*` nor an ARN.
    #[error("{0} is not a resource")]
    Resource(String),
    /// An operator that the policy language does not have.
    #[error("{0} is not a condition operator")]
    Operator(String),
}

/// The policy that a document says.
pub(super) fn policy(document: &str, revision: RevisionId) -> Result<Policy, Malformed> {
    let Document { version, id, statement: given } = object(document)?;
    if let Some(other) = version.as_deref().filter(|text| !["2012-10-17", "2008-10-17"].contains(text)) {
        return Err(Malformed::Language(other.to_owned()));
    }
    let texts: Vec<&RawValue> = if given.get().starts_with('[') { parse(given.get())? } else { vec![given] };
    let statements =
        texts.into_iter().map(|text| statement(text.get()).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    if statements.is_empty() {
        return Err(Malformed::Empty);
    }
    let mut seen = HashSet::new();
    if let Some(twice) = statements.iter().filter_map(|one| one.sid.as_ref()).find(|sid| !seen.insert(*sid)) {
        return Err(Malformed::Duplicate(twice.to_string()));
    }
    Ok(Policy { revision, language: version.map(Into::into), id: id.map(Into::into), statements })
}

/// One statement.
pub(super) fn statement(text: &str) -> Result<Statement, Malformed> {
    let elements: Elements = object(text)?;
    let effect = match elements.effect.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        _ => return Err(Malformed::Effect(elements.effect)),
    };
    let principals = either("Principal", elements.principal, elements.not_principal)?;
    let actions = either("Action", elements.action, elements.not_action)?;
    let resources = either("Resource", elements.resource, elements.not_resource)?;
    Ok(Statement {
        sid: elements.sid.map(Into::into),
        effect,
        principals: Principals { excluded: principals.1, named: principals.0.named()? },
        actions: listed(actions, is_action, Malformed::Action)?,
        resources: listed(resources, is_resource, Malformed::Resource)?,
        conditions: conditions(elements.condition)?,
        text: compact(text).into(),
    })
}

/// Whether this is an account's number.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether this is the ARN of somebody: an account's root, a user, a role or a role's session.
pub(super) fn is_principal_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, who] = parts[..] else { return false };
    let kinds: &[&str] = match service {
        "iam" => &["user/", "role/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return false,
    };
    let is_root = service == "iam" && who == "root";
    let named = |kind: &&str| who.strip_prefix(*kind).is_some_and(|name| !name.is_empty());
    arn == "arn"
        && partition.starts_with("aws")
        && region.is_empty()
        && is_account(account)
        && (is_root || kinds.iter().any(named))
}

/// Reads an object: structs would read lists too, member by member.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    if text.trim_ascii_start().starts_with('{') { parse(text) } else { Err(Malformed::NoObject) }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        // Places count from the start of a statement, which nobody else can count from.
        Malformed::Syntax(words.split(" at line ").next().unwrap_or_default().to_owned())
    })
}

/// The member or its opposite, and whether it is the opposite.
fn either<T>(name: &'static str, these: Option<T>, others: Option<T>) -> Result<(T, bool), Malformed> {
    match (these, others) {
        (Some(these), None) => Ok((these, false)),
        (None, Some(others)) => Ok((others, true)),
        _ => Err(Malformed::OneOf(name)),
    }
}

fn listed(
    (texts, excluded): (Texts, bool),
    fits: fn(&str) -> bool,
    refusal: fn(String) -> Malformed,
) -> Result<Listed, Malformed> {
    let texts = texts.into_vec();
    match texts.iter().find(|text| !fits(text)) {
        Some(other) => Err(refusal(other.clone())),
        None => Ok(Listed { excluded, patterns: texts.into_iter().map(Into::into).collect() }),
    }
}

fn is_action(text: &str) -> bool {
    text == "*" || text.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
}

fn is_resource(text: &str) -> bool {
    text == "*" || text.starts_with("arn:")
}

fn conditions(given: Option<Pairs<Pairs<Values>>>) -> Result<Vec<Condition>, Malformed> {
    let mut conditions = Vec::new();
    for (operator, keys) in given.map(|pairs| pairs.0).unwrap_or_default() {
        let (test, negated, absent) = operator_of(&operator).ok_or(Malformed::Operator(operator))?;
        for (key, Values(values)) in keys.0 {
            // What a variable stands for is nothing that Samovar knows.
            let test = if values.iter().any(|value| value.contains("${")) { Test::Unjudged } else { test };
            let values = values.into_iter().map(Into::into).collect();
            conditions.push(Condition {
                test,
                negated,
                absent,
                key: key.to_ascii_lowercase().into(),
                values,
            });
        }
    }
    Ok(conditions)
}

/// What an operator means: the test, whether it is negated, and what it comes to without the key.
///
/// No key here has more than one value, so that `ForAnyValue` and `ForAllValues` differ only where there is none.
fn operator_of(operator: &str) -> Option<(Test, bool, bool)> {
    let (plain, any, all) = match operator.split_once(':') {
        None => (operator, false, false),
        Some(("ForAnyValue", plain)) => (plain, true, false),
        Some(("ForAllValues", plain)) => (plain, false, true),
        Some(_) => return None,
    };
    let (plain, if_exists) = match plain.strip_suffix("IfExists") {
        Some(plain) => (plain, true),
        None => (plain, false),
    };
    let (test, negated) = match plain {
        "StringEquals" => (Test::Equal, false),
        "StringNotEquals" => (Test::Equal, true),
        "StringEqualsIgnoreCase" | "Bool" => (Test::Folded, false),
        "StringNotEqualsIgnoreCase" => (Test::Folded, true),
        "StringLike" => (Test::Like, false),
        "StringNotLike" => (Test::Like, true),
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Null" if !if_exists => (Test::Null, false),
        "NumericEquals"
        | "NumericNotEquals"
        | "NumericLessThan"
        | "NumericLessThanEquals"
        | "NumericGreaterThan"
        | "NumericGreaterThanEquals"
        | "DateEquals"
        | "DateNotEquals"
        | "DateLessThan"
        | "DateLessThanEquals"
        | "DateGreaterThan"
        | "DateGreaterThanEquals"
        | "BinaryEquals"
        | "IpAddress"
        | "NotIpAddress" => (Test::Unjudged, false),
        _ => return None,
    };
    Some((test, negated, if_exists || all || (negated && !any)))
}

/// The same JSON without white space between its parts.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut kept = |letter: &char| {
        let keep = quoted || !letter.is_ascii_whitespace();
        if *letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && *letter == '\\' && !escaped;
        keep
    };
    json.chars().filter(|letter| kept(letter)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document<'a> {
    version: Option<String>,
    id: Option<String>,
    #[serde(borrow)]
    statement: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Elements {
    sid: Option<String>,
    effect: String,
    principal: Option<Whom>,
    not_principal: Option<Whom>,
    action: Option<Texts>,
    not_action: Option<Texts>,
    resource: Option<Texts>,
    not_resource: Option<Texts>,
    condition: Option<Pairs<Pairs<Values>>>,
}

/// One text or a list.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// `*`, or lists by kind.
#[derive(Deserialize)]
#[serde(untagged, expecting = "\"*\" or an object of principals")]
enum Whom {
    Everyone(String),
    Kinds(Pairs<Texts>),
}

impl Whom {
    fn named(self) -> Result<Vec<Named>, Malformed> {
        let kinds = match self {
            Self::Everyone(text) if text == "*" => return Ok(vec![Named::Everyone]),
            Self::Everyone(text) => return Err(Malformed::Principal(text)),
            Self::Kinds(Pairs(kinds)) => kinds,
        };
        let mut named = Vec::new();
        for (kind, texts) in kinds {
            let read: fn(String) -> Result<Named, Malformed> = match kind.as_str() {
                "AWS" => named_aws,
                "Service" => |name| Ok(Named::Service(name.into())),
                "Federated" | "CanonicalUser" => |_| Ok(Named::Stranger),
                _ => return Err(Malformed::PrincipalKind(kind)),
            };
            for text in texts.into_vec() {
                named.push(read(text)?);
            }
        }
        if named.is_empty() { Err(Malformed::OneOf("Principal")) } else { Ok(named) }
    }
}

fn named_aws(text: String) -> Result<Named, Malformed> {
    let is_unique_id = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if text == "*" {
        Ok(Named::Everyone)
    } else if is_account(&text) {
        Ok(Named::Account(text.into()))
    } else if is_principal_arn(&text) {
        let account = text.strip_suffix(":root").and_then(|rest| rest.rsplit(':').next());
        Ok(account.map_or_else(|| Named::Arn(text.as_str().into()), |account| Named::Account(account.into())))
    } else if is_unique_id {
        // What an ARN turns into when its role or user is deleted.
        Ok(Named::Stranger)
    } else {
        Err(Malformed::Principal(text))
    }
}

/// Texts, numbers and truth values, one or a list.
struct Values(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, a number, a truth value or a list of these")]
enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Bool(truth) => truth.to_string(),
            Scalar::Number(number) => number.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(scalar) => vec![scalar.into()],
            OneOrMany::Many(scalars) => scalars.into_iter().map(Into::into).collect(),
        }))
    }
}

/// An object's members as they come: of two with one name a map would keep one, and a reader might judge by the
/// other.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
    type Value = Pairs<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
