//! How a function is set up: every member of AWS's `FunctionConfiguration` that a customer chooses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base::units::Mib;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::CodeRef;

/// What a customer chose, with AWS's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Zip archive or container image.
    pub package: PackageType,
    /// `python3.13`, `provided.al2023`; none for images.
    pub runtime: Option<Arc<str>>,
    /// The entry point, in the runtime's own notation; none for images.
    pub handler: Option<Arc<str>>,
    /// ARN of the execution role.
    pub role: Arc<str>,
    /// Free text; empty when none was given.
    pub description: Arc<str>,
    /// Longest run.
    pub timeout: Duration,
    /// Memory, and with it the share of processors.
    pub memory: Mib,
    /// Size of `/tmp`.
    pub ephemeral: Mib,
    /// The function's own environment variables. Present but without variables when they were given so.
    pub environment: Option<SealedEnvironment>,
    /// The customer's key for environment variables, kept as given.
    pub kms_key: Option<Arc<str>>,
    /// Layer versions, in the order in which they are merged.
    pub layers: Vec<LayerUse>,
    /// Instruction set.
    pub architecture: Architecture,
    /// Tracing.
    pub tracing: TracingMode,
    /// Form, levels and place of the log.
    pub logging: LoggingConfig,
    /// ARN of the queue or topic that takes events that could not be handled.
    pub dead_letter: Option<Arc<str>>,
    /// Present once it was ever supplied; emptied members mean that it was removed.
    pub vpc: Option<VpcConfig>,
    /// File systems; at most one.
    pub file_systems: Vec<FileSystem>,
    /// When snapshots are taken.
    pub snap_start: SnapStart,
    /// What overrides the image's own settings.
    pub image: Option<ImageConfig>,
}

impl Configuration {
    /// A zip function with AWS's defaults for everything else.
    ///
    /// Source: recorded CreateFunction answers.
    pub fn zip(name: &str, runtime: &str, handler: &str, role: &str) -> Self {
        Self {
            package: PackageType::Zip,
            runtime: Some(runtime.into()),
            handler: Some(handler.into()),
            role: role.into(),
            description: "".into(),
            timeout: Duration::from_secs(3),
            memory: Mib(128),
            ephemeral: Mib(512),
            environment: None,
            kms_key: None,
            layers: Vec::new(),
            architecture: Architecture::X86_64,
            tracing: TracingMode::PassThrough,
            logging: LoggingConfig::text(name),
            dead_letter: None,
            vpc: None,
            file_systems: Vec::new(),
            snap_start: SnapStart::None,
            image: None,
        }
    }

    /// Holds what is the same in `other` once with it.
    pub(crate) fn share(&mut self, other: &Self) {
        share(&mut self.runtime, &other.runtime);
        share(&mut self.handler, &other.handler);
        share(&mut self.role, &other.role);
        share(&mut self.description, &other.description);
        share(&mut self.environment, &other.environment);
        share(&mut self.kms_key, &other.kms_key);
        share(&mut self.layers, &other.layers);
        share(&mut self.logging.group, &other.logging.group);
        share(&mut self.dead_letter, &other.dead_letter);
        share(&mut self.vpc, &other.vpc);
    }
}

/// Puts a clone in the place of what equals it: clones of texts and bytes are one in memory.
fn share<T: Clone + PartialEq>(mine: &mut T, other: &T) {
    if mine == other {
        *mine = other.clone();
    }
}

/// A layer version that a function has. It stays usable after the layer's owner has deleted it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayerUse {
    /// The layer version's ARN, as the customer gave it.
    pub arn: Arc<str>,
    /// What is in it.
    pub code: CodeRef,
}

/// How code is packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PackageType {
    /// A zip archive.
    Zip,
    /// A container image.
    Image,
}

/// Instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Architecture {
    /// `x86_64`.
    #[serde(rename = "x86_64")]
    X86_64,
    /// `arm64`.
    #[serde(rename = "arm64")]
    Arm64,
}

/// Whether requests without a sampling decision are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TracingMode {
    /// Sampled here.
    Active,
    /// As the caller decided.
    PassThrough,
}

/// When snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SnapStart {
    /// Never.
    None,
    /// When a version is published.
    PublishedVersions,
}

/// Form, levels and place of a function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingConfig {
    /// Lines of text or JSON objects; levels filter only JSON.
    pub format: LogFormat,
    /// Log group name.
    pub group: Arc<str>,
}

impl LoggingConfig {
    /// Text in the group that a function of this name has by default.
    pub fn text(function: &str) -> Self {
        Self { format: LogFormat::Text, group: Self::default_group(function) }
    }

    /// `/aws/lambda/<name>`.
    pub fn default_group(function: &str) -> Arc<str> {
        format!("/aws/lambda/{function}").into()
    }
}

/// Lines of text or JSON objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// As the function writes it.
    Text,
    /// JSON objects with levels; both are INFO unless chosen.
    Json {
        /// Least level of what the function writes.
        application: LogLevel,
        /// Least level of what the platform writes.
        system: SystemLogLevel,
    },
}

/// Level of what a function writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// Level of what the platform writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum SystemLogLevel {
    Debug,
    Info,
    Warn,
}

/// Gives an enum the words that the API has for it.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// As the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Reads what the API writes.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words!(PackageType { Zip = "Zip", Image = "Image" });
words!(Architecture { X86_64 = "x86_64", Arm64 = "arm64" });
words!(TracingMode { Active = "Active", PassThrough = "PassThrough" });
words!(SnapStart { None = "None", PublishedVersions = "PublishedVersions" });
words!(LogLevel {
    Trace = "TRACE",
    Debug = "DEBUG",
    Info = "INFO",
    Warn = "WARN",
    Error = "ERROR",
    Fatal = "FATAL"
});
words!(SystemLogLevel { Debug = "DEBUG", Info = "INFO", Warn = "WARN" });

/// Network of the customer, kept as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VpcConfig {
    /// Subnet ids.
    pub subnets: Vec<Arc<str>>,
    /// Security group ids.
    pub security_groups: Vec<Arc<str>>,
    /// The network's id; empty when there are no subnets.
    pub vpc: Arc<str>,
    /// Whether IPv6 goes out as well.
    pub ipv6: bool,
}

/// A file system and where it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// ARN of the access point.
    pub arn: Arc<str>,
    /// Path below `/mnt`.
    pub mount: Arc<str>,
}

/// What overrides an image's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// In place of the image's entry point; not given is not the same as empty.
    pub entry_point: Option<Vec<Arc<str>>>,
    /// In place of the image's command.
    pub command: Option<Vec<Arc<str>>>,
    /// In place of the image's working directory.
    pub working_directory: Option<Arc<str>>,
}

/// Environment variables as ciphertext. `access` seals and opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedEnvironment(pub Bytes);

impl fmt::Debug for SealedEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedEnvironment({} bytes)", self.0.len())
    }
}
