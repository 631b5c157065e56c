//! UpdateFunctionCode, UpdateFunctionConfiguration and DeleteFunction.

use std::sync::Arc;

use base::arn::Qualifier;
use base::id::RevisionId;
use catalogue::{CatalogueError, CodeUpdate, ConfigurationUpdate, Function, FunctionKey, SnapStart};
use wire::lambda as api;

use super::checks::{Refusal, rules};
use super::create::{given, refuse_first, seconds};
use super::errors::Failure;
use super::names::Target;
use super::runtime_management::may_have_runtime;
use super::{Lambda, settings};
use crate::Context;

impl Lambda {
    pub(super) async fn update_function_code(
        &self,
        context: &Context,
        mut input: api::UpdateFunctionCodeRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:UpdateFunctionCode")?;
        let function = self.changeable(&target).await?;
        rules::changed_code((&input).into())?;
        code_built(&input)?;
        let expected = revision(input.revision_id.as_deref())?;
        catalogue::rules::may_change(&function, expected)?;
        let archive = input.zip_file.take().unwrap_or_default();
        let code = self.take_in(archive).await?;
        self.may_deploy(&function.key, function.code_signing.as_deref()).await?;
        catalogue::rules::layers::fit(&code, &function.latest.configuration.layers)?;
        if input.dry_run == Some(true) {
            return Ok(self.shown(&function.latest, &function.latest.arn));
        }
        let architecture = input.architectures.as_deref().and_then(settings::architecture);
        let publish = input.publish == Some(true);
        let update = CodeUpdate { expected, code, architecture, publish };
        let function = self.parts.catalogue.update_code(&function.key, update).await?;
        self.activate(Arc::clone(&function.latest));
        Ok(match function.versions.values().next_back().filter(|_| publish) {
            Some(version) => self.shown(version, &version.qualified_arn()),
            None => self.shown(&function.latest, &function.latest.arn),
        })
    }

    pub(super) async fn update_function_configuration(
        &self,
        context: &Context,
        input: api::UpdateFunctionConfigurationRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        let target =
            self.whole_function(context, &input.function_name, "lambda:UpdateFunctionConfiguration")?;
        let function = self.changeable(&target).await?;
        check(&input, &function)?;
        if input.layers.as_ref().is_some_and(|layers| !layers.is_empty()) {
            self.may_deploy(&function.key, function.code_signing.as_deref()).await?;
        }
        if let Some(runtime) = &input.runtime {
            may_have_runtime(&function, runtime)?;
        }
        let expected = revision(input.revision_id.as_deref())?;
        let layers = match &input.layers {
            Some(arns) => Some(self.layer_uses(context, arns).await?),
            None => None,
        };
        let update = ConfigurationUpdate { expected, layers, ..self.change(&function.key, input) };
        let version = self.parts.catalogue.update_configuration(&function.key, update).await?;
        let shown = self.shown(&version, &version.arn);
        self.activate(version);
        Ok(shown)
    }

    pub(super) async fn delete_function(
        &self,
        context: &Context,
        input: api::DeleteFunctionRequest,
    ) -> Result<api::DeleteFunctionResponse, Failure> {
        let target =
            self.target(context, &input.function_name, input.qualifier.as_deref(), "lambda:DeleteFunction")?;
        match &target.qualifier {
            None => self.remove(&target).await?,
            Some(_) => match target.qualifier() {
                Some(Qualifier::Latest) => return Err(Refusal::DeleteLatest.into()),
                Some(Qualifier::Alias(_)) => return Err(Refusal::DeleteAlias.into()),
                Some(Qualifier::Version(number)) => self.remove_version(&target, number).await?,
                // What no version can be called is as gone as a version that is not there. Source: recorded answers.
                None => drop(self.existing(&target, target.unknown_function()).await?),
            },
        }
        Ok(api::DeleteFunctionResponse { status_code: Some(204) })
    }

    async fn remove(&self, target: &Target) -> Result<(), Failure> {
        let function = self.existing(target, target.unknown_function()).await?;
        match self.parts.catalogue.delete(&function.key).await {
            Err(CatalogueError::NotFound { .. }) => Err(target.unknown_function().into()),
            other => Ok(other?),
        }
    }

