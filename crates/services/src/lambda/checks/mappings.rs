//! What event source mappings refuse: which member is for which source, and what members need of each other.
//!
//! Pure. Texts are recorded unless their comment says otherwise (`Ours`).

use std::time::Duration;

use base::arn::FunctionArn;
use catalogue::mapping::{Metrics, Pollers, Settings, Source, SourceKind, filter};
use wire::lambda as api;

/// Filters of a mapping. Source: Lambda quotas.
const FILTERS: usize = 5;

/// Largest batch of a queue that is not waited for. Source: recorded refusal.
const QUICK_BATCH: u32 = 10;

/// Least age that records can be bounded by, in seconds. Source: Lambda API reference.
const RECORD_AGE: i32 = 60;

/// Least and most pollers of a queue. Source: Lambda API reference.
const QUEUE_POLLERS: PollerBounds = PollerBounds { minimum: (2, 200), maximum: (2, 10_000) };

/// Least and most pollers of a Kafka topic. Source: Lambda API reference.
const KAFKA_POLLERS: PollerBounds = PollerBounds { minimum: (1, 200), maximum: (1, 2000) };

/// A mapping that Lambda does not make, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MappingRefusal {
    /// Neither an ARN of a source that there is, nor servers.
    #[error("Unrecognized event source.")]
    Source,
    /// A queue, a stream of Kinesis or DynamoDB has no such member.
    #[error("Unsupported {0} parameter for given event source mapping type.")]
    Unsupported(&'static str),
    /// A topic, a broker or a database has no such member.
    #[error("Unsupported '{0}' parameter for given event source mapping type.")]
    UnsupportedMember(String),
    /// A member that the source needs.
    #[error("Required '{0}' parameter is missing.")]
    Required(&'static str),
    /// Members that DocumentDB needs.
    #[error("Invalid parameters: {0}")]
    Document(&'static str),
    /// A stream is read from somewhere.
    #[error(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not \
         be null."
    )]
    NoStart,
    /// Queues have no positions.
    #[error("StartingPosition is not valid for SQS event sources.")]
    QueueStart,
    /// A moment for another position.
    #[error("Timestamp only valid with StartingPosition AT_TIMESTAMP")]
    StrayTimestamp,
    /// Streams of DynamoDB know no moments.
    #[error("Unsupported starting position for arn type: {0}")]
    NoMoments(String),
    /// A stream of Kinesis is to be read from a moment that is not named.
    #[error("Need to specify a timestamp")]
    StreamTimestamp,
    /// A topic or a database is to be read from a moment that is not named.
    #[error("When the starting position is 'AT_TIMESTAMP', a starting position timestamp must be provided.")]
    Timestamp,
    /// A moment before 1970.
    #[error(
        "Received Exception while reading from provided stream. class java.lang.Long can not be converted to a \
         Timestamp"
    )]
    NegativeTimestamp,
    /// A large batch that nobody waits for.
    #[error(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    )]
    NoWindow,
    /// FIFO queues do not wait for batches. Source: an operator's log of 2024.
    #[error("Batching window is not supported for FIFO queues")]
    FifoWindow,
    /// What is no pattern.
    #[error("Invalid filter pattern definition.")]
    Filter,
    /// More filters than a mapping may have. Ours.
    #[error("An event source mapping cannot have more than {FILTERS} filters.")]
    Filters,
    /// Nothing can be delivered there.
    #[error(
        "The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination={0})) is \
         invalid."
    )]
    Destination(String),
    /// An age below [`RECORD_AGE`] that is not the sign for none. In the front end's words.
    #[error(
        "1 validation error detected: Value '{0}' at 'maximumRecordAgeInSeconds' failed to satisfy constraint: Member \
         must have value greater than or equal to {RECORD_AGE}"
    )]
    RecordAge(i32),
    /// A number of pollers beyond the source's bounds. In the front end's words.
    #[error(
        "1 validation error detected: Value '{value}' at 'provisionedPollerConfig.{member}' failed to satisfy \
         constraint: Member must have value {bound}"
    )]
    Pollers {
        /// The value.
        value: u32,
        /// Which of the two numbers.
        member: &'static str,
        /// What it must be.
        bound: String,
    },
    /// At least more than at most. Ours.
    #[error("MinimumPollers must not be greater than MaximumPollers.")]
    PollerOrder,
    /// Two ways of scaling. Ours.
    #[error("ScalingConfig and ProvisionedPollerConfig are mutually exclusive.")]
    TwoScalings,
    /// Windows with state are of whole shards. Ours.
    #[error("Tumbling windows are not supported with a ParallelizationFactor greater than 1.")]
    ParallelWindows,
    /// Windows with state see every record. Ours.
    #[error("Tumbling windows are not supported with FilterCriteria.")]
    FilteredWindows,
    /// There is no such function, version or alias.
    #[error("Function does not exist")]
    Function,
    /// The function reads from there already.
    #[error("{pair} already exists. Please update or delete the existing mapping with UUID {uuid}")]
    Exists {
        /// Source and function, see [`pair`].
        pair: String,
        /// The mapping that does.
        uuid: String,
    },
}

