//! Event source mappings as answers show them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use catalogue::mapping::{Access, Mapping, Pollers, SchemaRegistry, Settings, Source, SourceKind, Start};
use wire::lambda as api;

/// A mapping whole. Each kind of source shows members of its own.
///
/// Source: recorded answers of 2022 to 2026.
pub(super) fn configuration(mapping: &Mapping) -> api::EventSourceMappingConfiguration {
    let (source, settings) = (&mapping.source, &mapping.settings);
    let kind = source.kind();
    let shown = api::EventSourceMappingConfiguration {
        uuid: Some(mapping.key.id.to_string()),
        event_source_mapping_arn: Some(mapping.key.to_string()),
        event_source_arn: source.arn().map(ToString::to_string),
        function_arn: Some(mapping.function.to_string()),
        last_modified: Some(mapping.last_modified),
        state: Some(mapping.state.to_string()),
        state_transition_reason: Some(reason(kind).to_owned()),
        last_processing_result: (kind != SourceKind::Sqs).then(|| mapping.processed.to_string()),
        starting_position: mapping.start.map(position),
        starting_position_timestamp: mapping.start.and_then(moment),
        batch_size: Some(number(settings.batch_size)),
        maximum_batching_window_in_seconds: settings.window.map(seconds),
        filter_criteria: filters(settings),
        kms_key_arn: settings.kms_key.as_deref().map(str::to_owned),
        metrics_config: metrics(settings),
        logging_config: settings.log_level.map(|level| api::EventSourceMappingLoggingConfig {
            system_log_level: api::EventSourceMappingSystemLogLevel::parse(level.as_str()),
        }),
        scaling_config: settings
            .maximum_concurrency
            .map(|most| api::ScalingConfig { maximum_concurrency: Some(number(most)) }),
        provisioned_poller_config: settings.pollers.as_ref().map(pollers),
        source_access_configurations: access(kind, settings),
        ..api::EventSourceMappingConfiguration::default()
    };
    named(source, settings, processed(kind, settings, shown))
}

/// A mapping in a list, where filters under a customer's key are not shown.
pub(super) fn listed(mapping: &Mapping) -> api::EventSourceMappingConfiguration {
    let mut shown = configuration(mapping);
    if mapping.settings.kms_key.is_some() {
        shown.filter_criteria = None;
    }
    shown
}

fn reason(kind: SourceKind) -> &'static str {
    if kind.is_stream() { "User action" } else { "USER_INITIATED" }
}

/// With how batches are processed and what becomes of failures.
fn processed(
    kind: SourceKind,
    settings: &Settings,
    mut shown: api::EventSourceMappingConfiguration,
) -> api::EventSourceMappingConfiguration {
    if kind.is_stream() {
        shown.parallelization_factor = Some(number(settings.parallelization));
        shown.tumbling_window_in_seconds = Some(seconds(settings.tumbling));
    }
    if kind.is_stream() || kind == SourceKind::Sqs || settings.partial {
        let types = settings.partial.then_some(api::FunctionResponseType::ReportBatchItemFailures);
        shown.function_response_types = Some(types.into_iter().collect());
    }
    if kind.is_stream() || settings.on_failure.is_some() {
        let destination = settings.on_failure.as_deref().map(str::to_owned);
        shown.destination_config = Some(api::DestinationConfig {
            on_success: None,
            on_failure: Some(api::OnFailure { destination }),
        });
    }
    if let Some(retry) = &settings.retry {
        shown.maximum_retry_attempts = Some(retry.attempts.map_or(-1, number));
        shown.maximum_record_age_in_seconds = Some(retry.age.map_or(-1, seconds));
        shown.bisect_batch_on_function_error = Some(retry.bisect);
    }
    shown
}

