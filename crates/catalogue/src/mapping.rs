//! Event source mappings: which source a function is fed from, and how.

pub mod filter;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Scope};
use base::clock::Timestamp;
use store::Revision;

use crate::SystemLogLevel;
use crate::configuration::words;
use crate::root::RootKey;

/// A mapping's id where it is unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingKey {
    /// Account and region.
    pub scope: Scope,
    /// A UUID in lower case.
    pub id: Arc<str>,
}

impl RootKey for MappingKey {
    type Root = Mapping;

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn name(&self) -> &str {
        &self.id
    }

    fn parse(scope: Scope, name: &str) -> Option<Self> {
        is_uuid(name).then(|| Self { scope, id: name.into() })
    }
}

fn is_uuid(text: &str) -> bool {
    let sound = |(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(sound)
}

impl fmt::Display for MappingKey {
    /// `arn:aws:lambda:<region>:<account>:event-source-mapping:<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        write!(f, "arn:aws:lambda:{region}:{account}:event-source-mapping:{}", self.id)
    }
}

/// A mapping as it stands.
///
/// It lives on when its function, version or alias is deleted. Source: recorded in 2026.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its id.
    pub key: MappingKey,
    /// The revision of its document.
    pub(crate) stored: Revision,
    /// What is invoked, with the qualifier that the request gave.
    pub function: FunctionArn,
    /// Where the records come from.
    pub source: Source,
    /// Where in a stream or topic reading begins; none where a source has no positions.
    pub start: Option<Start>,
    /// How the records are read and handed over.
    pub settings: Settings,
    /// Whether records are to be read.
    pub enabled: bool,
    /// What it is doing.
    pub state: MappingState,
    /// How the last batch went, in AWS's words.
    pub processed: Arc<str>,
    /// Counts its changes: the end of one of them is not the end of another.
    pub change: u64,
    /// When a customer last changed it.
    pub last_modified: Timestamp,
    /// Tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// What a mapping is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum MappingState {
    Creating,
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating,
    Deleting,
}

words!(MappingState {
    Creating = "Creating",
    Enabling = "Enabling",
    Enabled = "Enabled",
    Disabling = "Disabling",
    Disabled = "Disabled",
    Updating = "Updating",
    Deleting = "Deleting",
});

impl MappingState {
    /// Whether nothing is being brought about.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Enabled | Self::Disabled)
    }
}

/// Which service the records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A queue of SQS.
    Sqs,
    /// A stream of Kinesis, or a consumer of one.
    Kinesis,
    /// A stream of DynamoDB.
    DynamoDb,
    /// A topic of a Kafka cluster that AWS manages (MSK).
    Msk,
    /// A topic of a Kafka cluster that the customer manages.
    Kafka,
    /// A queue of an ActiveMQ or RabbitMQ broker. Its ARN does not tell which of them.
    Mq,
    /// Changes of a DocumentDB database.
    DocumentDb,
}

impl SourceKind {
    /// The kind of the source that has this ARN.
    pub fn of_arn(arn: &str) -> Option<Self> {
        match arn.split(':').nth(2)? {
            "sqs" => Some(Self::Sqs),
            "kinesis" => Some(Self::Kinesis),
            "dynamodb" => Some(Self::DynamoDb),
            "kafka" => Some(Self::Msk),
            "mq" => Some(Self::Mq),
            "rds" => Some(Self::DocumentDb),
            _ => None,
        }
    }

    /// Whether the source is made of shards.
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Kinesis | Self::DynamoDb)
    }

    /// Whether the source is a Kafka topic.
    pub const fn is_kafka(self) -> bool {
        matches!(self, Self::Msk | Self::Kafka)
    }
}

/// Where the records come from. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A queue.
    Sqs {
        /// ARN of the queue.
        queue: Arc<str>,
    },
    /// A stream.
    Kinesis {
        /// ARN of the stream, or of a consumer with a share of its own.
        stream: Arc<str>,
    },
    /// A stream.
    DynamoDb {
        /// ARN of the stream.
        stream: Arc<str>,
    },
    /// A topic.
    Msk {
        /// ARN of the cluster.
        cluster: Arc<str>,
        /// Its name.
        topic: Arc<str>,
        /// Consumer group that offsets are kept for.
        group: Arc<str>,
    },
    /// A topic.
    Kafka {
        /// Bootstrap servers, `host:port`.
        servers: Vec<Arc<str>>,
        /// Its name.
        topic: Arc<str>,
        /// Consumer group that offsets are kept for.
        group: Arc<str>,
    },
    /// A broker's queue.
    Mq {
        /// ARN of the broker.
        broker: Arc<str>,
        /// Its name.
        queue: Arc<str>,
    },
    /// A database.
    DocumentDb {
        /// ARN of the cluster.
        cluster: Arc<str>,
    },
}

