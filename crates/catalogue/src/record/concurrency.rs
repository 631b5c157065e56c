//! The stored form of provisioned concurrency.

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::units::Concurrency;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{CatalogueError, FunctionKey, ProvisionedConcurrency};

impl Part for ProvisionedConcurrency {
    const KIND: &'static str = "provisioned";
    type Name = Qualifier;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        let Self { requested, last_modified } = *self;
        encode(&ProvisionedRecord { version: VERSION, requested, last_modified })
    }

    fn read(document: &Key, _: &FunctionKey, _: &Qualifier, body: &[u8]) -> Result<Self, CatalogueError> {
        let ProvisionedRecord { requested, last_modified, .. } = decode(document, body)?;
        Ok(Self { requested, last_modified })
    }
}

#[derive(Serialize, Deserialize)]
struct ProvisionedRecord {
    version: u32,
    requested: Concurrency,
    last_modified: Timestamp,
}
