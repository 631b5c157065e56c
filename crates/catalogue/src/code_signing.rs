//! Code signing configurations: whose packages functions take.
//!
//! Samovar reads no signatures: to it, every package is unsigned. So a policy is all there is to carry out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base::arn::Scope;
use base::clock::Timestamp;
use base::random::Dice;
use store::Revision;

use crate::configuration::words;
use crate::root::RootKey;

/// Begins the id of every configuration.
const PREFIX: &str = "csc-";

/// Lower-case letters and digits of an id after its beginning. Source: the service model.
const ID_CHARS: usize = 17;

/// A configuration's id where it is unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeSigningKey {
    /// Account and region.
    pub scope: Scope,
    /// `csc-`, and 17 lower-case letters and digits.
    pub id: Arc<str>,
}

impl CodeSigningKey {
    /// The key of a fresh id.
    pub fn fresh(scope: Scope, dice: &Dice) -> Self {
        Self { scope, id: format!("{PREFIX}{}", dice.lower_alphanumeric(ID_CHARS)).into() }
    }

    /// The key of an ARN that a configuration may have; none for other texts.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let words: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "lambda", region, account, "code-signing-config", id] = words[..] else {
            return None;
        };
        let scope = Scope { account: account.parse().ok()?, region: region.parse().ok()? };
        Self::parse(scope, id)
    }
}

impl RootKey for CodeSigningKey {
    type Root = CodeSigningConfig;

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn name(&self) -> &str {
        &self.id
    }

    fn parse(scope: Scope, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let letters = rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (rest.len() == ID_CHARS && letters).then(|| Self { scope, id: name.into() })
    }
}

impl fmt::Display for CodeSigningKey {
    /// `arn:aws:lambda:<region>:<account>:code-signing-config:<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        write!(f, "arn:aws:lambda:{region}:{account}:code-signing-config:{}", self.id)
    }
}

/// Whose packages a function takes, and what happens to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSigningConfig {
    /// Its id.
    pub key: CodeSigningKey,
    /// The revision of its document.
    pub(crate) stored: Revision,
    /// Free text; empty when none was given.
    pub description: Arc<str>,
    /// ARNs of the signing profile versions whose signatures count.
    pub publishers: Vec<Arc<str>>,
    /// What happens to a package without such a signature.
    pub untrusted: Untrusted,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// Tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl CodeSigningConfig {
    /// One that was just asked for.
    pub fn new(
        key: CodeSigningKey,
        change: CodeSigningChange,
        tags: BTreeMap<Arc<str>, Arc<str>>,
        now: Timestamp,
    ) -> Self {
        let nothing = Self {
            key,
            stored: Revision::default(),
            description: "".into(),
            publishers: Vec::new(),
            untrusted: Untrusted::Warn,
            last_modified: now,
            tags,
        };
        nothing.changed(change, now)
    }

    /// The same with what `change` gives.
    #[must_use]
    pub fn changed(&self, change: CodeSigningChange, now: Timestamp) -> Self {
        Self {
            description: change.description.unwrap_or_else(|| Arc::clone(&self.description)),
            publishers: change.publishers.unwrap_or_else(|| self.publishers.clone()),
            untrusted: change.untrusted.unwrap_or(self.untrusted),
            last_modified: now,
            ..self.clone()
        }
    }
}

/// A change of a configuration. What is `None` stays, or gets its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeSigningChange {
    /// See [`CodeSigningConfig::description`].
    pub description: Option<Arc<str>>,
    /// See [`CodeSigningConfig::publishers`].
    pub publishers: Option<Vec<Arc<str>>>,
    /// See [`CodeSigningConfig::untrusted`].
    pub untrusted: Option<Untrusted>,
}

/// What happens to a package that no allowed publisher signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Untrusted {
    /// It is taken, with a warning.
    Warn,
    /// It is refused.
    Enforce,
}

words!(Untrusted { Warn = "Warn", Enforce = "Enforce" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_its_arn_again() {
        let scope = crate::rules::tests::a_function("f").key.scope;
        let key = CodeSigningKey::fresh(scope, &Dice::seeded(3));
        assert_eq!(CodeSigningKey::of_arn(&key.to_string()), Some(key));
    }

    #[test]
    fn other_texts_are_no_arns() {
        let arn = |id: &str| format!("arn:aws:lambda:us-east-1:000000000000:code-signing-config:{id}");
        for text in [
            String::new(),
            arn("csc-"),
            arn("csc-0123456789abcdef"),
            arn("csc-0123456789abcdefAB"),
            arn("csc-0123456789abcdef/"),
            arn("0123456789abcdef0"),
            arn("csc-0123456789abcdef0:x"),
            "arn:aws:lambda:us-east-1:000000000000:function:csc-0123456789abcdef0".to_owned(),
        ] {
            assert_eq!(CodeSigningKey::of_arn(&text), None, "{text}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let scope = crate::rules::tests::a_function("f").key.scope;
        let key = CodeSigningKey::fresh(scope, &Dice::seeded(3));
        let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let publishers = Some(vec!["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/1".into()]);
        let change = CodeSigningChange { publishers, ..CodeSigningChange::default() };
        let config = CodeSigningConfig::new(key, change, BTreeMap::new(), early);
        assert_eq!((&*config.description, config.untrusted), ("", Untrusted::Warn));
        let change =
            CodeSigningChange { untrusted: Some(Untrusted::Enforce), ..CodeSigningChange::default() };
        let changed = config.changed(change, late);
        assert_eq!((changed.publishers.len(), changed.untrusted), (1, Untrusted::Enforce));
        assert_eq!(changed.last_modified, late);
    }
}