/// Source and function as refusals of a second mapping name them, which is not the same for all sources.
pub(crate) fn pair(source: &Source, function: &FunctionArn) -> String {
    let name = match &function.qualifier {
        Some(qualifier) => format!("{}:{qualifier}", function.name),
        None => function.name.to_string(),
    };
    let arn = source.arn().map(AsRef::as_ref).unwrap_or_default();
    let named = |at: &str, member: &str, value: &str| {
        format!(
            "An event source mapping with event source (\"{at}\"), function (\"{function}\"), {member} (\"{value}\")"
        )
    };
    match source {
        Source::Sqs { .. } => {
            format!("An event source mapping with SQS arn (\" {arn} \") and function (\" {name} \")")
        }
        Source::Kinesis { .. } | Source::DynamoDb { .. } | Source::DocumentDb { .. } => {
            format!("The event source arn (\" {arn} \") and function (\" {name} \") provided mapping")
        }
        Source::Msk { topic, .. } => named(arn, "topics", topic),
        Source::Kafka { servers, topic, .. } => named(&servers.join(","), "topics", topic),
        Source::Mq { queue, .. } => named(arn, "queues", queue),
    }
}

/// A member of a request and the sources that know it.
struct Member {
    name: &'static str,
    given: fn(&api::UpdateEventSourceMappingRequest) -> bool,
    /// Sources that always know it.
    of: &'static [SourceKind],
    /// Sources that know it when pollers are kept ready.
    provisioned: &'static [SourceKind],
}

const SQS: SourceKind = SourceKind::Sqs;
const STREAMS: &[SourceKind] = &[SourceKind::Kinesis, SourceKind::DynamoDb];
const KAFKA: &[SourceKind] = &[SourceKind::Msk, SourceKind::Kafka];
const NONE: &[SourceKind] = &[];