    /// A version that does not exist is deleted without complaint, if its function exists.
    async fn remove_version(&self, target: &Target, number: u64) -> Result<(), Failure> {
        let function = self.existing(target, target.unknown_function()).await?;
        let delete = |function: &Function, _| catalogue::rules::versions::delete(function, number);
        self.parts.catalogue.change(&function.key, delete).await?;
        Ok(())
    }

    /// The function of an update, which changes `$LATEST` only.
    async fn changeable(&self, target: &Target) -> Result<Arc<Function>, Failure> {
        target.latest()?;
        self.existing(target, target.unknown()).await
    }

    /// What a request that was checked changes.
    fn change(
        &self,
        key: &FunctionKey,
        input: api::UpdateFunctionConfigurationRequest,
    ) -> ConfigurationUpdate {
        let seal = |environment: api::Environment| {
            self.parts.vault.seal_environment(key, &environment.variables.unwrap_or_default())
        };
        let dead_letter = input.dead_letter_config.and_then(|config| config.target_arn);
        ConfigurationUpdate {
            expected: None,
            runtime: input.runtime.map(Into::into),
            handler: input.handler.map(Into::into),
            role: input.role.map(Into::into),
            description: input.description.map(Into::into),
            timeout: input.timeout.map(seconds),
            memory: input.memory_size.map(settings::mib),
            ephemeral: input.ephemeral_storage.map(|storage| settings::mib(storage.size)),
            environment: input.environment.map(seal),
            kms_key: input.kms_key_arn.as_deref().map(settings::clearable),
            layers: None,
            tracing: input
                .tracing_config
                .filter(|config| config.mode.is_some())
                .as_ref()
                .map(settings::tracing),
            logging: input.logging_config.as_ref().map(|config| settings::logging(config, key.name.as_str())),
            dead_letter: dead_letter.as_deref().map(settings::clearable),
            vpc: input.vpc_config.as_ref().map(|config| settings::vpc(config, &key.scope)),
            file_systems: None,
            snap_start: input
                .snap_start
                .filter(|config| config.apply_on.is_some())
                .as_ref()
                .map(settings::snap_start),
            image: None,
        }
    }
}

fn check(input: &api::UpdateFunctionConfigurationRequest, function: &Function) -> Result<(), Refusal> {
    let files = input.file_system_configs.as_ref().is_some_and(|configs| !configs.is_empty());
    refuse_first(&[
        (files, "FileSystemConfigs"),
        (rules::overrides_image(input.image_config.as_ref()), "ImageConfig"),
        (input.capacity_provider_config.is_some(), "CapacityProviderConfig"),
        (input.durable_config.is_some(), "DurableConfig"),
        (input.runtime_config.is_some(), "RuntimeConfig"),
        (input.accelerator_config.is_some(), "AcceleratorConfig"),
    ])?;
    if let Some(runtime) = &input.runtime {
        rules::runtime(runtime)?;
    }
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
        rules::dead_letters(config, &function.key.scope.region)?;
    }
    if let Some(config) = &input.logging_config {
        rules::logging(config)?;
    }
    let kept = &function.latest.configuration;
    let applies = input.snap_start.as_ref().filter(|config| config.apply_on.is_some());
    if applies.map_or(kept.snap_start, settings::snap_start) == SnapStart::PublishedVersions {
        let runtime = input.runtime.as_deref().or(kept.runtime.as_deref());
        rules::snapshots(runtime.unwrap_or_default(), ephemeral.map_or(kept.ephemeral, settings::mib))?;
    }
    Ok(())
}

fn code_built(input: &api::UpdateFunctionCodeRequest) -> Result<(), Refusal> {
    refuse_first(&[
        (input.publish_to.is_some(), "PublishTo"),
        (given(&input.source_kms_key_arn), "SourceKMSKeyArn"),
        (rules::stays_in_s3(input.s3_object_storage_mode), "S3ObjectStorageMode REFERENCE"),
    ])
}

/// The revision that the caller last saw. What is none is not the latest either.
pub(super) fn revision(text: Option<&str>) -> Result<Option<RevisionId>, CatalogueError> {
    let read = |text: &str| text.parse().map(RevisionId).map_err(|_| CatalogueError::RevisionMismatch);
    text.map(read).transpose()
}
