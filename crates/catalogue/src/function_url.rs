//! Function URLs: the HTTP endpoint of a function or of one of its aliases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::random::Dice;
use serde::{Deserialize, Serialize};

use crate::configuration::words;

/// Characters of the first label of a function URL. Source: recorded URLs.
const ID_CHARS: usize = 32;

/// The endpoint of `$LATEST` or of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionUrl {
    /// What its address begins with. Stays as long as the endpoint does, whatever becomes of the alias.
    pub id: UrlId,
    /// Who may send requests.
    pub auth: UrlAuth,
    /// Whether a response is sent as it comes.
    pub invoke_mode: InvokeMode,
    /// What browsers may do with other origins' pages; nothing unless given.
    pub cors: Option<Cors>,
    /// When it was made.
    pub created: Timestamp,
    /// When a customer last changed it.
    pub last_modified: Timestamp,
}

/// 32 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UrlId(Arc<str>);

impl UrlId {
    /// A fresh one.
    pub fn fresh(dice: &Dice) -> Self {
        Self(dice.lower_alphanumeric(ID_CHARS).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UrlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no id of a function URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a function URL")]
pub struct NoUrlId(String);

impl FromStr for UrlId {
    type Err = NoUrlId;
    fn from_str(text: &str) -> Result<Self, NoUrlId> {
        let good = text.len() == ID_CHARS
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if good { Ok(Self(text.into())) } else { Err(NoUrlId(text.to_owned())) }
    }
}

/// Who may send requests to a function URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UrlAuth {
    /// Everybody.
    #[serde(rename = "NONE")]
    None,
    /// Who signs with a key that may.
    #[serde(rename = "AWS_IAM")]
    AwsIam,
}

/// How a response gets from a function to who asked its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InvokeMode {
    /// When it is complete.
    #[serde(rename = "BUFFERED")]
    Buffered,
    /// As it comes.
    #[serde(rename = "RESPONSE_STREAM")]
    ResponseStream,
}

words!(UrlAuth { None = "NONE", AwsIam = "AWS_IAM" });
words!(InvokeMode { Buffered = "BUFFERED", ResponseStream = "RESPONSE_STREAM" });

/// Cross-origin resource sharing, with what was given; absent is not the same as empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    /// Whether cookies and other credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// Headers that requests may have.
    pub allow_headers: Option<Vec<Arc<str>>>,
    /// Methods that requests may have.
    pub allow_methods: Option<Vec<Arc<str>>>,
    /// Origins whose pages may send requests.
    pub allow_origins: Option<Vec<Arc<str>>>,
    /// Headers of responses that pages may read.
    pub expose_headers: Option<Vec<Arc<str>>>,
    /// How long a browser may keep the answer to a preflight.
    pub max_age: Option<Duration>,
}

/// An endpoint to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFunctionUrl {
    /// A fresh id.
    pub id: UrlId,
    /// See [`FunctionUrl::auth`].
    pub auth: UrlAuth,
    /// See [`FunctionUrl::invoke_mode`].
    pub invoke_mode: InvokeMode,
    /// See [`FunctionUrl::cors`].
    pub cors: Option<Cors>,
}

impl NewFunctionUrl {
    /// The endpoint, made now.
    pub fn made(self, now: Timestamp) -> FunctionUrl {
        let Self { id, auth, invoke_mode, cors } = self;
        FunctionUrl { id, auth, invoke_mode, cors, created: now, last_modified: now }
    }
}

/// A change of an endpoint. What is `None` stays; where the outer is `Some` and the inner `None`, it is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionUrlChange {
    /// See [`FunctionUrl::auth`].
    pub auth: Option<UrlAuth>,
    /// See [`FunctionUrl::invoke_mode`].
    pub invoke_mode: Option<InvokeMode>,
    /// Replaces everything about other origins.
    pub cors: Option<Option<Cors>>,
}

impl FunctionUrlChange {
    /// `old` with what this changes.
    pub fn applied_to(self, old: &FunctionUrl, now: Timestamp) -> FunctionUrl {
        FunctionUrl {
            id: old.id.clone(),
            auth: self.auth.unwrap_or(old.auth),
            invoke_mode: self.invoke_mode.unwrap_or(old.invoke_mode),
            cors: self.cors.unwrap_or_else(|| old.cors.clone()),
            created: old.created,
            last_modified: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_lower_case_letters_and_digits() {
        let dice = Dice::seeded(1);
        let (one, other) = (UrlId::fresh(&dice), UrlId::fresh(&dice));
        assert_ne!(one, other);
        assert_eq!(one.as_str().parse(), Ok(one.clone()));
        for text in ["", "abc", &one.as_str().to_uppercase(), &format!("{one}a"), &"é".repeat(16)] {
            assert!(text.parse::<UrlId>().is_err(), "{text}");
        }
    }
}
