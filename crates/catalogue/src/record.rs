//! The stored form of what exists, under keys `catalogue/<account>/<region>/<kind>/<name>` for roots and
//! `<root's key>/<part's kind>/<part's name>` for parts.
//!
//! The structs below are what older and newer Samovars agree on: a member is never renamed and never changes its
//! meaning; a new one has a default. What cannot be read so gets a new `version`.

mod alias;
mod code_signing;
mod concurrency;
mod configuration;
mod event_invoke;
mod function;
mod function_url;
mod layer;
mod mapping;
pub(crate) mod policy;
mod runtime_management;

use base::arn::Scope;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Key;

use crate::root::{Root, RootKey};
use crate::rules::Numbering;
use crate::{CatalogueError, FunctionKey};

/// First part of every key that the catalogue owns.
pub(crate) const PREFIX: &str = "catalogue/";

/// What the documents of the numbers are called that outlive a function.
const NUMBERING: &str = "numbering";

/// What the documents are called that guard the concurrency of an account.
pub(crate) const POOL: &str = "pool";

/// Version of all records written here.
pub(crate) const VERSION: u32 = 1;

/// The key of a root's document.
pub(crate) fn key_of<R: Root>(key: &R::Key) -> Key {
    root_key(key.scope(), R::KIND, key.name())
}

/// The key of the numbers that outlive a function.
pub(crate) fn numbering_of(function: &FunctionKey) -> Key {
    root_key(&function.scope, NUMBERING, function.name.as_str())
}

/// The key of the document that guards the concurrency of an account in a region: whoever takes of it writes this.
pub(crate) fn pool_of(scope: &Scope) -> Key {
    root_key(scope, POOL, "concurrency")
}

/// The stored form of that guard, which holds nothing: what is taken stands with the functions that took it.
pub(crate) fn write_pool() -> Bytes {
    encode(&PoolRecord { version: VERSION })
}

fn root_key(Scope { account, region }: &Scope, kind: &str, name: &str) -> Key {
    Key::new(format!("{PREFIX}{account}/{region}/{kind}/{name}"))
}

/// What a key of the catalogue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    pub(crate) document: &'a Key,
    pub(crate) scope: Scope,
    /// Of the root.
    pub(crate) kind: &'a str,
    /// Of the root.
    pub(crate) name: &'a str,
    /// Kind and name of the part; none for the root itself.
    pub(crate) part: Option<(&'a str, &'a str)>,
}

impl<'a> Place<'a> {
    /// None for keys that another version of Samovar may own.
    pub(crate) fn read(document: &'a Key) -> Option<Self> {
        let mut words = document.as_str().strip_prefix(PREFIX)?.split('/');
        let scope = Scope { account: words.next()?.parse().ok()?, region: words.next()?.parse().ok()? };
        let (kind, name) = (words.next()?, words.next()?);
        let part = match (words.next(), words.next(), words.next()) {
            (None, None, None) => None,
            (Some(kind), Some(name), None) => Some((kind, name)),
            _ => return None,
        };
        Some(Self { document, scope, kind, name, part })
    }
}

/// The stored form of the numbers that outlive a function.
pub(crate) fn write_numbering(numbering: Numbering) -> Bytes {
    let Numbering { next_version, next_generation } = numbering;
    encode(&NumberingRecord { version: VERSION, next_version, next_generation })
}

/// The numbers that are stored under `key`.
pub(crate) fn read_numbering(key: &Key, body: &[u8]) -> Result<Numbering, CatalogueError> {
    let NumberingRecord { next_version, next_generation, .. } = decode(key, body)?;
    Ok(Numbering { next_version, next_generation })
}

/// A record as it is stored.
pub(crate) fn encode(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).expect("records have text keys and no failing members").into()
}

/// The record that is stored under `key`, if it is of this version.
pub(crate) fn decode<T: DeserializeOwned>(key: &Key, body: &[u8]) -> Result<T, CatalogueError> {
    let corrupt = |reason| CatalogueError::Corrupt { key: key.clone(), reason };
    let Versioned { version } = serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))?;
    if version != VERSION {
        return Err(corrupt(format!("version {version} is not known to this samovar")));
    }
    serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct PoolRecord {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct NumberingRecord {
    version: u32,
    next_version: u64,
    next_generation: u64,
}

#[cfg(test)]
mod tests;