/// With what names the source beside its ARN.
fn named(
    source: &Source,
    settings: &Settings,
    mut shown: api::EventSourceMappingConfiguration,
) -> api::EventSourceMappingConfiguration {
    let registry = settings.registry.as_ref().map(registry);
    match source {
        Source::Msk { topic, group, .. } => {
            shown.topics = Some(vec![topic.to_string()]);
            shown.amazon_managed_kafka_event_source_config = Some(api::AmazonManagedKafkaEventSourceConfig {
                consumer_group_id: Some(group.to_string()),
                schema_registry_config: registry,
            });
        }
        Source::Kafka { servers, topic, group } => {
            let servers = servers.iter().map(ToString::to_string).collect();
            let endpoints = BTreeMap::from([("KAFKA_BOOTSTRAP_SERVERS".to_owned(), servers)]);
            shown.self_managed_event_source =
                Some(api::SelfManagedEventSource { endpoints: Some(endpoints) });
            shown.topics = Some(vec![topic.to_string()]);
            shown.self_managed_kafka_event_source_config = Some(api::SelfManagedKafkaEventSourceConfig {
                consumer_group_id: Some(group.to_string()),
                schema_registry_config: registry,
                consumption_mode: None,
            });
        }
        Source::Mq { queue, .. } => shown.queues = Some(vec![queue.to_string()]),
        Source::DocumentDb { .. } => shown.document_db_event_source_config = document(settings),
        Source::Sqs { .. } | Source::Kinesis { .. } | Source::DynamoDb { .. } => {}
    }
    shown
}

const fn position(start: Start) -> api::EventSourcePosition {
    match start {
        Start::TrimHorizon => api::EventSourcePosition::TrimHorizon,
        Start::Latest => api::EventSourcePosition::Latest,
        Start::At(_) => api::EventSourcePosition::AtTimestamp,
    }
}

const fn moment(start: Start) -> Option<base::clock::Timestamp> {
    match start {
        Start::At(moment) => Some(moment),
        Start::TrimHorizon | Start::Latest => None,
    }
}

fn filters(settings: &Settings) -> Option<api::FilterCriteria> {
    let filter = |pattern: &Arc<str>| api::Filter { pattern: Some(pattern.to_string()) };
    let filters: Vec<_> = settings.filters.iter().map(filter).collect();
    (!filters.is_empty()).then_some(api::FilterCriteria { filters: Some(filters) })
}

fn metrics(settings: &Settings) -> Option<api::EventSourceMappingMetricsConfig> {
    let groups = settings.metrics.as_ref()?;
    let metrics = groups.iter().filter_map(|group| api::EventSourceMappingMetric::parse(group.as_str()));
    Some(api::EventSourceMappingMetricsConfig { metrics: Some(metrics.collect()) })
}

fn pollers(pollers: &Pollers) -> api::ProvisionedPollerConfig {
    api::ProvisionedPollerConfig {
        minimum_pollers: Some(number(pollers.minimum)),
        maximum_pollers: Some(number(pollers.maximum)),
        poller_group_name: pollers.group.as_deref().map(str::to_owned),
    }
}

fn access(kind: SourceKind, settings: &Settings) -> Option<Vec<api::SourceAccessConfiguration>> {
    let entry = |entry: &Access| api::SourceAccessConfiguration {
        r#type: entry.kind.as_deref().and_then(api::SourceAccessType::parse),
        uri: entry.uri.as_deref().map(str::to_owned),
    };
    let has_access = !(kind == SourceKind::Sqs || kind.is_stream() || settings.access.is_empty());
    has_access.then(|| settings.access.iter().map(entry).collect())
}

fn registry(registry: &SchemaRegistry) -> api::KafkaSchemaRegistryConfig {
    let entry = |entry: &Access| api::KafkaSchemaRegistryAccessConfig {
        r#type: entry.kind.as_deref().and_then(api::KafkaSchemaRegistryAuthType::parse),
        uri: entry.uri.as_deref().map(str::to_owned),
    };
    let attribute = |word: &Arc<str>| api::KafkaSchemaValidationConfig {
        attribute: api::KafkaSchemaValidationAttribute::parse(word),
    };
    api::KafkaSchemaRegistryConfig {
        schema_registry_uri: registry.uri.as_deref().map(str::to_owned),
        event_record_format: registry.format.as_deref().and_then(api::SchemaRegistryEventRecordFormat::parse),
        access_configs: registry.access.as_ref().map(|list| list.iter().map(entry).collect()),
        schema_validation_configs: registry
            .validation
            .as_ref()
            .map(|list| list.iter().map(attribute).collect()),
    }
}

fn document(settings: &Settings) -> Option<api::DocumentDBEventSourceConfig> {
    let document = settings.document.as_ref()?;
    Some(api::DocumentDBEventSourceConfig {
        database_name: Some(document.database.to_string()),
        collection_name: document.collection.as_deref().map(str::to_owned),
        full_document: Some(if document.full {
            api::FullDocument::UpdateLookup
        } else {
            api::FullDocument::Default
        }),
    })
}

/// A number that was an `i32` when it came.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
