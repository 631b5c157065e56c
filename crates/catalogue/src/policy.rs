//! Resource policies: what a function, a version, an alias or a layer version lets others do with it.
//!
//! A policy is kept as its author wrote it and read once: when it is made, and when it comes from the store.
//! `access` judges requests by what was read, without looking at the text again.

mod grant;
mod read;

use std::fmt;
use std::sync::Arc;

use base::arn::Qualifier;
use base::id::RevisionId;

pub use self::grant::{Grant, GrantedTo};
pub use self::read::Malformed;
use crate::root::PartName;

/// Which resource of a function a policy is of: nothing stands for the function itself, unqualified.
///
/// `$LATEST` is another: what the unqualified function allows, `$LATEST` does not. Source: recorded in 2026.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(pub Option<Qualifier>);

/// How the unqualified function is called among qualifiers, none of which can be called so.
const UNQUALIFIED: &str = "$UNQUALIFIED";

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str(UNQUALIFIED),
            Some(qualifier) => qualifier.fmt(f),
        }
    }
}

impl PartName for PolicyName {
    fn parse(text: &str) -> Option<Self> {
        if text == UNQUALIFIED { Some(Self(None)) } else { Some(Self(Some(Qualifier::parse(text).ok()?))) }
    }
}

/// A resource policy. Always has a statement: one without any is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Changes with every change of the policy; it is not the function's.
    pub revision: RevisionId,
    /// `Version` of the policy language, as far as the document names one.
    pub language: Option<Arc<str>>,
    /// `Id`, as far as the document has one.
    pub id: Option<Arc<str>>,
    /// In the order in which they came.
    pub statements: Vec<Arc<Statement>>,
}

impl Policy {
    /// The policy that a first grant makes. Source: recorded answers.
    pub fn of(statement: Statement, revision: RevisionId) -> Self {
        let language = Some("2012-10-17".into());
        Self { revision, language, id: Some("default".into()), statements: vec![Arc::new(statement)] }
    }

    /// The policy that a document says.
    pub fn read(document: &str, revision: RevisionId) -> Result<Self, Malformed> {
        read::policy(document, revision)
    }

    /// The document as answers show it: compact, each statement in the order and spelling of its author.
    pub fn document(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut members = Vec::with_capacity(3);
        members.extend(self.language.as_deref().map(|language| format!("\"Version\":{}", text(language))));
        members.extend(self.id.as_deref().map(|id| format!("\"Id\":{}", text(id))));
        let statements: Vec<&str> = self.statements.iter().map(|statement| statement.text()).collect();
        members.push(format!("\"Statement\":[{}]", statements.join(",")));
        format!("{{{}}}", members.join(","))
    }

    /// The statement with this id.
    pub fn statement(&self, sid: &str) -> Option<&Arc<Statement>> {
        self.statements.iter().find(|statement| statement.sid.as_deref() == Some(sid))
    }
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// `Sid`; a policy has each once.
    pub sid: Option<Arc<str>>,
    /// What follows when it applies.
    pub effect: Effect,
    /// Whom it is about.
    pub principals: Principals,
    /// What they do: `lambda:InvokeFunction`, with `*` and `?`.
    pub actions: Listed,
    /// To what: ARNs, with `*` and `?`.
    pub resources: Listed,
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    text: Arc<str>,
}

impl Statement {
    /// The statement as compact JSON, in its author's order and spelling.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What follows when a statement applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is allowed, unless another statement denies it.
    Allow,
    /// It is denied, whatever other statements say.
    Deny,
}

/// `Action`, `Resource` and their opposites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// All but these: `NotAction`, `NotResource`.
    pub excluded: bool,
    /// Patterns.
    pub patterns: Vec<Arc<str>>,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principals {
    /// All but these: `NotPrincipal`.
    pub excluded: bool,
    /// Who.
    pub named: Vec<Named>,
}

/// Somebody whom a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `*`.
    Everyone,
    /// A whole account: twelve digits, or the ARN of its root.
    Account(Arc<str>),
    /// ARN of a user, a role or a role's session.
    Arn(Arc<str>),
    /// A service, as `s3.amazonaws.com`.
    Service(Arc<str>),
    /// Somebody whom Samovar never meets: a web identity, a canonical user, a unique id. Kept and shown.
    Stranger,
}

/// What a statement asks of a request's circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How values are compared.
    pub test: Test,
    /// Whether none of the values may hold: `StringNotEquals`.
    pub negated: bool,
    /// What a request comes to that has no such key.
    pub absent: bool,
    /// The key in lower case, as keys are compared.
    pub key: Arc<str>,
    /// Any of these.
    pub values: Vec<Arc<str>>,
}

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `StringEquals`.
    Equal,
    /// `StringEqualsIgnoreCase`, and `Bool`.
    Folded,
    /// `StringLike`: with `*` and `?`.
    Like,
    /// `ArnLike` and `ArnEquals`: like, part by part of an ARN.
    Arn,
    /// `Null`: whether the key is absent.
    Null,
    /// An operator of the policy language that nothing here gives values for, such as `IpAddress` or
    /// `DateLessThan`, or a value with a policy variable. Nobody can say whether it holds.
    Unjudged,
}

#[cfg(test)]
pub(crate) mod tests;
