//! What requests for event source mappings mean, from the API's words into the catalogue's. Pure.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use catalogue::SystemLogLevel;
use catalogue::mapping::{
    Access, DocumentSource, Metrics, Pollers, Retry, SchemaRegistry, Settings, Source, SourceKind, Start,
};
use wire::lambda as api;

use crate::lambda::checks::mappings::{self as checks, MappingRefusal};
use crate::lambda::settings::clearable;

/// The members of a creation that a change may have as well: both are read and checked as one.
pub(super) fn changeable(
    input: &api::CreateEventSourceMappingRequest,
) -> api::UpdateEventSourceMappingRequest {
    let input = input.clone();
    api::UpdateEventSourceMappingRequest {
        uuid: String::new(),
        function_name: Some(input.function_name),
        enabled: input.enabled,
        batch_size: input.batch_size,
        filter_criteria: input.filter_criteria,
        kms_key_arn: input.kms_key_arn,
        metrics_config: input.metrics_config,
        logging_config: input.logging_config,
        scaling_config: input.scaling_config,
        maximum_batching_window_in_seconds: input.maximum_batching_window_in_seconds,
        parallelization_factor: input.parallelization_factor,
        destination_config: input.destination_config,
        maximum_record_age_in_seconds: input.maximum_record_age_in_seconds,
        bisect_batch_on_function_error: input.bisect_batch_on_function_error,
        maximum_retry_attempts: input.maximum_retry_attempts,
        tumbling_window_in_seconds: input.tumbling_window_in_seconds,
        source_access_configurations: input.source_access_configurations,
        function_response_types: input.function_response_types,
        amazon_managed_kafka_event_source_config: input.amazon_managed_kafka_event_source_config,
        self_managed_kafka_event_source_config: input.self_managed_kafka_event_source_config,
        document_db_event_source_config: input.document_db_event_source_config,
        provisioned_poller_config: input.provisioned_poller_config,
    }
}

/// The kind of the source that a creation names.
pub(super) fn kind(input: &api::CreateEventSourceMappingRequest) -> Result<SourceKind, MappingRefusal> {
    let kind = match &input.event_source_arn {
        Some(arn) => SourceKind::of_arn(arn),
        None => servers(input).map(|_| SourceKind::Kafka),
    };
    kind.ok_or(MappingRefusal::Source)
}

fn servers(input: &api::CreateEventSourceMappingRequest) -> Option<&Vec<String>> {
    input.self_managed_event_source.as_ref()?.endpoints.as_ref()?.get("KAFKA_BOOTSTRAP_SERVERS")
}

/// The source that a creation names; `id` is the mapping's own, after which its consumer group is called by default.
pub(super) fn source(
    kind: SourceKind,
    input: &api::CreateEventSourceMappingRequest,
    id: &str,
) -> Result<Source, MappingRefusal> {
    strays(kind, input)?;
    let arn: Arc<str> = input.event_source_arn.as_deref().unwrap_or_default().into();
    let group = |named: Option<&String>| named.map_or(id, String::as_str).into();
    Ok(match kind {
        SourceKind::Sqs => Source::Sqs { queue: arn },
        SourceKind::Kinesis => Source::Kinesis { stream: arn },
        SourceKind::DynamoDb => Source::DynamoDb { stream: arn },
        SourceKind::Msk => {
            let config = input.amazon_managed_kafka_event_source_config.as_ref();
            let group = group(config.and_then(|config| config.consumer_group_id.as_ref()));
            Source::Msk { cluster: arn, topic: only(input.topics.as_deref(), "topics")?, group }
        }
        SourceKind::Kafka => {
            let config = input.self_managed_kafka_event_source_config.as_ref();
            let group = group(config.and_then(|config| config.consumer_group_id.as_ref()));
            let servers = servers(input).map(|servers| texts(servers)).unwrap_or_default();
            Source::Kafka { servers, topic: only(input.topics.as_deref(), "topics")?, group }
        }
        SourceKind::Mq => Source::Mq { broker: arn, queue: only(input.queues.as_deref(), "queues")? },
        SourceKind::DocumentDb => Source::DocumentDb { cluster: arn },
    })
}

/// Refuses what names another source than one of this kind.
fn strays(kind: SourceKind, input: &api::CreateEventSourceMappingRequest) -> Result<(), MappingRefusal> {
    let strays = [
        (input.topics.is_some() && !kind.is_kafka(), "Topics"),
        (input.queues.is_some() && kind != SourceKind::Mq, "Queues"),
        (input.self_managed_event_source.is_some() && kind != SourceKind::Kafka, "SelfManagedEventSource"),
    ];
    match strays.iter().find(|(stray, _)| *stray) {
        Some((_, member)) => Err(checks::unsupported(kind, member)),
        None => Ok(()),
    }
}

