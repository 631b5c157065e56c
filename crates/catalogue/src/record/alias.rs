//! The stored form of an alias.

use std::sync::Arc;

use base::arn::Qualifier;
use base::id::RevisionId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{VERSION, decode, encode};
use crate::root::Part;
use crate::{Alias, CatalogueError, FunctionKey, Routing, Weight};

impl Part for Alias {
    const KIND: &'static str = "alias";
    type Name = Arc<str>;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        encode(&AliasRecord {
            version: VERSION,
            function_version: self.version.to_string(),
            routing: self.routing.map(RoutingRecord::of),
            description: Arc::clone(&self.description),
            revision: self.revision,
        })
    }

    fn read(document: &Key, _: &Self::Owner, name: &Self::Name, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: AliasRecord = decode(document, body)?;
        let corrupt = |reason: &str| CatalogueError::Corrupt { key: document.clone(), reason: reason.into() };
        let routing = record.routing.map(RoutingRecord::into_routing);
        Ok(Self {
            name: Arc::clone(name),
            version: Qualifier::parse(&record.function_version)
                .ok()
                .filter(|version| !matches!(version, Qualifier::Alias(_)))
                .ok_or_else(|| corrupt("an alias leads to no version"))?,
            routing: match routing {
                Some(None) => return Err(corrupt("a weight is not from 0 to 1")),
                routing => routing.flatten(),
            },
            description: record.description,
            revision: record.revision,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct AliasRecord {
    version: u32,
    /// `$LATEST` or a number.
    function_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing: Option<RoutingRecord>,
    #[serde(default)]
    description: Arc<str>,
    revision: RevisionId,
}

#[derive(Serialize, Deserialize)]
struct RoutingRecord {
    version: u64,
    weight: f64,
}

impl RoutingRecord {
    fn of(routing: Routing) -> Self {
        Self { version: routing.version, weight: routing.weight.get() }
    }

    fn into_routing(self) -> Option<Routing> {
        Some(Routing { version: self.version, weight: Weight::new(self.weight)? })
    }
}
