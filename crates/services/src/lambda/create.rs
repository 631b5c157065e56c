//! CreateFunction.

use std::sync::Arc;
use std::time::Duration;

use base::limits::{FUNCTION_TMP, ZIP_BYTES};
use bytes::Bytes;
use catalogue::{CatalogueError, CodeRef, Configuration, FunctionKey, NewFunction};
use wire::lambda as api;

use super::checks::{Refusal, rules};
use super::errors::{Failure, large_archive};
use super::{Lambda, settings, tags};
use crate::Context;

impl Lambda {
    pub(super) async fn create_function(
        &self,
        context: &Context,
        mut input: api::CreateFunctionRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:CreateFunction")?;
        let key = target.key();
        check(&input, &key)?;
        let tags = tags::given(input.tags.take())?;
        if self.parts.catalogue.peek(&key).is_some() {
            return Err(CatalogueError::AlreadyExists { name: key.name }.into());
        }
        let layers = self.layer_uses(context, input.layers.as_deref().unwrap_or_default()).await?;
        let archive = input.code.zip_file.take().unwrap_or_default();
        let publish = input.publish == Some(true);
        let code_signing = input.code_signing_config_arn.take();
        self.may_deploy(&key, code_signing.as_deref()).await?;
        let configuration = Configuration { layers, ..self.configuration(&key, input)? };
        let code = self.take_in(archive).await?;
        catalogue::rules::layers::fit(&code, &configuration.layers)?;
        let _held = match &code_signing {
            Some(arn) => Some(self.hold_config(&key.scope, arn).await?),
            None => None,
        };
        let code_signing = code_signing.map(Into::into);
        let new = NewFunction { key, configuration, code, code_signing, tags, publish };
        let function = self.parts.catalogue.create(new).await?;
        let latest = &function.latest;
        let mut shown = self.shown(latest, &latest.arn);
        if let Some(number) = function.versions.keys().next_back() {
            // The number is the version's, the ARN the function's. Source: recorded answers.
            shown.version = Some(number.to_string());
        }
        self.activate(Arc::clone(latest));
        Ok(shown)
    }

    /// Takes an archive in. One that no function comes to hold goes with the next sweeps.
    pub(super) async fn take_in(&self, archive: Bytes) -> Result<CodeRef, Failure> {
        if archive.len() > ZIP_BYTES {
            return Err(Failure(large_archive()));
        }
        let package = self.parts.artifacts.ingest(archive).await?;
        Ok(CodeRef { digest: package.digest, size: package.size, unzipped: package.contents.bytes })
    }

    /// What the customer chose, with defaults for the rest. The request was checked.
    fn configuration(
        &self,
        key: &FunctionKey,
        input: api::CreateFunctionRequest,
    ) -> Result<Configuration, Refusal> {
        let (Some(runtime), Some(handler)) = (&input.runtime, &input.handler) else {
            return Err(Refusal::RuntimeAndHandler);
        };
        let default = Configuration::zip(key.name.as_str(), runtime, handler, &input.role);
        let seal = |environment: api::Environment| {
            self.parts.vault.seal_environment(key, &environment.variables.unwrap_or_default())
        };
        let size = |megabytes: Option<i32>, default| megabytes.map_or(default, settings::mib);
        Ok(Configuration {
            description: input.description.map_or(default.description, Into::into),
            timeout: input.timeout.map_or(default.timeout, seconds),
            memory: size(input.memory_size, default.memory),
            ephemeral: size(input.ephemeral_storage.map(|storage| storage.size), default.ephemeral),
            environment: input.environment.map(seal),
            kms_key: input.kms_key_arn.as_deref().and_then(settings::clearable),
            architecture: input
                .architectures
                .as_deref()
                .and_then(settings::architecture)
                .unwrap_or(default.architecture),
            tracing: input.tracing_config.as_ref().map_or(default.tracing, settings::tracing),
            logging: input
                .logging_config
                .map_or(default.logging, |config| settings::logging(&config, key.name.as_str())),
            dead_letter: input
                .dead_letter_config
                .and_then(|config| config.target_arn)
                .as_deref()
                .and_then(settings::clearable),
            vpc: input.vpc_config.as_ref().map(|config| settings::vpc(config, &key.scope)),
            snap_start: input.snap_start.as_ref().map_or(default.snap_start, settings::snap_start),
            ..default
        })
    }
}

/// Seconds that the front end has made sure are positive.
pub(super) fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Everything that can be said without looking into the archive.
fn check(input: &api::CreateFunctionRequest, key: &FunctionKey) -> Result<(), Refusal> {
    built(input)?;
    rules::name(key.name.as_str())?;
    rules::new_code((&input.code).into(), input.package_type)?;
    let (Some(runtime), Some(_)) = (&input.runtime, &input.handler) else {
        return Err(Refusal::RuntimeAndHandler);
    };
    rules::runtime(runtime)?;
    let ephemeral = input.ephemeral_storage.as_ref().map(|storage| storage.size);
    rules::sizes(input.memory_size, input.timeout, ephemeral)?;
    if let Some(variables) = input.environment.as_ref().and_then(|environment| environment.variables.as_ref())
    {
        rules::environment(variables)?;
    }
    if let Some(config) = &input.vpc_config {
        rules::network(config)?;
    }
    if let Some(config) = &input.dead_letter_config {
        rules::dead_letters(config, &key.scope.region)?;
    }
    if let Some(config) = &input.logging_config {
        rules::logging(config)?;
    }
    if input.snap_start.as_ref().and_then(|config| config.apply_on)
        == Some(api::SnapStartApplyOn::PublishedVersions)
    {
        rules::snapshots(runtime, ephemeral.map_or(FUNCTION_TMP.0, settings::mib))?;
    }
    Ok(())
}

/// What Lambda has and Samovar has not is refused, and not silently left out.
fn built(input: &api::CreateFunctionRequest) -> Result<(), Refusal> {
    let files = input.file_system_configs.as_ref().is_some_and(|configs| !configs.is_empty());
    refuse_first(&[
        (input.publish_to.is_some(), "PublishTo"),
        (files, "FileSystemConfigs"),
        (rules::overrides_image(input.image_config.as_ref()), "ImageConfig"),
        (input.tenancy_config.is_some(), "TenancyConfig"),
        (input.capacity_provider_config.is_some(), "CapacityProviderConfig"),
        (input.durable_config.is_some(), "DurableConfig"),
        (input.runtime_config.is_some(), "RuntimeConfig"),
        (input.accelerator_config.is_some(), "AcceleratorConfig"),
        (given(&input.code.source_kms_key_arn), "SourceKMSKeyArn"),
        (rules::stays_in_s3(input.code.s3_object_storage_mode), "S3ObjectStorageMode REFERENCE"),
    ])
}

/// Whether an ARN is given; the empty text is none.
pub(super) fn given(arn: &Option<String>) -> bool {
    arn.as_ref().is_some_and(|arn| !arn.is_empty())
}

/// Refuses the first feature that is asked for.
pub(super) fn refuse_first(features: &[(bool, &'static str)]) -> Result<(), Refusal> {
    match features.iter().find(|(asked, _)| *asked) {
        Some((_, feature)) => Err(Refusal::NotBuilt(feature)),
        None => Ok(()),
    }
}
