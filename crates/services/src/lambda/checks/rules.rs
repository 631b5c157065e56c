//! The back end's checks of functions' settings. Pure.

use std::collections::BTreeMap;

use base::arn::Region;
use base::limits::{ENVIRONMENT_BYTES, FUNCTION_MEMORY, FUNCTION_NAME_CHARS, FUNCTION_TIMEOUT, FUNCTION_TMP};
use base::units::Mib;
use wire::lambda::{
    DeadLetterConfig, FunctionCode, ImageConfig, LayerVersionContentInput, LogFormat, LoggingConfig,
    PackageType, S3ObjectStorageMode, UpdateFunctionCodeRequest, VpcConfig,
};

use super::Refusal;
use crate::lambda::runtimes::{self, Known};

/// Variables that only Lambda sets. Source: Lambda Developer Guide, "Defined runtime environment variables".
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
];

/// A new function's name is not longer than names may be.
pub(crate) fn name(name: &str) -> Result<(), Refusal> {
    if name.len() <= FUNCTION_NAME_CHARS {
        return Ok(());
    }
    Err(Refusal::Constraint {
        value: name.to_owned(),
        member: "functionName",
        constraint: format!("Member must have length less than or equal to {FUNCTION_NAME_CHARS}"),
    })
}

/// The runtime may be used.
pub(crate) fn runtime(id: &str) -> Result<(), Refusal> {
    match runtimes::known(id) {
        Known::Supported => Ok(()),
        Known::Deprecated => Err(Refusal::DeprecatedRuntime(id.to_owned())),
        Known::Custom => Err(Refusal::NotBuilt("the runtime custom")),
        Known::Unknown => Err(Refusal::UnknownRuntime(id.to_owned())),
    }
}

/// Memory, timeout and `/tmp` are within what a function on no hardware of its own may have.
pub(crate) fn sizes(
    memory: Option<i32>,
    timeout: Option<i32>,
    ephemeral: Option<i32>,
) -> Result<(), Refusal> {
    for (value, member, most) in [
        (memory, "memorySize", FUNCTION_MEMORY.1.0.into()),
        (timeout, "timeout", FUNCTION_TIMEOUT.as_secs()),
        (ephemeral, "ephemeralStorage.size", FUNCTION_TMP.1.0.into()),
    ] {
        if let Some(value) = value.filter(|value| i64::from(*value) > most as i64) {
            return Err(Refusal::Constraint {
                value: value.to_string(),
                member,
                constraint: format!("Member must have value less than or equal to {most}"),
            });
        }
    }
    Ok(())
}

/// Environment variables fit, and none is Lambda's own.
pub(crate) fn environment(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let reserved: Vec<String> =
        variables.keys().filter(|key| RESERVED.contains(&key.as_str())).cloned().collect();
    if !reserved.is_empty() {
        return Err(Refusal::ReservedKeys(reserved));
    }
    let measured = serde_json::to_string(variables).expect("a map of strings is JSON");
    if measured.len() > ENVIRONMENT_BYTES { Err(Refusal::LargeEnvironment { measured }) } else { Ok(()) }
}

/// Log levels go with JSON only. A request that leaves the format out means text, whatever is stored.
pub(crate) fn logging(config: &LoggingConfig) -> Result<(), Refusal> {
    let levels = config.application_log_level.is_some() || config.system_log_level.is_some();
    let text = config.log_format != Some(LogFormat::Json);
    if levels && text { Err(Refusal::LevelWithText) } else { Ok(()) }
}

/// A network has subnets and security groups, or neither.
pub(crate) fn network(config: &VpcConfig) -> Result<(), Refusal> {
    let some = |ids: &Option<Vec<String>>| ids.as_ref().is_some_and(|ids| !ids.is_empty());
    if some(&config.subnet_ids) == some(&config.security_group_ids) {
        return Ok(());
    }
    Err(Refusal::HalfNetwork)
}

/// Whether code is to stay where it is in S3. Copying it is what happens to an archive in the request.
pub(crate) fn stays_in_s3(mode: Option<S3ObjectStorageMode>) -> bool {
    mode == Some(S3ObjectStorageMode::Reference)
}

/// Whether anything of an image's own settings is to be overridden; an empty object clears what was.
pub(crate) fn overrides_image(config: Option<&ImageConfig>) -> bool {
    config.is_some_and(|config| *config != ImageConfig::default())
}

