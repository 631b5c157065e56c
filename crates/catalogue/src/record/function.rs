//! Functions and their versions in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::id::{Digest, RevisionId};
use base::units::Concurrency;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Key, Revision};

use super::configuration::ConfigurationRecord;
use super::{VERSION, decode, encode};
use crate::follower::Event;
use crate::root::{Differences, Part, PartChange, Root};
use crate::snapshot::{Shelves, Snapshot};
use crate::{
    Alias, CatalogueError, CodeRef, EventInvokeConfig, Function, FunctionKey, FunctionUrl, LastUpdate,
    Policy, ProvisionedConcurrency, Published, Reason, RecursiveLoop, RuntimeManagement, State, Usage,
    Version,
};

impl Root for Function {
    const KIND: &'static str = "function";
    type Key = FunctionKey;

    fn key(&self) -> &FunctionKey {
        &self.key
    }

    fn missing(key: &FunctionKey) -> CatalogueError {
        CatalogueError::NotFound { arn: key.arn() }
    }

    fn stored(&self) -> Revision {
        self.stored
    }

    fn set_stored(&mut self, revision: Revision) {
        self.stored = revision;
    }

    fn write(&self) -> Bytes {
        let live = (!Arc::ptr_eq(&self.live, &self.latest)).then(|| VersionRecord::of(&self.live));
        encode(&FunctionRecord {
            version: VERSION,
            latest: VersionRecord::of(&self.latest),
            live,
            next_version: self.next_version,
            published: self.published.map(PublicationRecord::of),
            code_signing: self.code_signing.clone(),
            reserved: self.reserved,
            recursion: self.recursion,
            tags: self.tags.clone(),
        })
    }

    fn read(document: &Key, key: &FunctionKey, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: FunctionRecord = decode(document, body)?;
        let latest = Arc::new(record.latest.into_version(key, Qualifier::Latest));
        let live = record.live.map(|live| Arc::new(live.into_version(key, Qualifier::Latest)));
        Ok(Self {
            key: key.clone(),
            stored: Revision::default(),
            live: live.unwrap_or_else(|| Arc::clone(&latest)),
            latest,
            next_version: record.next_version,
            published: record.published.map(PublicationRecord::into_published),
            code_signing: record.code_signing,
            reserved: record.reserved,
            recursion: record.recursion,
            tags: record.tags,
            event_invoke: BTreeMap::new(),
            urls: BTreeMap::new(),
            aliases: BTreeMap::new(),
            policies: BTreeMap::new(),
            provisioned: BTreeMap::new(),
            runtime_management: BTreeMap::new(),
            versions: BTreeMap::new(),
        })
    }

    fn with_parts_of(self, older: &Self) -> Self {
        Self {
            event_invoke: older.event_invoke.clone(),
            urls: older.urls.clone(),
            aliases: older.aliases.clone(),
            policies: older.policies.clone(),
            provisioned: older.provisioned.clone(),
            runtime_management: older.runtime_management.clone(),
            versions: older.versions.clone(),
            // One line a kind of part.
            ..self
        }
    }

    fn differences(old: Option<&Self>, new: Option<&Self>, told: &mut Differences) {
        told.add::<EventInvokeConfig>(old.map(|it| &it.event_invoke), new.map(|it| &it.event_invoke));
        told.add::<FunctionUrl>(old.map(|it| &it.urls), new.map(|it| &it.urls));
        told.add::<Alias>(old.map(|it| &it.aliases), new.map(|it| &it.aliases));
        told.add::<Policy>(old.map(|it| &it.policies), new.map(|it| &it.policies));
        told.add::<ProvisionedConcurrency>(old.map(|it| &it.provisioned), new.map(|it| &it.provisioned));
        told.add::<RuntimeManagement>(
            old.map(|it| &it.runtime_management),
            new.map(|it| &it.runtime_management),
        );
        told.add::<Version>(old.map(|it| &it.versions), new.map(|it| &it.versions));
    }

    fn take_over(&mut self, part: &PartChange<'_>) -> Result<(), CatalogueError> {
        match part.kind {
            EventInvokeConfig::KIND => part.among(&self.key, &mut self.event_invoke),
            FunctionUrl::KIND => part.among(&self.key, &mut self.urls),
            Alias::KIND => part.among(&self.key, &mut self.aliases),
            Policy::KIND => part.among(&self.key, &mut self.policies),
            ProvisionedConcurrency::KIND => part.among(&self.key, &mut self.provisioned),
            RuntimeManagement::KIND => part.among(&self.key, &mut self.runtime_management),
            Version::KIND => part.among(&self.key, &mut self.versions),
            _ => Ok(()),
        }
    }

    fn codes(&self, each: &mut dyn FnMut(&CodeRef)) {
        for version in [&self.latest, &self.live].into_iter().chain(self.versions.values()) {
            version.codes().for_each(&mut *each);
        }
    }

    fn usage(&self) -> Usage {
        let published = self.versions.values().map(|version| version.code.size);
        Usage {
            functions: 1,
            code: self.latest.code.size + published.sum::<u64>(),
            reserved: self.reserved.map_or(0, |reserved| u64::from(reserved.0)),
            claimed: self.shares().claimed(),
        }
    }

    fn event(key: &FunctionKey, removed: bool) -> Option<Event> {
        Some(if removed { Event::Removed(key.clone()) } else { Event::Changed(key.clone()) })
    }

    fn shelves(snapshot: &Snapshot) -> &Shelves<Self> {
        &snapshot.functions
    }

    fn shelves_mut(snapshot: &mut Snapshot) -> &mut Shelves<Self> {
        &mut snapshot.functions
    }
}

impl Part for Version {
    const KIND: &'static str = "version";
    type Name = u64;
    type Owner = FunctionKey;

    fn write(&self) -> Bytes {
        encode(&PublishedRecord { version: VERSION, published: VersionRecord::of(self) })
    }

    fn read(document: &Key, owner: &FunctionKey, name: &u64, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: PublishedRecord = decode(document, body)?;
        Ok(record.published.into_version(owner, Qualifier::Version(*name)))
    }
}

#[derive(Serialize, Deserialize)]
struct FunctionRecord {
    version: u32,
    latest: VersionRecord,
    /// Absent when it is the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<VersionRecord>,
    next_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<PublicationRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_signing: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Concurrency>,
    #[serde(default, skip_serializing_if = "is_default")]
    recursion: RecursiveLoop,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Arc<str>, Arc<str>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
struct PublicationRecord {
    number: u64,
    generation: u64,
}

impl PublicationRecord {
    fn of(published: Published) -> Self {
        let Published { version, generation } = published;
        Self { number: version, generation }
    }

    fn into_published(self) -> Published {
        Published { version: self.number, generation: self.generation }
    }
}

#[derive(Serialize, Deserialize)]
struct PublishedRecord {
    version: u32,
    published: VersionRecord,
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

    fn into_version(self, function: &FunctionKey, qualifier: Qualifier) -> Version {
        Version {
            arn: function.arn(),
            qualifier,
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
pub(super) struct CodeRecord {
    digest: Digest,
    size: u64,
    unzipped: u64,
}

impl CodeRecord {
    pub(super) fn of(code: CodeRef) -> Self {
        let CodeRef { digest, size, unzipped } = code;
        Self { digest, size, unzipped }
    }

    pub(super) fn into_code(self) -> CodeRef {
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
