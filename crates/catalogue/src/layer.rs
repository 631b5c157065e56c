//! Layers and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::{LayerArn, LayerVersionArn, Scope};
use base::clock::Timestamp;
use store::Revision;

use crate::root::{Parts, RootKey};
use crate::{Architecture, CodeRef, Policy};

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
    pub policy: Option<Policy>,
}

/// What a layer version's owner says of it. Lambda only shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerAbout {
    /// Free text; empty when none was given.
    pub description: Arc<str>,
    /// Runtimes that it is made for; a list of none is not the same as nothing said.
    pub runtimes: Option<Vec<Arc<str>>>,
    /// Instruction sets that it is made for, likewise.
    pub architectures: Option<Vec<Architecture>>,
    /// Its license: an identifier, an address or the text itself.
    pub license: Option<Arc<str>>,
}
