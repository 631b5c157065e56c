//! Event source mappings in the store.

mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::FunctionArn;
use base::clock::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Key, Revision};

use self::settings::SettingsRecord;
use super::{VERSION, decode, encode};
use crate::CatalogueError;
use crate::mapping::{Mapping, MappingKey, MappingState, Source, Start};
use crate::root::Root;
use crate::snapshot::{Shelves, Snapshot};

impl Root for Mapping {
    const KIND: &'static str = "event-source-mapping";
    type Key = MappingKey;

    fn key(&self) -> &MappingKey {
        &self.key
    }

    fn missing(key: &MappingKey) -> CatalogueError {
        CatalogueError::Missing { what: key.to_string() }
    }

    fn stored(&self) -> Revision {
        self.stored
    }

    fn set_stored(&mut self, revision: Revision) {
        self.stored = revision;
    }

    fn write(&self) -> Bytes {
        encode(&MappingRecord {
            version: VERSION,
            function: self.function.clone(),
            source: SourceRecord::of(&self.source),
            start: self.start.map(StartRecord::of),
            settings: SettingsRecord::of(&self.settings),
            enabled: self.enabled,
            state: StateRecord::of(self.state),
            processed: Arc::clone(&self.processed),
            change: self.change,
            last_modified: self.last_modified,
            tags: self.tags.clone(),
        })
    }

    fn read(document: &Key, key: &MappingKey, body: &[u8]) -> Result<Self, CatalogueError> {
        let record: MappingRecord = decode(document, body)?;
        Ok(Self {
            key: key.clone(),
            stored: Revision::default(),
            function: record.function,
            source: record.source.into_source(),
            start: record.start.map(StartRecord::into_start),
            settings: record.settings.into_settings(),
            enabled: record.enabled,
            state: record.state.into_state(),
            processed: record.processed,
            change: record.change,
            last_modified: record.last_modified,
            tags: record.tags,
        })
    }

    fn shelves(snapshot: &Snapshot) -> &Shelves<Self> {
        &snapshot.mappings
    }

    fn shelves_mut(snapshot: &mut Snapshot) -> &mut Shelves<Self> {
        &mut snapshot.mappings
    }
}

#[derive(Serialize, Deserialize)]
struct MappingRecord {
    version: u32,
    function: FunctionArn,
    source: SourceRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<StartRecord>,
    settings: SettingsRecord,
    enabled: bool,
    state: StateRecord,
    processed: Arc<str>,
    change: u64,
    last_modified: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceRecord {
    Sqs { queue: Arc<str> },
    Kinesis { stream: Arc<str> },
    DynamoDb { stream: Arc<str> },
    Msk { cluster: Arc<str>, topic: Arc<str>, group: Arc<str> },
    Kafka { servers: Vec<Arc<str>>, topic: Arc<str>, group: Arc<str> },
    Mq { broker: Arc<str>, queue: Arc<str> },
    DocumentDb { cluster: Arc<str> },
}

impl SourceRecord {
    fn of(source: &Source) -> Self {
        match source.clone() {
            Source::Sqs { queue } => Self::Sqs { queue },
            Source::Kinesis { stream } => Self::Kinesis { stream },
            Source::DynamoDb { stream } => Self::DynamoDb { stream },
            Source::Msk { cluster, topic, group } => Self::Msk { cluster, topic, group },
            Source::Kafka { servers, topic, group } => Self::Kafka { servers, topic, group },
            Source::Mq { broker, queue } => Self::Mq { broker, queue },
            Source::DocumentDb { cluster } => Self::DocumentDb { cluster },
        }
    }

    fn into_source(self) -> Source {
        match self {
            Self::Sqs { queue } => Source::Sqs { queue },
            Self::Kinesis { stream } => Source::Kinesis { stream },
            Self::DynamoDb { stream } => Source::DynamoDb { stream },
            Self::Msk { cluster, topic, group } => Source::Msk { cluster, topic, group },
            Self::Kafka { servers, topic, group } => Source::Kafka { servers, topic, group },
            Self::Mq { broker, queue } => Source::Mq { broker, queue },
            Self::DocumentDb { cluster } => Source::DocumentDb { cluster },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StartRecord {
    TrimHorizon,
    Latest,
    At(Timestamp),
}

impl StartRecord {
    const fn of(start: Start) -> Self {
        match start {
            Start::TrimHorizon => Self::TrimHorizon,
            Start::Latest => Self::Latest,
            Start::At(moment) => Self::At(moment),
        }
    }

    const fn into_start(self) -> Start {
        match self {
            Self::TrimHorizon => Start::TrimHorizon,
            Self::Latest => Start::Latest,
            Self::At(moment) => Start::At(moment),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateRecord {
    Creating,
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating,
    Deleting,
}

impl StateRecord {
    const fn of(state: MappingState) -> Self {
        match state {
            MappingState::Creating => Self::Creating,
            MappingState::Enabling => Self::Enabling,
            MappingState::Enabled => Self::Enabled,
            MappingState::Disabling => Self::Disabling,
            MappingState::Disabled => Self::Disabled,
            MappingState::Updating => Self::Updating,
            MappingState::Deleting => Self::Deleting,
        }
    }

    const fn into_state(self) -> MappingState {
        match self {
            Self::Creating => MappingState::Creating,
            Self::Enabling => MappingState::Enabling,
            Self::Enabled => MappingState::Enabled,
            Self::Disabling => MappingState::Disabling,
            Self::Disabled => MappingState::Disabled,
            Self::Updating => MappingState::Updating,
            Self::Deleting => MappingState::Deleting,
        }
    }
}

#[cfg(test)]
mod tests;
