//! Who asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use base::arn::{AccountId, FunctionArn, Scope};
use base::random::Dice;

use crate::secret::Secret;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Someone with a key of this account; in open mode anyone who names it.
    Account(AccountId),
    /// A function with its execution role.
    Function(Arc<FunctionIdentity>),
    /// A service that acts for a resource of somebody's.
    Service(Arc<ServiceCall>),
}

impl Principal {
    /// The account that it belongs to; services belong to none.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Function(identity) => Some(&identity.scope.account),
            Self::Service(_) => None,
        }
    }
}

impl fmt::Display for Principal {
    /// The principal as AWS's messages show it: its ARN, or the service's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "arn:aws:iam::{account}:root"),
            Self::Function(identity) => identity.fmt(f),
            Self::Service(call) => f.write_str(&call.service),
        }
    }
}

/// A service that acts for a resource of somebody's: a bucket's notification, a rule, a skill.
///
/// It has no rights but those that the policy of what it calls gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// Its name in policies: `s3.amazonaws.com`.
    pub service: Arc<str>,
    /// ARN of the resource that it acts for.
    pub source_arn: Option<Arc<str>>,
    /// The account of that resource.
    pub source_account: Option<AccountId>,
    /// What an Alexa skill shows.
    pub event_source_token: Option<Arc<str>>,
}

/// Under which name the code of one environment asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionIdentity {
    /// The function's account and region.
    pub scope: Scope,
    /// The version that runs, qualified.
    pub function: FunctionArn,
    /// ARN of its execution role.
    pub role: Arc<str>,
    /// Name of the role session; Lambda uses the function's name.
    pub session: Arc<str>,
}

impl fmt::Display for FunctionIdentity {
    /// `arn:aws:sts::<account>:assumed-role/<role name>/<session>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.role.rsplit('/').next().unwrap_or_default();
        write!(f, "arn:aws:sts::{}:assumed-role/{role}/{}", self.scope.account, self.session)
    }
}

/// The temporary keys of one environment. They are worth nothing once this is dropped.
#[derive(Debug)]
pub struct Issued {
    /// `AWS_ACCESS_KEY_ID`: `ASIA` and 16 letters and digits.
    pub access_key: Arc<str>,
    /// `AWS_SECRET_ACCESS_KEY`: 40 characters.
    pub secret: Secret,
    /// `AWS_SESSION_TOKEN`.
    pub token: Secret,
    /// Whom they stand for.
    pub identity: Arc<FunctionIdentity>,
    ledger: Ledger,
}

impl Drop for Issued {
    fn drop(&mut self) {
        self.ledger.keys.write().expect("nobody panics while holding the ledger").remove(&self.access_key);
    }
}

/// The temporary keys that are good now. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    keys: Arc<RwLock<HashMap<Arc<str>, Temporary>>>,
}

/// What the ledger knows of a temporary key.
#[derive(Debug, Clone)]
pub(crate) struct Temporary {
    pub(crate) secret: Secret,
    pub(crate) token: Secret,
    pub(crate) identity: Arc<FunctionIdentity>,
}

impl Ledger {
    pub(crate) fn issue(&self, identity: FunctionIdentity, dice: &Dice) -> Issued {
        let access_key: Arc<str> =
            format!("ASIA{}", draw::<16>(dice, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")).into();
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let temporary = Temporary {
            secret: Secret::new(draw::<40>(dice, letters)),
            // As long as STS's are, so that nothing downstream learns to expect less.
            token: Secret::new(draw::<356>(dice, letters)),
            identity: Arc::new(identity),
        };
        let mut keys = self.keys.write().expect("nobody panics while holding the ledger");
        keys.insert(Arc::clone(&access_key), temporary.clone());
        let Temporary { secret, token, identity } = temporary;
        Issued { access_key, secret, token, identity, ledger: self.clone() }
    }

    pub(crate) fn find(&self, access_key: &str) -> Option<Temporary> {
        self.keys.read().expect("nobody panics while holding the ledger").get(access_key).cloned()
    }
}

/// `N` letters of an alphabet whose length divides 256, so that each is as likely as the others.
fn draw<const N: usize>(dice: &Dice, alphabet: &[u8]) -> String {
    dice.bytes::<N>().iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}
