//! Functions as answers show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalogue::{Configuration, LayerUse, LogFormat, State, Version};
use wire::lambda as api;

/// A version whole, under the ARN `arn`, with its variables opened.
pub(crate) fn configuration(
    version: &Version,
    arn: String,
    environment: Option<api::EnvironmentResponse>,
) -> api::FunctionConfiguration {
    let state_reason = version.state.reason();
    let update = version.last_update.as_ref();
    let update_reason = update.and_then(|update| update.reason());
    api::FunctionConfiguration {
        state: api::State::parse(version.state.as_str()),
        state_reason: state_reason.map(|reason| reason.text.to_string()),
        state_reason_code: state_reason.and_then(|reason| api::StateReasonCode::parse(&reason.code)),
        last_update_status: update.and_then(|update| api::LastUpdateStatus::parse(update.as_str())),
        last_update_status_reason: update_reason.map(|reason| reason.text.to_string()),
        last_update_status_reason_code: update_reason.map(|reason| reason.code.to_string()),
        runtime_version_config: runtime_version(version)
            .map(|arn| api::RuntimeVersionConfig { runtime_version_arn: Some(arn), error: None }),
        ..listed(version, arn, environment)
    }
}

/// ARN of the runtime version that runs a version; there is one for each runtime.
pub(crate) fn runtime_version(version: &Version) -> Option<String> {
    let runtime = version.configuration.runtime.as_deref()?;
    Some(engine::runtime_version(runtime).arn(version.arn.scope.region.as_str()))
}

/// A version as lists show it: without states and without the runtime's version. Source: recorded lists.
pub(crate) fn listed(
    version: &Version,
    arn: String,
    environment: Option<api::EnvironmentResponse>,
) -> api::FunctionConfiguration {
    let Configuration { runtime, handler, role, description, kms_key, dead_letter, .. } =
        &*version.configuration;
    let configuration = &version.configuration;
    api::FunctionConfiguration {
        function_name: Some(version.arn.name.to_string()),
        function_arn: Some(arn),
        runtime: text(runtime),
        role: Some(role.to_string()),
        handler: text(handler),
        code_size: i64::try_from(version.code.size).ok(),
        description: Some(description.to_string()),
        timeout: i32::try_from(configuration.timeout.as_secs()).ok(),
        memory_size: i32::try_from(configuration.memory.0).ok(),
        last_modified: Some(version.last_modified.last_modified()),
        code_sha256: Some(version.code.sha256()),
        version: Some(version.qualifier.to_string()),
        vpc_config: configuration.vpc.as_ref().map(vpc),
        layers: (!configuration.layers.is_empty()).then(|| configuration.layers.iter().map(layer).collect()),
        dead_letter_config: dead_letter
            .as_ref()
            .map(|target| api::DeadLetterConfig { target_arn: Some(target.to_string()) }),
        environment,
        kms_key_arn: text(kms_key),
        tracing_config: Some(api::TracingConfigResponse {
            mode: api::TracingMode::parse(configuration.tracing.as_str()),
        }),
        revision_id: Some(version.revision.to_string()),
        package_type: api::PackageType::parse(configuration.package.as_str()),
        architectures: api::Architecture::parse(configuration.architecture.as_str()).map(|one| vec![one]),
        ephemeral_storage: i32::try_from(configuration.ephemeral.0)
            .ok()
            .map(|size| api::EphemeralStorage { size }),
        snap_start: Some(api::SnapStartResponse {
            apply_on: api::SnapStartApplyOn::parse(configuration.snap_start.as_str()),
            optimization_status: Some(optimization(version)),
        }),
        logging_config: Some(logging(&configuration.logging)),
        ..api::FunctionConfiguration::default()
    }
}

/// On for versions that start from a snapshot, or will. Source: recorded answers of emulators' authors, and the API
/// reference, SnapStartResponse.
fn optimization(version: &Version) -> api::SnapStartOptimizationStatus {
    let failed = matches!(version.state, State::Failed(_));
    match version.snap_starts() && !failed {
        true => api::SnapStartOptimizationStatus::On,
        false => api::SnapStartOptimizationStatus::Off,
    }
}

/// Tags, which answers leave out when there are none.
pub(crate) fn tags(tags: &BTreeMap<Arc<str>, Arc<str>>) -> Option<BTreeMap<String, String>> {
    let shown: BTreeMap<_, _> =
        tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    (!shown.is_empty()).then_some(shown)
}

/// Text that answers leave out when there is none.
pub(crate) fn text(shared: &Option<Arc<str>>) -> Option<String> {
    shared.as_ref().map(ToString::to_string)
}

fn layer(layer: &LayerUse) -> api::Layer {
    api::Layer {
        arn: Some(layer.arn.to_string()),
        code_size: i64::try_from(layer.code.size).ok(),
        ..api::Layer::default()
    }
}

fn vpc(config: &catalogue::VpcConfig) -> api::VpcConfigResponse {
    let ids = |ids: &[Arc<str>]| Some(ids.iter().map(ToString::to_string).collect());
    api::VpcConfigResponse {
        subnet_ids: ids(&config.subnets),
        security_group_ids: ids(&config.security_groups),
        vpc_id: Some(config.vpc.to_string()),
        ipv6_allowed_for_dual_stack: Some(config.ipv6),
    }
}

fn logging(config: &catalogue::LoggingConfig) -> api::LoggingConfig {
    let (log_format, application_log_level, system_log_level) = match config.format {
        LogFormat::Text => (api::LogFormat::Text, None, None),
        LogFormat::Json { application, system } => (
            api::LogFormat::Json,
            api::ApplicationLogLevel::parse(application.as_str()),
            api::SystemLogLevel::parse(system.as_str()),
        ),
    };
    api::LoggingConfig {
        log_format: Some(log_format),
        application_log_level,
        system_log_level,
        log_group: Some(config.group.to_string()),
    }
}