/// What cannot be handled goes to a standard queue or topic of the function's region; the empty ARN is none.
pub(crate) fn dead_letters(config: &DeadLetterConfig, region: &Region) -> Result<(), Refusal> {
    let Some(arn) = config.target_arn.as_deref().filter(|arn| !arn.is_empty()) else { return Ok(()) };
    let mut parts = arn.splitn(6, ':').skip(2);
    let kind = match parts.next() {
        Some("sqs") => "SQS queue",
        Some("sns") => "SNS topic",
        _ => return Err(Refusal::DeadLetterService),
    };
    if parts.next() != Some(region.as_str()) {
        return Err(Refusal::DeadLetterRegion);
    }
    if arn.ends_with(".fifo") { Err(Refusal::DeadLetterFifo(kind)) } else { Ok(()) }
}

/// Snapshots are asked for where they exist: for some runtimes, and with the least `/tmp`.
///
/// Source: Lambda Developer Guide, "Improving startup performance with Lambda SnapStart".
pub(crate) fn snapshots(runtime: &str, ephemeral: Mib) -> Result<(), Refusal> {
    if !runtimes::snapshots(runtime) {
        return Err(Refusal::NoSnapshots(runtime.to_owned()));
    }
    if ephemeral > FUNCTION_TMP.0 { Err(Refusal::SnapshotOfLargeTmp) } else { Ok(()) }
}

/// Where the code of a request is, before anything is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sources {
    zip: bool,
    s3: bool,
    image: bool,
}

impl From<&FunctionCode> for Sources {
    fn from(code: &FunctionCode) -> Self {
        Self {
            zip: code.zip_file.is_some(),
            s3: code.s3_bucket.is_some() || code.s3_key.is_some() || code.s3_object_version.is_some(),
            image: code.image_uri.is_some(),
        }
    }
}

impl From<&UpdateFunctionCodeRequest> for Sources {
    fn from(request: &UpdateFunctionCodeRequest) -> Self {
        Self {
            zip: request.zip_file.is_some(),
            s3: request.s3_bucket.is_some()
                || request.s3_key.is_some()
                || request.s3_object_version.is_some(),
            image: request.image_uri.is_some(),
        }
    }
}

impl From<&LayerVersionContentInput> for Sources {
    fn from(content: &LayerVersionContentInput) -> Self {
        Self {
            zip: content.zip_file.is_some(),
            s3: content.s3_bucket.is_some()
                || content.s3_key.is_some()
                || content.s3_object_version.is_some(),
            image: false,
        }
    }
}

/// A new function's code is a zip archive in the request.
pub(crate) fn new_code(sources: Sources, package: Option<PackageType>) -> Result<(), Refusal> {
    if sources.image || package == Some(PackageType::Image) {
        return Err(Refusal::NotBuilt("functions from container images"));
    }
    inline_zip(sources)
}

/// An update's code is a zip archive in the request.
pub(crate) fn changed_code(sources: Sources) -> Result<(), Refusal> {
    if sources.image {
        return Err(Refusal::ImageForZip);
    }
    inline_zip(sources)
}

