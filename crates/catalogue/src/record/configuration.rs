//! The stored form of a configuration.

use std::sync::Arc;
use std::time::Duration;

use base::units::Mib;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::function::CodeRecord;
use crate::configuration::{
    Architecture, Configuration, FileSystem, ImageConfig, LayerUse, LogFormat, LogLevel, LoggingConfig,
    PackageType, SealedEnvironment, SnapStart, SystemLogLevel, TracingMode, VpcConfig,
};

#[derive(Serialize, Deserialize)]
pub(super) struct ConfigurationRecord {
    package: PackageType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handler: Option<Arc<str>>,
    role: Arc<str>,
    description: Arc<str>,
    timeout_seconds: u64,
    memory_mib: u32,
    ephemeral_mib: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Ciphertext>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerUseRecord>,
    architecture: Architecture,
    tracing: TracingMode,
    logging: LoggingRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vpc: Option<VpcRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    file_systems: Vec<FileSystemRecord>,
    snap_start: SnapStart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageRecord>,
}

impl ConfigurationRecord {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let it = configuration.clone();
        Self {
            package: it.package,
            runtime: it.runtime,
            handler: it.handler,
            role: it.role,
            description: it.description,
            timeout_seconds: it.timeout.as_secs(),
            memory_mib: it.memory.0,
            ephemeral_mib: it.ephemeral.0,
            environment: it.environment.map(Ciphertext::of),
            kms_key: it.kms_key,
            layers: it.layers.into_iter().map(LayerUseRecord::of).collect(),
            architecture: it.architecture,
            tracing: it.tracing,
            logging: LoggingRecord::of(it.logging),
            dead_letter: it.dead_letter,
            vpc: it.vpc.map(VpcRecord::of),
            file_systems: it.file_systems.into_iter().map(FileSystemRecord::of).collect(),
            snap_start: it.snap_start,
            image: it.image.map(ImageRecord::of),
        }
    }

    pub(super) fn into_configuration(self) -> Configuration {
        Configuration {
            package: self.package,
            runtime: self.runtime,
            handler: self.handler,
            role: self.role,
            description: self.description,
            timeout: Duration::from_secs(self.timeout_seconds),
            memory: Mib(self.memory_mib),
            ephemeral: Mib(self.ephemeral_mib),
            environment: self.environment.map(|ciphertext| SealedEnvironment(ciphertext.0)),
            kms_key: self.kms_key,
            layers: self.layers.into_iter().map(LayerUseRecord::into_use).collect(),
            architecture: self.architecture,
            tracing: self.tracing,
            logging: self.logging.into_config(),
            dead_letter: self.dead_letter,
            vpc: self.vpc.map(VpcRecord::into_config),
            file_systems: self.file_systems.into_iter().map(FileSystemRecord::into_config).collect(),
            snap_start: self.snap_start,
            image: self.image.map(ImageRecord::into_config),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct LayerUseRecord {
    arn: Arc<str>,
    code: CodeRecord,
}

impl LayerUseRecord {
    fn of(layer: LayerUse) -> Self {
        Self { arn: layer.arn, code: CodeRecord::of(layer.code) }
    }

    fn into_use(self) -> LayerUse {
        LayerUse { arn: self.arn, code: self.code.into_code() }
    }
}

/// Sealed bytes, as base64.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Ciphertext(Bytes);

impl Ciphertext {
    fn of(sealed: SealedEnvironment) -> Self {
        Self(sealed.0)
    }
}

// serde's `into` clones what it converts.
impl Clone for Ciphertext {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl From<Ciphertext> for String {
    fn from(ciphertext: Ciphertext) -> String {
        STANDARD.encode(ciphertext.0)
    }
}

impl TryFrom<String> for Ciphertext {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(Self(STANDARD.decode(text)?.into()))
    }
}

#[derive(Serialize, Deserialize)]
struct LoggingRecord {
    format: FormatRecord,
    group: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatRecord {
    Text,
    Json { application: LogLevel, system: SystemLogLevel },
}

impl LoggingRecord {
    fn of(config: LoggingConfig) -> Self {
        let format = match config.format {
            LogFormat::Text => FormatRecord::Text,
            LogFormat::Json { application, system } => FormatRecord::Json { application, system },
        };
        Self { format, group: config.group }
    }

    fn into_config(self) -> LoggingConfig {
        let format = match self.format {
            FormatRecord::Text => LogFormat::Text,
            FormatRecord::Json { application, system } => LogFormat::Json { application, system },
        };
        LoggingConfig { format, group: self.group }
    }
}

#[derive(Serialize, Deserialize)]
struct VpcRecord {
    subnets: Vec<Arc<str>>,
    security_groups: Vec<Arc<str>>,
    vpc: Arc<str>,
    ipv6: bool,
}

impl VpcRecord {
    fn of(config: VpcConfig) -> Self {
        let VpcConfig { subnets, security_groups, vpc, ipv6 } = config;
        Self { subnets, security_groups, vpc, ipv6 }
    }

    fn into_config(self) -> VpcConfig {
        let Self { subnets, security_groups, vpc, ipv6 } = self;
        VpcConfig { subnets, security_groups, vpc, ipv6 }
    }
}

#[derive(Serialize, Deserialize)]
struct FileSystemRecord {
    arn: Arc<str>,
    mount: Arc<str>,
}

impl FileSystemRecord {
    fn of(config: FileSystem) -> Self {
        Self { arn: config.arn, mount: config.mount }
    }

    fn into_config(self) -> FileSystem {
        FileSystem { arn: self.arn, mount: self.mount }
    }
}

#[derive(Serialize, Deserialize)]
struct ImageRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry_point: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_directory: Option<Arc<str>>,
}

impl ImageRecord {
    fn of(config: ImageConfig) -> Self {
        let ImageConfig { entry_point, command, working_directory } = config;
        Self { entry_point, command, working_directory }
    }

    fn into_config(self) -> ImageConfig {
        let Self { entry_point, command, working_directory } = self;
        ImageConfig { entry_point, command, working_directory }
    }
}
