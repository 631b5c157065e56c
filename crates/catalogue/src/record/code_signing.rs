//! Code signing configurations in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::clock::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Key, Revision};

use super::{VERSION, decode, encode};
use crate::CatalogueError;
use crate::code_signing::{CodeSigningConfig, CodeSigningKey, Untrusted};
use crate::root::Root;
use crate::snapshot::{Shelves, Snapshot};

impl Root for CodeSigningConfig {
    const KIND: &'static str = "code-signing-config";
    type Key = CodeSigningKey;

    fn key(&self) -> &CodeSigningKey {
        &self.key
    }

    fn missing(key: &CodeSigningKey) -> CatalogueError {
        CatalogueError::Missing { what: key.to_string() }
    }

    fn stored(&self) -> Revision {
        self.stored
    }

    fn set_stored(&mut self, revision: Revision) {
        self.stored = revision;
    }

    fn write(&self) -> Bytes {
        encode(&CodeSigningRecord {
            version: VERSION,
            description: Arc::clone(&self.description),
            publishers: self.publishers.clone(),
            untrusted: UntrustedRecord::of(self.untrusted),
            last_modified: self.last_modified,
            tags: self.tags.clone(),
        })
    }

    fn read(document: &Key, key: &CodeSigningKey, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: CodeSigningRecord = decode(document, body)?;
        Ok(Self {
            key: key.clone(),
            stored: Revision::default(),
            description: record.description,
            publishers: record.publishers,
            untrusted: record.untrusted.into_policy(),
            last_modified: record.last_modified,
            tags: record.tags,
        })
    }

    fn shelves(snapshot: &Snapshot) -> &Shelves<Self> {
        &snapshot.code_signing
    }

    fn shelves_mut(snapshot: &mut Snapshot) -> &mut Shelves<Self> {
        &mut snapshot.code_signing
    }
}

#[derive(Serialize, Deserialize)]
struct CodeSigningRecord {
    version: u32,
    description: Arc<str>,
    publishers: Vec<Arc<str>>,
    untrusted: UntrustedRecord,
    last_modified: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UntrustedRecord {
    Warn,
    Enforce,
}

impl UntrustedRecord {
    const fn of(policy: Untrusted) -> Self {
        match policy {
            Untrusted::Warn => Self::Warn,
            Untrusted::Enforce => Self::Enforce,
        }
    }

    const fn into_policy(self) -> Untrusted {
        match self {
            Self::Warn => Untrusted::Warn,
            Self::Enforce => Untrusted::Enforce,
        }
    }
}