impl Source {
    /// Which service it is of.
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::Sqs { .. } => SourceKind::Sqs,
            Self::Kinesis { .. } => SourceKind::Kinesis,
            Self::DynamoDb { .. } => SourceKind::DynamoDb,
            Self::Msk { .. } => SourceKind::Msk,
            Self::Kafka { .. } => SourceKind::Kafka,
            Self::Mq { .. } => SourceKind::Mq,
            Self::DocumentDb { .. } => SourceKind::DocumentDb,
        }
    }

    /// Its ARN; none for a cluster that the customer manages.
    pub fn arn(&self) -> Option<&Arc<str>> {
        match self {
            Self::Sqs { queue: arn }
            | Self::Kinesis { stream: arn }
            | Self::DynamoDb { stream: arn }
            | Self::Msk { cluster: arn, .. }
            | Self::Mq { broker: arn, .. }
            | Self::DocumentDb { cluster: arn } => Some(arn),
            Self::Kafka { .. } => None,
        }
    }

    /// Whether both give the same records: one function reads none twice, whatever its consumer groups are.
    pub fn feeds_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Msk { cluster, topic, .. }, Self::Msk { cluster: cluster2, topic: topic2, .. }) => {
                (cluster, topic) == (cluster2, topic2)
            }
            (Self::Kafka { servers, topic, .. }, Self::Kafka { servers: servers2, topic: topic2, .. }) => {
                (servers, topic) == (servers2, topic2)
            }
            _ => self == other,
        }
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// With the oldest record that is left.
    TrimHorizon,
    /// With what is written from now on.
    Latest,
    /// With the first record from this moment on.
    At(Timestamp),
}

/// How records are read and handed over: what a customer may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Most records in a batch.
    pub batch_size: u32,
    /// Longest time to gather a batch; none is the half second of Kafka, MQ and DocumentDB, which no number of
    /// seconds says.
    pub window: Option<Duration>,
    /// Patterns of which a record must match one; none lets everything through.
    pub filters: Vec<Arc<str>>,
    /// ARN of the customer's key for the filters, kept as given.
    pub kms_key: Option<Arc<str>>,
    /// Whether the function answers which records of a batch failed.
    pub partial: bool,
    /// ARN, or `kafka://` and a topic, that takes what could not be processed.
    pub on_failure: Option<Arc<str>>,
    /// What is tried again: always there for streams, for Kafka where it was given.
    pub retry: Option<Retry>,
    /// Batches of one shard that are processed at a time.
    pub parallelization: u32,
    /// Length of the windows that state is kept for; nothing is no windows.
    pub tumbling: Duration,
    /// Most invocations at a time; only for queues of SQS.
    pub maximum_concurrency: Option<u32>,
    /// Pollers that are kept ready.
    pub pollers: Option<Pollers>,
    /// Groups of metrics; none when they were never chosen.
    pub metrics: Option<Vec<Metrics>>,
    /// Least level of what the mapping logs.
    pub log_level: Option<SystemLogLevel>,
    /// Credentials and network, in the order given.
    pub access: Vec<Access>,
    /// Where the schemas of a topic are.
    pub registry: Option<SchemaRegistry>,
    /// What of a database is read.
    pub document: Option<DocumentSource>,
}

impl Settings {
    /// What a mapping of this kind has when nothing is chosen.
    ///
    /// Source: recorded CreateEventSourceMapping answers; Lambda API reference.
    pub fn default_of(kind: SourceKind) -> Self {
        Self {
            batch_size: if kind == SourceKind::Sqs { 10 } else { 100 },
            window: (kind == SourceKind::Sqs || kind.is_stream()).then_some(Duration::ZERO),
            filters: Vec::new(),
            kms_key: None,
            partial: false,
            on_failure: None,
            retry: kind.is_stream().then(Retry::default),
            parallelization: 1,
            tumbling: Duration::ZERO,
            maximum_concurrency: None,
            pollers: None,
            metrics: None,
            log_level: None,
            access: Vec::new(),
            registry: None,
            document: None,
        }
    }
}

/// What is tried again after a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retry {
    /// How often a batch is tried again; none is for as long as it takes.
    pub attempts: Option<u32>,
    /// How old a record may be; none is as old as the source keeps it.
    pub age: Option<Duration>,
    /// Whether a batch that failed is split in two.
    pub bisect: bool,
}

/// Pollers that are kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pollers {
    /// At least so many.
    pub minimum: u32,
    /// At most so many.
    pub maximum: u32,
    /// The group that shares them; only for Kafka.
    pub group: Option<Arc<str>>,
}

/// A group of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Metrics {
    EventCount,
    ErrorCount,
    KafkaMetrics,
}

words!(Metrics { EventCount = "EventCount", ErrorCount = "ErrorCount", KafkaMetrics = "KafkaMetrics" });

/// One credential or part of the network, by its AWS type name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Such as `BASIC_AUTH` or `VPC_SUBNET`.
    pub kind: Option<Arc<str>>,
    /// ARN of a secret, id of a subnet, a virtual host.
    pub uri: Option<Arc<str>>,
}

/// Where the schemas of a topic are, in the words of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Address or ARN of the registry.
    pub uri: Option<Arc<str>>,
    /// `JSON` or `SOURCE`.
    pub format: Option<Arc<str>>,
    /// How the registry is entered; none when it was never said.
    pub access: Option<Vec<Access>>,
    /// Which of `KEY` and `VALUE` are validated; none when it was never said.
    pub validation: Option<Vec<Arc<str>>>,
}

/// What of a database is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSource {
    /// Name of the database.
    pub database: Arc<str>,
    /// One collection; none is all of them.
    pub collection: Option<Arc<str>>,
    /// Whether an update brings the whole document.
    pub full: bool,
}
