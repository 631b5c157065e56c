//! Resource policies in the store.

use base::id::RevisionId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{CatalogueError, FunctionKey, Policy, PolicyName};

impl Part for Policy {
    const KIND: &'static str = "policy";
    type Name = PolicyName;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        encode(&FunctionPolicyRecord { version: VERSION, policy: PolicyRecord::of(self) })
    }

    fn read(document: &Key, _: &FunctionKey, _: &PolicyName, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: FunctionPolicyRecord = decode(document, body)?;
        record.policy.into_policy(document)
    }
}

#[derive(Serialize, Deserialize)]
struct FunctionPolicyRecord {
    version: u32,
    policy: PolicyRecord,
}

/// A policy within any record.
#[derive(Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    revision: RevisionId,
    document: String,
}

impl PolicyRecord {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self { revision: policy.revision, document: policy.document() }
    }

    /// The policy as it was stored in `key`.
    pub(crate) fn into_policy(self, key: &Key) -> Result<Policy, CatalogueError> {
        let corrupt = |reason: String| CatalogueError::Corrupt { key: key.clone(), reason };
        Policy::read(&self.document, self.revision).map_err(|error| corrupt(error.to_string()))
    }
}