fn inline_zip(sources: Sources) -> Result<(), Refusal> {
    match (sources.zip, sources.s3) {
        (true, false) => Ok(()),
        (true, true) => Err(Refusal::TwoSources),
        (false, true) => Err(Refusal::NotBuilt("code in S3; send it as ZipFile")),
        (false, false) => Err(Refusal::NoCode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn refused(result: Result<(), Refusal>, words: &str) {
        assert_eq!(result.expect_err(words).to_string(), words);
    }

    #[test]
    fn names_end_at_64_characters() {
        assert_eq!(name(&"x".repeat(64)), Ok(()));
        let long = "x".repeat(65);
        refused(
            name(&long),
            &format!(
                "1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: Member \
                 must have length less than or equal to 64"
            ),
        );
    }

    #[test]
    fn sizes_end_below_the_models() {
        assert_eq!(sizes(Some(10_240), Some(900), Some(10_240)), Ok(()));
        assert_eq!(sizes(None, None, None), Ok(()));
        refused(
            sizes(None, Some(901), None),
            "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have \
             value less than or equal to 900",
        );
    }

    #[test]
    fn an_environment_is_measured_as_compact_json_in_utf8() {
        let fits = "é".repeat((4096 - r#"{"K":""}"#.len()) / 2);
        assert_eq!(environment(&variables(&[("K", &fits)])), Ok(()));
        let long = variables(&[("K", &format!("{fits}e"))]);
        refused(
            environment(&long),
            &format!(
                "Lambda was unable to configure your environment variables because the environment variables you \
                 have provided exceeded the 4KB limit. String measured: {{\"K\":\"{fits}e\"}}"
            ),
        );
    }

    #[test]
    fn reserved_keys_are_named() {
        refused(
            environment(&variables(&[("PATH", "x"), ("AWS_REGION", "x"), ("LAMBDA_TASK_ROOT", "x")])),
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used \
             in this request: AWS_REGION, LAMBDA_TASK_ROOT",
        );
    }

    #[test]
    fn levels_need_json_in_the_same_request() {
        let level = Some(wire::lambda::ApplicationLogLevel::Info);
        for (format, level, good) in [
            (None, None, true),
            (Some(LogFormat::Text), None, true),
            (Some(LogFormat::Json), level, true),
            (Some(LogFormat::Text), level, false),
            (None, level, false),
        ] {
            let config =
                LoggingConfig { log_format: format, application_log_level: level, ..Default::default() };
            assert_eq!(logging(&config).is_ok(), good, "{config:?}");
        }
    }

    #[test]
    fn a_network_is_whole_or_none() {
        let ids = |count: Option<usize>| count.map(|count| vec!["id".to_owned(); count]);
        for (subnets, groups, whole) in [
            (None, None, true),
            (Some(0), None, true),
            (Some(2), Some(1), true),
            (Some(1), None, false),
            (Some(0), Some(1), false),
        ] {
            let config = VpcConfig {
                subnet_ids: ids(subnets),
                security_group_ids: ids(groups),
                ..VpcConfig::default()
            };
            let expected = if whole { Ok(()) } else { Err(Refusal::HalfNetwork) };
            assert_eq!(network(&config), expected, "{config:?}");
        }
    }

    #[test]
    fn dead_letters_go_to_standard_queues_and_topics_of_the_region() {
        let region: Region = "us-east-1".parse().unwrap();
        let told = |arn: &str| {
            let config = DeadLetterConfig { target_arn: Some(arn.to_owned()) };
            dead_letters(&config, &region).map_err(|refusal| refusal.to_string())
        };
        assert_eq!(dead_letters(&DeadLetterConfig::default(), &region), Ok(()));
        for arn in ["", "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sns:us-east-1:000000000000:t"] {
            assert_eq!(told(arn), Ok(()), "{arn}");
        }
        for (arn, words) in [
            (
                "arn:aws:lambda:us-east-1:000000000000:function:f",
                "The service specified by the TargetArn is not supported for dead letter configuration.",
            ),
            (
                "arn:aws:sqs:eu-west-1:000000000000:q.fifo",
                "The resource specified by the TargetArn must be in the same region as the Lambda function it's \
                 associated with.",
            ),
            (
                "arn:aws:sqs:us-east-1:000000000000:q.fifo",
                "FIFO SQS queue is not supported for dead letter configuration",
            ),
            (
                "arn:aws:sns:us-east-1:000000000000:t.fifo",
                "FIFO SNS topic is not supported for dead letter configuration",
            ),
        ] {
            assert_eq!(told(arn), Err(format!("Invalid dead letter queue ARN: {words}")), "{arn}");
        }
    }

    #[test]
    fn code_comes_from_one_place() {
        let sources = |zip, s3, image| Sources { zip, s3, image };
        for (given, creating, updating) in [
            (sources(true, false, false), Ok(()), Ok(())),
            (sources(false, false, false), Err(Refusal::NoCode), Err(Refusal::NoCode)),
            (sources(true, true, false), Err(Refusal::TwoSources), Err(Refusal::TwoSources)),
            (
                sources(false, true, false),
                Err(Refusal::NotBuilt("code in S3; send it as ZipFile")),
                Err(Refusal::NotBuilt("code in S3; send it as ZipFile")),
            ),
            (
                sources(false, false, true),
                Err(Refusal::NotBuilt("functions from container images")),
                Err(Refusal::ImageForZip),
            ),
        ] {
            assert_eq!(new_code(given, None), creating, "{given:?}");
            assert_eq!(changed_code(given), updating, "{given:?}");
        }
    }

    #[test]
    fn runtimes_are_refused_in_words_of_their_own() {
        assert_eq!(runtime("python3.13"), Ok(()));
        assert_eq!(runtime("python2.7"), Err(Refusal::DeprecatedRuntime("python2.7".into())));
        let words = runtime("cobol85").expect_err("unknown").to_string();
        assert!(words.starts_with(
            "Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, "
        ));
        assert!(words.ends_with("] or be a valid ARN"), "{words}");
    }
}