/// Source: Lambda API reference, CreateEventSourceMapping; Lambda Developer Guide, the pages of each source.
const MEMBERS: [Member; 18] = [
    Member {
        name: "DestinationConfig",
        given: |input| input.destination_config.as_ref().is_some_and(names_destination),
        of: &[SourceKind::Kinesis, SourceKind::DynamoDb, SourceKind::Msk, SourceKind::Kafka],
        provisioned: NONE,
    },
    Member {
        name: "FilterCriteria",
        given: |input| input.filter_criteria.as_ref().is_some_and(|criteria| criteria.filters.is_some()),
        of: &[
            SQS,
            SourceKind::Kinesis,
            SourceKind::DynamoDb,
            SourceKind::Msk,
            SourceKind::Kafka,
            SourceKind::Mq,
        ],
        provisioned: NONE,
    },
    Member {
        name: "ParallelizationFactor",
        given: |input| input.parallelization_factor.is_some(),
        of: STREAMS,
        provisioned: NONE,
    },
    Member {
        name: "MaximumRecordAgeInSeconds",
        given: |input| input.maximum_record_age_in_seconds.is_some(),
        of: STREAMS,
        provisioned: KAFKA,
    },
    Member {
        name: "BisectBatchOnFunctionError",
        given: |input| input.bisect_batch_on_function_error.is_some(),
        of: STREAMS,
        provisioned: KAFKA,
    },
    Member {
        name: "MaximumRetryAttempts",
        given: |input| input.maximum_retry_attempts.is_some(),
        of: STREAMS,
        provisioned: KAFKA,
    },
    Member {
        name: "TumblingWindowInSeconds",
        given: |input| input.tumbling_window_in_seconds.is_some(),
        of: STREAMS,
        provisioned: NONE,
    },
    Member {
        name: "FunctionResponseTypes",
        given: |input| input.function_response_types.is_some(),
        of: &[SQS, SourceKind::Kinesis, SourceKind::DynamoDb],
        provisioned: KAFKA,
    },
    Member {
        name: "ScalingConfig",
        given: |input| input.scaling_config.is_some(),
        of: &[SQS],
        provisioned: NONE,
    },
    Member {
        name: "ProvisionedPollerConfig",
        given: |input| input.provisioned_poller_config.is_some(),
        of: &[SQS, SourceKind::Msk, SourceKind::Kafka],
        provisioned: NONE,
    },
    Member {
        name: "MetricsConfig",
        given: |input| input.metrics_config.is_some(),
        of: &[SQS, SourceKind::Kinesis, SourceKind::DynamoDb],
        provisioned: KAFKA,
    },
    Member {
        name: "LoggingConfig",
        given: |input| input.logging_config.is_some(),
        of: NONE,
        provisioned: KAFKA,
    },
    Member {
        name: "SourceAccessConfigurations",
        given: |input| input.source_access_configurations.is_some(),
        of: &[SourceKind::Msk, SourceKind::Kafka, SourceKind::Mq, SourceKind::DocumentDb],
        provisioned: NONE,
    },
    Member {
        name: "AmazonManagedKafkaEventSourceConfig",
        given: |input| input.amazon_managed_kafka_event_source_config.is_some(),
        of: &[SourceKind::Msk],
        provisioned: NONE,
    },
    Member {
        name: "SelfManagedKafkaEventSourceConfig",
        given: |input| input.self_managed_kafka_event_source_config.is_some(),
        of: &[SourceKind::Kafka],
        provisioned: NONE,
    },
    Member {
        name: "AmazonManagedKafkaEventSourceConfig.SchemaRegistryConfig",
        given: |input| {
            let config = input.amazon_managed_kafka_event_source_config.as_ref();
            config.is_some_and(|config| names_registry(config.schema_registry_config.as_ref()))
        },
        of: NONE,
        provisioned: &[SourceKind::Msk],
    },
    Member {
        name: "SelfManagedKafkaEventSourceConfig.SchemaRegistryConfig",
        given: |input| {
            let config = input.self_managed_kafka_event_source_config.as_ref();
            config.is_some_and(|config| names_registry(config.schema_registry_config.as_ref()))
        },
        of: NONE,
        provisioned: &[SourceKind::Kafka],
    },
    Member {
        name: "DocumentDBEventSourceConfig",
        given: |input| input.document_db_event_source_config.is_some(),
        of: &[SourceKind::DocumentDb],
        provisioned: NONE,
    },
];

fn names_destination(config: &api::DestinationConfig) -> bool {
    let failure = config.on_failure.as_ref().and_then(|failure| failure.destination.as_deref());
    config.on_success.is_some() || failure.is_some_and(|destination| !destination.is_empty())
}

/// Whether a registry is given, and not taken away.
fn names_registry(config: Option<&api::KafkaSchemaRegistryConfig>) -> bool {
    config.is_some_and(|config| *config != api::KafkaSchemaRegistryConfig::default())
}

/// Refuses the first member that `kind` does not know; `provisioned` tells whether pollers are kept ready.
pub(crate) fn members(
    kind: SourceKind,
    input: &api::UpdateEventSourceMappingRequest,
    provisioned: bool,
) -> Result<(), MappingRefusal> {
    for member in &MEMBERS {
        let known = member.of.contains(&kind) || (provisioned && member.provisioned.contains(&kind));
        if !known && (member.given)(input) {
            return Err(unsupported(kind, member.name));
        }
    }
    // Nothing is delivered when an event was processed.
    if input.destination_config.as_ref().is_some_and(|config| config.on_success.is_some()) {
        return Err(unsupported(kind, "DestinationConfig"));
    }
    // Recorded in September 2026, with every value and with and without pollers.
    let config = input.self_managed_kafka_event_source_config.as_ref();
    if config.is_some_and(|config| config.consumption_mode.is_some()) {
        return Err(MappingRefusal::UnsupportedMember("ConsumptionMode".to_owned()));
    }
    Ok(())
}

/// Refuses to change what never changes, even into what it is. Source: an operator's measurements of 2026.
pub(crate) fn unchangeable(
    kind: SourceKind,
    input: &api::UpdateEventSourceMappingRequest,
) -> Result<(), MappingRefusal> {
    let managed = input.amazon_managed_kafka_event_source_config.as_ref();
    if managed.is_some_and(|config| config.consumer_group_id.is_some()) {
        return Err(unsupported(kind, "AmazonManagedKafkaEventSourceConfig.ConsumerGroupId"));
    }
    let own = input.self_managed_kafka_event_source_config.as_ref();
    if own.is_some_and(|config| config.consumer_group_id.is_some()) {
        return Err(unsupported(kind, "SelfManagedKafkaEventSourceConfig.ConsumerGroupId"));
    }
    Ok(())
}

