//! The stored form of functions, under keys `catalogue/<account>/<region>/<kind>/<name>`.
//!
//! These structs are what older and newer Samovars agree on: a member is never renamed and never changes its
//! meaning; a new one has a default. What cannot be read so gets a new `version`.

mod configuration;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::{Qualifier, Scope};
use base::clock::Timestamp;
use base::id::{Digest, RevisionId};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Key;

use crate::rules::Numbering;
use crate::{CatalogueError, CodeRef, Function, FunctionKey, LastUpdate, Reason, State, Version};

use self::configuration::ConfigurationRecord;

/// First part of every key that the catalogue owns.
pub(crate) const PREFIX: &str = "catalogue/";

/// Version of all records written here.
const VERSION: u32 = 1;

/// What a document of the catalogue is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function and its `$LATEST`.
    Function,
    /// The numbers that outlive a function.
    Numbering,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Numbering => "numbering",
        }
    }
}

/// The key of a function's document.
pub(crate) fn key_of(kind: Kind, function: &FunctionKey) -> Key {
    let Scope { account, region } = &function.scope;
    Key::new(format!("{PREFIX}{account}/{region}/{}/{}", kind.as_str(), function.name))
}

/// What a key says; none for keys that another version of Samovar may own.
pub(crate) fn read_key(key: &Key) -> Option<(Kind, FunctionKey)> {
    let mut parts = key.as_str().strip_prefix(PREFIX)?.splitn(4, '/');
    let scope = Scope { account: parts.next()?.parse().ok()?, region: parts.next()?.parse().ok()? };
    let kind = match parts.next()? {
        "function" => Kind::Function,
        "numbering" => Kind::Numbering,
        _ => return None,
    };
    Some((kind, FunctionKey::new(scope, parts.next()?.parse().ok()?)))
}

/// The stored form of a function.
pub(crate) fn write_function(function: &Function) -> Bytes {
    let live = (!Arc::ptr_eq(&function.live, &function.latest)).then(|| VersionRecord::of(&function.live));
    encode(&FunctionRecord {
        version: VERSION,
        latest: VersionRecord::of(&function.latest),
        live,
        next_version: function.next_version,
        tags: function.tags.clone(),
    })
}

/// The function that is stored under `key`.
pub(crate) fn read_function(
    key: &Key,
    name: &FunctionKey,
    body: &[u8],
) -> Result<Arc<Function>, CatalogueError> {
    let record: FunctionRecord = decode(key, body)?;
    let latest = Arc::new(record.latest.into_version(name));
    let live = record.live.map(|live| Arc::new(live.into_version(name)));
    Ok(Arc::new(Function {
        key: name.clone(),
        live: live.unwrap_or_else(|| Arc::clone(&latest)),
        latest,
        next_version: record.next_version,
        tags: record.tags,
    }))
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

fn encode(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).expect("records have text keys and no failing members").into()
}

fn decode<T: DeserializeOwned>(key: &Key, body: &[u8]) -> Result<T, CatalogueError> {
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
struct NumberingRecord {
    version: u32,
    next_version: u64,
    next_generation: u64,
}

#[derive(Serialize, Deserialize)]
struct FunctionRecord {
    version: u32,
    latest: VersionRecord,
    /// Absent when it is the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<VersionRecord>,
    next_version: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct VersionRecord {
    configuration: ConfigurationRecord,
    code: CodeRecord,
    state: StateRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_update: Option<LastUpdateRecord>,
    revision: RevisionId,
    last_modified: Timestamp,
    generation: u64,
}

impl VersionRecord {
    fn of(version: &Version) -> Self {
        Self {
            configuration: ConfigurationRecord::of(&version.configuration),
            code: CodeRecord::of(version.code),
            state: StateRecord::of(&version.state),
            last_update: version.last_update.as_ref().map(LastUpdateRecord::of),
            revision: version.revision,
            last_modified: version.last_modified,
            generation: version.generation,
        }
    }

    fn into_version(self, function: &FunctionKey) -> Version {
        Version {
            arn: function.arn(),
            qualifier: Qualifier::Latest,
            configuration: self.configuration.into_configuration(),
            code: self.code.into_code(),
            state: self.state.into_state(),
            last_update: self.last_update.map(LastUpdateRecord::into_update),
            revision: self.revision,
            last_modified: self.last_modified,
            generation: self.generation,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct CodeRecord {
    digest: Digest,
    size: u64,
    unzipped: u64,
}

impl CodeRecord {
    fn of(code: CodeRef) -> Self {
        let CodeRef { digest, size, unzipped } = code;
        Self { digest, size, unzipped }
    }

    fn into_code(self) -> CodeRef {
        let Self { digest, size, unzipped } = self;
        CodeRef { digest, size, unzipped }
    }
}

#[derive(Serialize, Deserialize)]
struct ReasonRecord {
    code: Arc<str>,
    text: Arc<str>,
}

impl ReasonRecord {
    fn of(reason: &Reason) -> Self {
        Self { code: Arc::clone(&reason.code), text: Arc::clone(&reason.text) }
    }

    fn into_reason(self) -> Reason {
        Reason { code: self.code, text: self.text }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateRecord {
    Pending(ReasonRecord),
    Active,
    Inactive(ReasonRecord),
    Failed(ReasonRecord),
}

impl StateRecord {
    fn of(state: &State) -> Self {
        match state {
            State::Pending(reason) => Self::Pending(ReasonRecord::of(reason)),
            State::Active => Self::Active,
            State::Inactive(reason) => Self::Inactive(ReasonRecord::of(reason)),
            State::Failed(reason) => Self::Failed(ReasonRecord::of(reason)),
        }
    }

    fn into_state(self) -> State {
        match self {
            Self::Pending(reason) => State::Pending(reason.into_reason()),
            Self::Active => State::Active,
            Self::Inactive(reason) => State::Inactive(reason.into_reason()),
            Self::Failed(reason) => State::Failed(reason.into_reason()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LastUpdateRecord {
    Successful,
    InProgress(ReasonRecord),
    Failed(ReasonRecord),
}

impl LastUpdateRecord {
    fn of(update: &LastUpdate) -> Self {
        match update {
            LastUpdate::Successful => Self::Successful,
            LastUpdate::InProgress(reason) => Self::InProgress(ReasonRecord::of(reason)),
            LastUpdate::Failed(reason) => Self::Failed(ReasonRecord::of(reason)),
        }
    }

    fn into_update(self) -> LastUpdate {
        match self {
            Self::Successful => LastUpdate::Successful,
            Self::InProgress(reason) => LastUpdate::InProgress(reason.into_reason()),
            Self::Failed(reason) => LastUpdate::Failed(reason.into_reason()),
        }
    }
}

#[cfg(test)]
mod tests;