/// The one name of a list that the front end has bounded to one.
fn only(names: Option<&[String]>, member: &'static str) -> Result<Arc<str>, MappingRefusal> {
    let name = names.and_then(<[String]>::first).ok_or(MappingRefusal::Required(member))?;
    Ok(name.as_str().into())
}

/// What a source of this kind needs beside its name.
pub(super) fn needs(
    kind: SourceKind,
    input: &api::UpdateEventSourceMappingRequest,
) -> Result<(), MappingRefusal> {
    let access = input.source_access_configurations.as_ref().is_some_and(|access| !access.is_empty());
    match kind {
        SourceKind::Kafka | SourceKind::Mq if !access => {
            Err(MappingRefusal::Required("sourceAccessConfigurations"))
        }
        SourceKind::DocumentDb => {
            let Some(config) = &input.document_db_event_source_config else {
                return Err(MappingRefusal::Document("documentDBEventSourceConfig, databaseName"));
            };
            if config.database_name.is_none() {
                return Err(MappingRefusal::Document("databaseName"));
            }
            if !access {
                return Err(MappingRefusal::Document(
                    "sourceAccessConfigurations, sourceAccessConfigurations",
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where reading begins.
pub(super) fn start(
    source: &Source,
    input: &api::CreateEventSourceMappingRequest,
) -> Result<Option<Start>, MappingRefusal> {
    let kind = source.kind();
    let (position, moment) = (input.starting_position, input.starting_position_timestamp);
    match kind {
        SourceKind::Sqs if position.is_some() || moment.is_some() => return Err(MappingRefusal::QueueStart),
        SourceKind::Mq if position.is_some() => return Err(checks::unsupported(kind, "StartingPosition")),
        SourceKind::Mq if moment.is_some() => {
            return Err(checks::unsupported(kind, "StartingPositionTimestamp"));
        }
        SourceKind::Sqs | SourceKind::Mq => return Ok(None),
        _ => {}
    }
    let default = match kind {
        SourceKind::Msk | SourceKind::Kafka => Some(api::EventSourcePosition::TrimHorizon),
        SourceKind::DocumentDb => Some(api::EventSourcePosition::Latest),
        _ => None,
    };
    let start = match position.or(default).ok_or(MappingRefusal::NoStart)? {
        api::EventSourcePosition::AtTimestamp => return at(source, moment).map(Some),
        api::EventSourcePosition::TrimHorizon => Start::TrimHorizon,
        api::EventSourcePosition::Latest => Start::Latest,
    };
    if moment.is_some() { Err(MappingRefusal::StrayTimestamp) } else { Ok(Some(start)) }
}

fn at(source: &Source, moment: Option<Timestamp>) -> Result<Start, MappingRefusal> {
    match (source, moment) {
        (Source::DynamoDb { stream }, _) => Err(MappingRefusal::NoMoments(stream.to_string())),
        (Source::Kinesis { .. }, None) => Err(MappingRefusal::StreamTimestamp),
        (_, None) => Err(MappingRefusal::Timestamp),
        (_, Some(moment)) if moment.as_micros() < 0 => Err(MappingRefusal::NegativeTimestamp),
        (_, Some(moment)) => Ok(Start::At(moment)),
    }
}

/// `old` with what `input` gives. Empty objects and empty texts take away what was set.
///
/// Source: Lambda API reference, UpdateEventSourceMapping; an operator's measurements of 2026.
pub(super) fn applied(
    old: &Settings,
    kind: SourceKind,
    input: &api::UpdateEventSourceMappingRequest,
) -> Settings {
    let old = old.clone();
    let destination = |config: &api::DestinationConfig| {
        let failure = config.on_failure.as_ref().and_then(|failure| failure.destination.as_deref());
        failure.and_then(clearable)
    };
    Settings {
        batch_size: input.batch_size.map_or(old.batch_size, positive),
        window: input.maximum_batching_window_in_seconds.map(seconds).or(old.window),
        filters: input.filter_criteria.as_ref().map_or(old.filters, filters),
        kms_key: input.kms_key_arn.as_deref().map_or(old.kms_key, clearable),
        partial: input.function_response_types.as_ref().map_or(old.partial, |types| !types.is_empty()),
        on_failure: input.destination_config.as_ref().map_or(old.on_failure, destination),
        retry: retry(old.retry, input),
        parallelization: input.parallelization_factor.map_or(old.parallelization, positive),
        tumbling: input.tumbling_window_in_seconds.map_or(old.tumbling, seconds),
        maximum_concurrency: input
            .scaling_config
            .as_ref()
            .map_or(old.maximum_concurrency, |config| config.maximum_concurrency.map(positive)),
        pollers: input.provisioned_poller_config.as_ref().map_or(old.pollers, |config| pollers(kind, config)),
        metrics: input.metrics_config.as_ref().map_or(old.metrics, |config| Some(metrics(config))),
        log_level: input.logging_config.as_ref().map_or(old.log_level, log_level),
        access: input.source_access_configurations.as_deref().map_or(old.access, access),
        registry: registry_of(input).map_or(old.registry, registry),
        document: document(old.document, input),
    }
}

fn filters(criteria: &api::FilterCriteria) -> Vec<Arc<str>> {
    let filters = criteria.filters.iter().flatten();
    filters.filter_map(|filter| filter.pattern.as_deref()).map(Arc::from).collect()
}

/// What is tried again; nothing is for ever, which requests write as -1.
fn retry(old: Option<Retry>, input: &api::UpdateEventSourceMappingRequest) -> Option<Retry> {
    let (attempts, age) = (input.maximum_retry_attempts, input.maximum_record_age_in_seconds);
    let bisect = input.bisect_batch_on_function_error;
    if attempts.is_none() && age.is_none() && bisect.is_none() {
        return old;
    }
    let old = old.unwrap_or_default();
    Some(Retry {
        attempts: attempts.map_or(old.attempts, |attempts| u32::try_from(attempts).ok()),
        age: age.map_or(old.age, |age| u64::try_from(age).ok().map(Duration::from_secs)),
        bisect: bisect.unwrap_or(old.bisect),
    })
}

/// Pollers with the source's defaults; none when nothing is named.
fn pollers(kind: SourceKind, config: &api::ProvisionedPollerConfig) -> Option<Pollers> {
    if *config == api::ProvisionedPollerConfig::default() {
        return None;
    }
    let least = if kind == SourceKind::Sqs { 2 } else { 1 };
    Some(Pollers {
        minimum: config.minimum_pollers.map_or(least, positive),
        maximum: config.maximum_pollers.map_or(200, positive),
        group: config.poller_group_name.as_deref().and_then(clearable),
    })
}

fn metrics(config: &api::EventSourceMappingMetricsConfig) -> Vec<Metrics> {
    let groups = config.metrics.iter().flatten();
    groups.filter_map(|group| Metrics::parse(group.as_str())).collect()
}

fn log_level(config: &api::EventSourceMappingLoggingConfig) -> Option<SystemLogLevel> {
    config.system_log_level.and_then(|level| SystemLogLevel::parse(level.as_str()))
}

fn access(list: &[api::SourceAccessConfiguration]) -> Vec<Access> {
    let read = |entry: &api::SourceAccessConfiguration| Access {
        kind: entry.r#type.map(|kind| kind.as_str().into()),
        uri: entry.uri.as_deref().map(Arc::from),
    };
    list.iter().map(read).collect()
}

fn registry_of(input: &api::UpdateEventSourceMappingRequest) -> Option<&api::KafkaSchemaRegistryConfig> {
    let managed = input.amazon_managed_kafka_event_source_config.as_ref();
    let own = input.self_managed_kafka_event_source_config.as_ref();
    managed
        .and_then(|config| config.schema_registry_config.as_ref())
        .or_else(|| own.and_then(|config| config.schema_registry_config.as_ref()))
}

fn registry(config: &api::KafkaSchemaRegistryConfig) -> Option<SchemaRegistry> {
    if *config == api::KafkaSchemaRegistryConfig::default() {
        return None;
    }
    let entry = |entry: &api::KafkaSchemaRegistryAccessConfig| Access {
        kind: entry.r#type.map(|kind| kind.as_str().into()),
        uri: entry.uri.as_deref().map(Arc::from),
    };
    let validated = |config: &api::KafkaSchemaValidationConfig| Some(config.attribute?.as_str().into());
    Some(SchemaRegistry {
        uri: config.schema_registry_uri.as_deref().map(Arc::from),
        format: config.event_record_format.map(|format| format.as_str().into()),
        access: config.access_configs.as_ref().map(|list| list.iter().map(entry).collect()),
        validation: config
            .schema_validation_configs
            .as_ref()
            .map(|list| list.iter().filter_map(validated).collect()),
    })
}

/// What of a database is read. The collection is taken away with the rest when it is not named again.
fn document(
    old: Option<DocumentSource>,
    input: &api::UpdateEventSourceMappingRequest,
) -> Option<DocumentSource> {
    let Some(config) = &input.document_db_event_source_config else {
        return old;
    };
    let database = config.database_name.as_deref().map(Arc::from);
    Some(DocumentSource {
        database: database.or_else(|| old.map(|old| old.database))?,
        collection: config.collection_name.as_deref().map(Arc::from),
        full: config.full_document == Some(api::FullDocument::UpdateLookup),
    })
}

/// A number that the front end has made sure is not negative.
fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn seconds(number: i32) -> Duration {
    Duration::from_secs(u64::from(positive(number)))
}

fn texts(texts: &[String]) -> Vec<Arc<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}
