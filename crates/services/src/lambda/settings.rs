//! What customers choose, from the API's words into the catalogue's. Pure.

use std::sync::Arc;

use base::arn::Scope;
use base::units::Mib;
use catalogue as kept;
use sha2::{Digest, Sha256};
use wire::lambda as api;

/// The log settings that a request's `LoggingConfig` means; what it leaves out gets its default.
///
/// A present object replaces everything that was set before. Source: recorded in 2026.
pub(crate) fn logging(config: &api::LoggingConfig, function: &str) -> kept::LoggingConfig {
    let format = match config.log_format {
        Some(api::LogFormat::Json) => kept::LogFormat::Json {
            application: config.application_log_level.map_or(kept::LogLevel::Info, application),
            system: config.system_log_level.map_or(kept::SystemLogLevel::Info, system),
        },
        Some(api::LogFormat::Text) | None => kept::LogFormat::Text,
    };
    let group = config.log_group.as_deref().map(Arc::from);
    kept::LoggingConfig {
        format,
        group: group.unwrap_or_else(|| kept::LoggingConfig::default_group(function)),
    }
}

fn application(level: api::ApplicationLogLevel) -> kept::LogLevel {
    match level {
        api::ApplicationLogLevel::Trace => kept::LogLevel::Trace,
        api::ApplicationLogLevel::Debug => kept::LogLevel::Debug,
        api::ApplicationLogLevel::Info => kept::LogLevel::Info,
        api::ApplicationLogLevel::Warn => kept::LogLevel::Warn,
        api::ApplicationLogLevel::Error => kept::LogLevel::Error,
        api::ApplicationLogLevel::Fatal => kept::LogLevel::Fatal,
    }
}

fn system(level: api::SystemLogLevel) -> kept::SystemLogLevel {
    match level {
        api::SystemLogLevel::Debug => kept::SystemLogLevel::Debug,
        api::SystemLogLevel::Info => kept::SystemLogLevel::Info,
        api::SystemLogLevel::Warn => kept::SystemLogLevel::Warn,
    }
}

/// The network settings of a request in `scope`, kept as given.
pub(crate) fn vpc(config: &api::VpcConfig, scope: &Scope) -> kept::VpcConfig {
    let ids = |ids: &Option<Vec<String>>| -> Vec<Arc<str>> {
        ids.iter().flatten().map(|id| id.as_str().into()).collect()
    };
    let subnets = ids(&config.subnet_ids);
    kept::VpcConfig {
        vpc: if subnets.is_empty() { "".into() } else { vpc_id(scope).into() },
        subnets,
        security_groups: ids(&config.security_group_ids),
        ipv6: config.ipv6_allowed_for_dual_stack.unwrap_or_default(),
    }
}

/// The id of the one network that subnets of a scope belong to: answers carry one, and it never changes.
fn vpc_id(scope: &Scope) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{}/{}", scope.account, scope.region)).into();
    format!("vpc-{:.17}", base::id::Digest(digest).to_string())
}

/// Tracing as chosen; `PassThrough` unless `Active` is.
pub(crate) fn tracing(config: &api::TracingConfig) -> kept::TracingMode {
    match config.mode {
        Some(api::TracingMode::Active) => kept::TracingMode::Active,
        Some(api::TracingMode::PassThrough) | None => kept::TracingMode::PassThrough,
    }
}

/// Snapshots as chosen; none unless they are.
pub(crate) fn snap_start(config: &api::SnapStart) -> kept::SnapStart {
    match config.apply_on {
        Some(api::SnapStartApplyOn::PublishedVersions) => kept::SnapStart::PublishedVersions,
        Some(api::SnapStartApplyOn::None) | None => kept::SnapStart::None,
    }
}

/// The instruction set of a list that the front end has made sure has one entry.
pub(crate) fn architecture(list: &[api::Architecture]) -> Option<kept::Architecture> {
    list.first().copied().map(instruction_set)
}

/// The same instruction set in the catalogue's words.
pub(crate) const fn instruction_set(architecture: api::Architecture) -> kept::Architecture {
    match architecture {
        api::Architecture::X86_64 => kept::Architecture::X86_64,
        api::Architecture::Arm64 => kept::Architecture::Arm64,
    }
}

/// Megabytes that the front end has made sure are positive.
pub(crate) fn mib(megabytes: i32) -> Mib {
    Mib(u32::try_from(megabytes).unwrap_or_default())
}

/// Text that may be cleared by giving none: nothing for the empty string.
pub(crate) fn clearable(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_left_out_gets_its_defaults() {
        let json = api::LoggingConfig { log_format: Some(api::LogFormat::Json), ..Default::default() };
        let kept = logging(&json, "f");
        assert_eq!(&*kept.group, "/aws/lambda/f");
        assert_eq!(
            kept.format,
            kept::LogFormat::Json { application: kept::LogLevel::Info, system: kept::SystemLogLevel::Info }
        );
        let group = api::LoggingConfig { log_group: Some("/shared".into()), ..Default::default() };
        let kept = logging(&group, "f");
        assert_eq!((kept.format, &*kept.group), (kept::LogFormat::Text, "/shared"));
    }

    #[test]
    fn a_network_has_an_id_while_it_has_subnets() {
        let scope = Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let config = api::VpcConfig { subnet_ids: Some(vec!["subnet-1".into()]), ..Default::default() };
        let kept = vpc(&config, &scope);
        assert!(kept.vpc.starts_with("vpc-") && kept.vpc.len() == 21, "{}", kept.vpc);
        assert_eq!(kept, vpc(&config, &scope));
        assert_eq!(&*vpc(&api::VpcConfig::default(), &scope).vpc, "");
    }
}
