//! The stored form of when a version gets another version of its runtime.

use std::sync::Arc;

use base::arn::Qualifier;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{CatalogueError, FunctionKey, RuntimeManagement};

impl Part for RuntimeManagement {
    const KIND: &'static str = "runtime-management";
    type Name = Qualifier;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        let update_on = match self {
            Self::Auto => UpdateOnRecord::Auto,
            Self::FunctionUpdate => UpdateOnRecord::FunctionUpdate,
            Self::Manual(version) => UpdateOnRecord::Manual(Arc::clone(version)),
        };
        encode(&RuntimeManagementRecord { version: VERSION, update_on })
    }

    fn read(document: &Key, _: &FunctionKey, _: &Qualifier, body: &[u8]) -> Result<Self, CatalogueError> {
        let RuntimeManagementRecord { update_on, .. } = decode(document, body)?;
        Ok(match update_on {
            UpdateOnRecord::Auto => Self::Auto,
            UpdateOnRecord::FunctionUpdate => Self::FunctionUpdate,
            UpdateOnRecord::Manual(version) => Self::Manual(version),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct RuntimeManagementRecord {
    version: u32,
    update_on: UpdateOnRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UpdateOnRecord {
    Auto,
    FunctionUpdate,
    /// ARN of the runtime version.
    Manual(Arc<str>),
}
