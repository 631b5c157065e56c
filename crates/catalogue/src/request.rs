//! What customers ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::id::RevisionId;
use base::units::Mib;

use crate::configuration::{
    Architecture, FileSystem, ImageConfig, LayerUse, LoggingConfig, SealedEnvironment, SnapStart,
    TracingMode, VpcConfig,
};
use crate::{CodeRef, Configuration, FunctionKey};

/// A function to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFunction {
    /// Its name.
    pub key: FunctionKey,
    /// How it is set up.
    pub configuration: Configuration,
    /// What it runs; its blob is stored already.
    pub code: CodeRef,
    /// See [`crate::Function::code_signing`].
    pub code_signing: Option<Arc<str>>,
    /// Tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether a version of it is published as soon as it is active.
    pub publish: bool,
}

/// A change of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeUpdate {
    /// The revision that the caller last saw.
    pub expected: Option<RevisionId>,
    /// What is to run; its blob is stored already.
    pub code: CodeRef,
    /// The instruction set it is for, where given.
    pub architecture: Option<Architecture>,
    /// Whether a version is published as soon as the change is in force.
    pub publish: bool,
}

/// A change of configuration. What is `None` stays; where the outer is `Some` and the inner `None`, it is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigurationUpdate {
    /// The revision that the caller last saw.
    pub expected: Option<RevisionId>,
    /// See [`Configuration::runtime`].
    pub runtime: Option<Arc<str>>,
    /// See [`Configuration::handler`].
    pub handler: Option<Arc<str>>,
    /// See [`Configuration::role`].
    pub role: Option<Arc<str>>,
    /// See [`Configuration::description`].
    pub description: Option<Arc<str>>,
    /// See [`Configuration::timeout`].
    pub timeout: Option<Duration>,
    /// See [`Configuration::memory`].
    pub memory: Option<Mib>,
    /// See [`Configuration::ephemeral`].
    pub ephemeral: Option<Mib>,
    /// Replaces all variables.
    pub environment: Option<SealedEnvironment>,
    /// See [`Configuration::kms_key`].
    pub kms_key: Option<Option<Arc<str>>>,
    /// Replaces all layers.
    pub layers: Option<Vec<LayerUse>>,
    /// See [`Configuration::tracing`].
    pub tracing: Option<TracingMode>,
    /// Replaces format, levels and group together. Source: recorded in 2026.
    pub logging: Option<LoggingConfig>,
    /// See [`Configuration::dead_letter`].
    pub dead_letter: Option<Option<Arc<str>>>,
    /// Replaces subnets and groups.
    pub vpc: Option<VpcConfig>,
    /// Replaces all file systems.
    pub file_systems: Option<Vec<FileSystem>>,
    /// See [`Configuration::snap_start`].
    pub snap_start: Option<SnapStart>,
    /// See [`Configuration::image`].
    pub image: Option<Option<ImageConfig>>,
}

impl ConfigurationUpdate {
    /// `old` with what this update changes.
    pub fn applied_to(self, old: &Configuration) -> Configuration {
        let old = old.clone();
        Configuration {
            package: old.package,
            runtime: self.runtime.or(old.runtime),
            handler: self.handler.or(old.handler),
            role: self.role.unwrap_or(old.role),
            description: self.description.unwrap_or(old.description),
            timeout: self.timeout.unwrap_or(old.timeout),
            memory: self.memory.unwrap_or(old.memory),
            ephemeral: self.ephemeral.unwrap_or(old.ephemeral),
            environment: self.environment.or(old.environment),
            kms_key: self.kms_key.unwrap_or(old.kms_key),
            layers: self.layers.unwrap_or(old.layers),
            architecture: old.architecture,
            tracing: self.tracing.unwrap_or(old.tracing),
            logging: self.logging.unwrap_or(old.logging),
            dead_letter: self.dead_letter.unwrap_or(old.dead_letter),
            vpc: self.vpc.or(old.vpc),
            file_systems: self.file_systems.unwrap_or(old.file_systems),
            snap_start: self.snap_start.unwrap_or(old.snap_start),
            image: self.image.unwrap_or(old.image),
        }
    }
}
