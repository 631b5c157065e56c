//! Layers and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::{AccountId, LayerArn, LayerVersionArn, Scope};
use base::clock::Timestamp;
use base::id::RevisionId;
use store::Revision;

use crate::root::{Parts, RootKey};
use crate::{Architecture, CodeRef};

/// A layer's name where it is unique.
pub type LayerKey = LayerArn;

impl RootKey for LayerKey {
    type Root = Layer;

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn parse(scope: Scope, name: &str) -> Option<Self> {
        Some(Self { scope, name: name.parse().ok()? })
    }
}

/// A layer. It stays when its last version is deleted, so that no number is used twice; lists do not show it then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub key: LayerKey,
    /// The revision of its document.
    pub(crate) stored: Revision,
    /// The number that the next published version gets.
    pub next_version: u64,
    /// Its versions, by number.
    pub versions: Parts<LayerVersion>,
}

impl Layer {
    /// A layer without versions.
    pub fn empty(key: LayerKey) -> Self {
        Self { key, stored: Revision::default(), next_version: 1, versions: BTreeMap::new() }
    }
}

/// A version of a layer. All but its policy never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerVersion {
    /// Its ARN.
    pub arn: LayerVersionArn,
    /// What is in it.
    pub code: CodeRef,
    /// When it was published.
    pub created: Timestamp,
    /// What its owner says of it.
    pub about: LayerAbout,
    /// Who beside its owner may use it; none when nobody was ever told, or nobody is left.
    pub policy: Option<LayerPolicy>,
}

impl LayerVersion {
    /// Whether functions of this account may have it.
    ///
    /// Accounts here belong to no organization, so what is granted to one's members is granted to nobody.
    pub fn admits(&self, account: &AccountId) -> bool {
        let granted = |statement: &LayerStatement| {
            statement.organization.is_none()
                && match &statement.grantee {
                    Grantee::Everyone => true,
                    Grantee::Account(granted) => granted == account,
                }
        };
        self.arn.layer.scope.account == *account
            || self.policy.iter().flat_map(|policy| &policy.statements).any(granted)
    }
}

/// What a layer version's owner says of it. Lambda only shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerAbout {
    /// Free text; empty when none was given.
    pub description: Arc<str>,
    /// Runtimes that it is made for.
    pub runtimes: Vec<Arc<str>>,
    /// Instruction sets that it is made for.
    pub architectures: Vec<Architecture>,
    /// Its license: an identifier, an address or the text itself.
    pub license: Option<Arc<str>>,
}

/// Who beside its owner may use a layer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPolicy {
    /// Changes with every change of the policy.
    pub revision: RevisionId,
    /// In the order in which they were added.
    pub statements: Vec<LayerStatement>,
}

/// One grant of `lambda:GetLayerVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerStatement {
    /// Tells it from the others of a policy.
    pub sid: Arc<str>,
    /// Whom it is for.
    pub grantee: Grantee,
    /// Only members of this organization.
    pub organization: Option<Arc<str>>,
}

/// Whom a layer version is granted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// `*`.
    Everyone,
    /// All of an account.
    Account(AccountId),
}
