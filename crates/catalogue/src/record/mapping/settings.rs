//! How records are read and handed over, as it is stored.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::SystemLogLevel;
use crate::mapping::{Access, DocumentSource, Metrics, Pollers, Retry, SchemaRegistry, Settings};

#[derive(Serialize, Deserialize)]
pub(super) struct SettingsRecord {
    batch_size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key: Option<Arc<str>>,
    #[serde(default)]
    partial: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failure: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryRecord>,
    parallelization: u32,
    tumbling_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pollers: Option<PollersRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<Vec<MetricsRecord>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_level: Option<SystemLogLevel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    access: Vec<AccessRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<RegistryRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<DocumentRecord>,
}

impl SettingsRecord {
    pub(super) fn of(settings: &Settings) -> Self {
        let settings = settings.clone();
        Self {
            batch_size: settings.batch_size,
            window_seconds: settings.window.map(|window| window.as_secs()),
            filters: settings.filters,
            kms_key: settings.kms_key,
            partial: settings.partial,
            on_failure: settings.on_failure,
            retry: settings.retry.map(RetryRecord::of),
            parallelization: settings.parallelization,
            tumbling_seconds: settings.tumbling.as_secs(),
            maximum_concurrency: settings.maximum_concurrency,
            pollers: settings.pollers.map(PollersRecord::of),
            metrics: settings.metrics.map(|groups| groups.into_iter().map(MetricsRecord::of).collect()),
            log_level: settings.log_level,
            access: settings.access.into_iter().map(AccessRecord::of).collect(),
            registry: settings.registry.map(RegistryRecord::of),
            document: settings.document.map(DocumentRecord::of),
        }
    }

    pub(super) fn into_settings(self) -> Settings {
        Settings {
            batch_size: self.batch_size,
            window: self.window_seconds.map(Duration::from_secs),
            filters: self.filters,
            kms_key: self.kms_key,
            partial: self.partial,
            on_failure: self.on_failure,
            retry: self.retry.map(RetryRecord::into_retry),
            parallelization: self.parallelization,
            tumbling: Duration::from_secs(self.tumbling_seconds),
            maximum_concurrency: self.maximum_concurrency,
            pollers: self.pollers.map(PollersRecord::into_pollers),
            metrics: self.metrics.map(|groups| groups.into_iter().map(MetricsRecord::into_metrics).collect()),
            log_level: self.log_level,
            access: self.access.into_iter().map(AccessRecord::into_access).collect(),
            registry: self.registry.map(RegistryRecord::into_registry),
            document: self.document.map(DocumentRecord::into_document),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RetryRecord {
    /// Absent where it goes on for as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Absent where records have no age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    bisect: bool,
}

impl RetryRecord {
    fn of(Retry { attempts, age, bisect }: Retry) -> Self {
        Self { attempts, age_seconds: age.map(|age| age.as_secs()), bisect }
    }

    fn into_retry(self) -> Retry {
        let Self { attempts, age_seconds, bisect } = self;
        Retry { attempts, age: age_seconds.map(Duration::from_secs), bisect }
    }
}

#[derive(Serialize, Deserialize)]
struct PollersRecord {
    minimum: u32,
    maximum: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Arc<str>>,
}

impl PollersRecord {
    fn of(Pollers { minimum, maximum, group }: Pollers) -> Self {
        Self { minimum, maximum, group }
    }

    fn into_pollers(self) -> Pollers {
        let Self { minimum, maximum, group } = self;
        Pollers { minimum, maximum, group }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MetricsRecord {
    EventCount,
    ErrorCount,
    KafkaMetrics,
}

impl MetricsRecord {
    const fn of(group: Metrics) -> Self {
        match group {
            Metrics::EventCount => Self::EventCount,
            Metrics::ErrorCount => Self::ErrorCount,
            Metrics::KafkaMetrics => Self::KafkaMetrics,
        }
    }

    const fn into_metrics(self) -> Metrics {
        match self {
            Self::EventCount => Metrics::EventCount,
            Self::ErrorCount => Metrics::ErrorCount,
            Self::KafkaMetrics => Metrics::KafkaMetrics,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct AccessRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<Arc<str>>,
}

impl AccessRecord {
    fn of(Access { kind, uri }: Access) -> Self {
        Self { kind, uri }
    }

    fn into_access(self) -> Access {
        let Self { kind, uri } = self;
        Access { kind, uri }
    }
}

#[derive(Serialize, Deserialize)]
struct RegistryRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<Vec<AccessRecord>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validation: Option<Vec<Arc<str>>>,
}

impl RegistryRecord {
    fn of(registry: SchemaRegistry) -> Self {
        let SchemaRegistry { uri, format, access, validation } = registry;
        let access = access.map(|access| access.into_iter().map(AccessRecord::of).collect());
        Self { uri, format, access, validation }
    }

    fn into_registry(self) -> SchemaRegistry {
        let Self { uri, format, access, validation } = self;
        let access = access.map(|access| access.into_iter().map(AccessRecord::into_access).collect());
        SchemaRegistry { uri, format, access, validation }
    }
}

#[derive(Serialize, Deserialize)]
struct DocumentRecord {
    database: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collection: Option<Arc<str>>,
    #[serde(default)]
    full: bool,
}

impl DocumentRecord {
    fn of(DocumentSource { database, collection, full }: DocumentSource) -> Self {
        Self { database, collection, full }
    }

    fn into_document(self) -> DocumentSource {
        let Self { database, collection, full } = self;
        DocumentSource { database, collection, full }
    }
}