/// That sources of this kind have no such member: two services speak here, and each has its own form.
pub(crate) fn unsupported(kind: SourceKind, member: &'static str) -> MappingRefusal {
    if kind == SQS || kind.is_stream() {
        return MappingRefusal::Unsupported(member);
    }
    let camel = |word: &str| word[..1].to_ascii_lowercase() + &word[1..];
    let words: Vec<String> = member.split('.').map(camel).collect();
    MappingRefusal::UnsupportedMember(words.join("."))
}

/// Refuses what the members of a request that stand for themselves cannot be.
pub(crate) fn values(
    kind: SourceKind,
    input: &api::UpdateEventSourceMappingRequest,
) -> Result<(), MappingRefusal> {
    let filters = input.filter_criteria.iter().flat_map(|criteria| criteria.filters.iter().flatten());
    for filter in filters.clone() {
        let pattern = filter.pattern.as_deref().ok_or(MappingRefusal::Filter)?;
        filter::check(pattern).map_err(|error| {
            tracing::debug!(%error, "a filter pattern is refused");
            MappingRefusal::Filter
        })?;
    }
    if filters.count() > FILTERS {
        return Err(MappingRefusal::Filters);
    }
    if let Some(age) = input.maximum_record_age_in_seconds.filter(|age| (0..RECORD_AGE).contains(age)) {
        return Err(MappingRefusal::RecordAge(age));
    }
    let failure = input.destination_config.as_ref().and_then(|config| config.on_failure.as_ref());
    let destination = failure.and_then(|failure| failure.destination.as_deref()).unwrap_or_default();
    let service = destination.split(':').nth(2).unwrap_or_default();
    let topic = destination.starts_with("kafka://") && kind.is_kafka();
    if !(destination.is_empty() || topic || matches!(service, "sqs" | "sns" | "s3")) {
        return Err(MappingRefusal::Destination(destination.to_owned()));
    }
    Ok(())
}

/// Refuses settings that do not go together.
pub(crate) fn settings(source: &Source, settings: &Settings) -> Result<(), MappingRefusal> {
    if let Source::Sqs { queue } = source {
        let waits = settings.window.is_some_and(|window| window > Duration::ZERO);
        if waits && queue.ends_with(".fifo") {
            return Err(MappingRefusal::FifoWindow);
        }
        if settings.batch_size > QUICK_BATCH && !waits {
            return Err(MappingRefusal::NoWindow);
        }
    }
    if settings.tumbling > Duration::ZERO {
        if settings.parallelization > 1 {
            return Err(MappingRefusal::ParallelWindows);
        }
        if !settings.filters.is_empty() {
            return Err(MappingRefusal::FilteredWindows);
        }
    }
    let kind = source.kind();
    let topics = settings.metrics.iter().flatten().any(|group| *group != Metrics::EventCount);
    if topics && !kind.is_kafka() {
        return Err(unsupported(kind, "MetricsConfig"));
    }
    match &settings.pollers {
        Some(_) if settings.maximum_concurrency.is_some() => Err(MappingRefusal::TwoScalings),
        Some(pollers) => check_pollers(kind, pollers),
        None => Ok(()),
    }
}

struct PollerBounds {
    minimum: (u32, u32),
    maximum: (u32, u32),
}

fn check_pollers(kind: SourceKind, pollers: &Pollers) -> Result<(), MappingRefusal> {
    let bounds = if kind == SQS { QUEUE_POLLERS } else { KAFKA_POLLERS };
    if pollers.group.is_some() && !kind.is_kafka() {
        return Err(MappingRefusal::Unsupported("PollerGroupName"));
    }
    for (member, value, (least, most)) in [
        ("minimumPollers", pollers.minimum, bounds.minimum),
        ("maximumPollers", pollers.maximum, bounds.maximum),
    ] {
        let bound = match value {
            value if value < least => format!("greater than or equal to {least}"),
            value if value > most => format!("less than or equal to {most}"),
            _ => continue,
        };
        return Err(MappingRefusal::Pollers { value, member, bound });
    }
    if pollers.minimum > pollers.maximum { Err(MappingRefusal::PollerOrder) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
