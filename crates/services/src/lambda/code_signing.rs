//! Code signing configurations, and what they mean for packages that are deployed.
//!
//! Samovar reads no signatures, so to it no package is signed: where a configuration enforces signatures, every
//! package is refused, and where it warns, every package is taken with a warning in the server's log.

use std::sync::Arc;

use base::arn::Scope;
use catalogue::code_signing::{CodeSigningChange, CodeSigningConfig, CodeSigningKey, Untrusted};
use catalogue::{CatalogueError, Function, FunctionKey, RootKey};
use tokio::sync::MutexGuard;
use wire::lambda as api;

use super::checks::code_signing::CodeSigningRefusal;
use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use super::{Lambda, tags};
use crate::Context;

/// Most entries on one page. Source: the other lists of functions; no longer page was recorded.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn create_code_signing_config(
        &self,
        context: &Context,
        input: api::CreateCodeSigningConfigRequest,
    ) -> Result<api::CreateCodeSigningConfigResponse, Failure> {
        let tags = tags::given(input.tags)?;
        let change = change(input.description, Some(input.allowed_publishers), input.code_signing_policies);
        let key = CodeSigningKey::fresh(context.scope.clone(), &self.parts.dice);
        let make = |_: Option<&CodeSigningConfig>, step: catalogue::rules::Step| {
            let new = CodeSigningConfig::new(key.clone(), change.clone(), tags.clone(), step.now);
            Ok::<_, CatalogueError>(new)
        };
        let made = self.parts.catalogue.upsert(&key, make).await?;
        Ok(api::CreateCodeSigningConfigResponse { code_signing_config: Some(shown(&made)) })
    }

    pub(super) async fn get_code_signing_config(
        &self,
        context: &Context,
        input: api::GetCodeSigningConfigRequest,
    ) -> Result<api::GetCodeSigningConfigResponse, Failure> {
        let config = self.existing_config(context, &input.code_signing_config_arn).await?;
        Ok(api::GetCodeSigningConfigResponse { code_signing_config: Some(shown(&config)) })
    }

    pub(super) async fn update_code_signing_config(
        &self,
        context: &Context,
        input: api::UpdateCodeSigningConfigRequest,
    ) -> Result<api::UpdateCodeSigningConfigResponse, Failure> {
        let config = self.existing_config(context, &input.code_signing_config_arn).await?;
        let change = change(input.description, input.allowed_publishers, input.code_signing_policies);
        let changed = |config: &CodeSigningConfig, step: catalogue::rules::Step| {
            Ok::<_, CatalogueError>(config.changed(change.clone(), step.now))
        };
        let changed = match self.parts.catalogue.change(&config.key, changed).await {
            Err(CatalogueError::NotFound { arn }) => return Err(CodeSigningRefusal::Unknown(arn).into()),
            other => other?,
        };
        Ok(api::UpdateCodeSigningConfigResponse { code_signing_config: Some(shown(&changed)) })
    }

    pub(super) async fn delete_code_signing_config(
        &self,
        context: &Context,
        input: api::DeleteCodeSigningConfigRequest,
    ) -> Result<api::DeleteCodeSigningConfigResponse, Failure> {
        let config = self.existing_config(context, &input.code_signing_config_arn).await?;
        let arn = config.key.to_string();
        let _alone = self.joint.lock().await;
        if !self.parts.catalogue.everywhere(|function| uses(function, &arn)).is_empty() {
            return Err(CodeSigningRefusal::InUse(arn).into());
        }
        let remove = self.parts.catalogue.remove(&config.key, |_| Ok::<_, CatalogueError>(()));
        match remove.await {
            Err(CatalogueError::NotFound { arn }) => Err(CodeSigningRefusal::Unknown(arn).into()),
            other => Ok(other.map(|()| api::DeleteCodeSigningConfigResponse {})?),
        }
    }

    pub(super) async fn list_code_signing_configs(
        &self,
        context: &Context,
        input: api::ListCodeSigningConfigsRequest,
    ) -> Result<api::ListCodeSigningConfigsResponse, Failure> {
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let every = |_: &CodeSigningConfig| true;
        let found = self.parts.catalogue.list(&context.scope, page.after.as_deref(), page.look_for(), every);
        let (configs, next_marker) = page.cut(found, |last| last.key.id.to_string());
        let configs = configs.iter().map(|config| shown(config)).collect();
        Ok(api::ListCodeSigningConfigsResponse { next_marker, code_signing_configs: Some(configs) })
    }

    pub(super) async fn list_functions_by_code_signing_config(
        &self,
        context: &Context,
        input: api::ListFunctionsByCodeSigningConfigRequest,
    ) -> Result<api::ListFunctionsByCodeSigningConfigResponse, Failure> {
        let arn = self.existing_config(context, &input.code_signing_config_arn).await?.key.to_string();
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let of_it = |function: &Function| uses(function, &arn);
        let found = self.parts.catalogue.list(&context.scope, page.after.as_deref(), page.look_for(), of_it);
        let (functions, next_marker) = page.cut(found, |last| last.key.name.to_string());
        let arns = functions.iter().map(|function| function.key.to_string()).collect();
        Ok(api::ListFunctionsByCodeSigningConfigResponse { next_marker, function_arns: Some(arns) })
    }

    pub(super) async fn put_function_code_signing_config(
        &self,
        context: &Context,
        input: api::PutFunctionCodeSigningConfigRequest,
    ) -> Result<api::PutFunctionCodeSigningConfigResponse, Failure> {
        let action = "lambda:PutFunctionCodeSigningConfig";
        let target = self.signed_target(context, &input.function_name, action)?;
        let arn = input.code_signing_config_arn;
        // A missing configuration is told before a missing function. Source: recorded answers.
        let _held = self.hold_config(&target.function.scope, &arn).await?;
        let function = self.existing(&target, target.unknown()).await?;
        self.set_config(&function, Some(&arn)).await?;
        Ok(api::PutFunctionCodeSigningConfigResponse {
            code_signing_config_arn: Some(arn),
            function_name: Some(function.key.name.to_string()),
        })
    }

    pub(super) async fn get_function_code_signing_config(
        &self,
        context: &Context,
        input: api::GetFunctionCodeSigningConfigRequest,
    ) -> Result<api::GetFunctionCodeSigningConfigResponse, Failure> {
        let action = "lambda:GetFunctionCodeSigningConfig";
        let function = self.signed_function(context, &input.function_name, action).await?;
        // Without a configuration the answer is empty. Source: recorded answers.
        Ok(match &function.code_signing {
            Some(arn) => api::GetFunctionCodeSigningConfigResponse {
                code_signing_config_arn: Some(arn.to_string()),
                function_name: Some(function.key.name.to_string()),
            },
            None => api::GetFunctionCodeSigningConfigResponse::default(),
        })
    }

    pub(super) async fn delete_function_code_signing_config(
        &self,
        context: &Context,
        input: api::DeleteFunctionCodeSigningConfigRequest,
    ) -> Result<(), Failure> {
        let action = "lambda:DeleteFunctionCodeSigningConfig";
        let function = self.signed_function(context, &input.function_name, action).await?;
        self.set_config(&function, None).await
    }

    /// Refuses to deploy a package for a function whose configuration, if it has one, enforces signatures.
    pub(super) async fn may_deploy(
        &self,
        function: &FunctionKey,
        config: Option<&str>,
    ) -> Result<(), Failure> {
        let Some(arn) = config else {
            return Ok(());
        };
        match self.named_config(&function.scope, arn).await?.untrusted {
            Untrusted::Enforce => Err(CodeSigningRefusal::Unsigned(function.name.to_string()).into()),
            Untrusted::Warn => {
                tracing::warn!(function = %function.name, config = arn, "a package is deployed that no allowed publisher signed");
                Ok(())
            }
        }
    }

    /// Keeps a configuration from being deleted until a function has it.
    pub(super) async fn hold_config(&self, scope: &Scope, arn: &str) -> Result<MutexGuard<'_, ()>, Failure> {
        let alone = self.joint.lock().await;
        self.named_config(scope, arn).await?;
        Ok(alone)
    }

    /// The function of a request, which is about the whole of it.
    async fn signed_function(
        &self,
        context: &Context,
        name: &str,
        action: &'static str,
    ) -> Result<Arc<Function>, Failure> {
        let target = self.signed_target(context, name, action)?;
        self.existing(&target, target.unknown()).await
    }

    /// What a request names, which may not be there.
    fn signed_target(&self, context: &Context, name: &str, action: &'static str) -> Result<Target, Failure> {
        let target = self.whole_function(context, name, action)?;
        target.unqualified()?;
        Ok(target)
    }

    async fn set_config(&self, function: &Function, config: Option<&str>) -> Result<(), Failure> {
        let set = |function: &Function, _| {
            let mut changed = function.clone();
            changed.code_signing = config.map(Arc::from);
            Ok::<_, CatalogueError>(changed)
        };
        Ok(self.parts.catalogue.change(&function.key, set).await.map(drop)?)
    }

    /// The configuration that a request is about.
    async fn existing_config(&self, context: &Context, arn: &str) -> Result<Arc<CodeSigningConfig>, Failure> {
        let ours = |key: &CodeSigningKey| *key.scope() == context.scope;
        let key = CodeSigningKey::of_arn(arn).filter(ours);
        let unknown = || CodeSigningRefusal::Unknown(arn.to_owned());
        match self.parts.catalogue.get(&key.ok_or_else(unknown)?).await {
            Err(CatalogueError::NotFound { .. }) => Err(unknown().into()),
            other => Ok(other?),
        }
    }

    /// The configuration that a function of `scope` is to have or has. Another account's is none: who has it would
    /// keep its owner from deleting it, and learn that it is there.
    async fn named_config(&self, scope: &Scope, arn: &str) -> Result<Arc<CodeSigningConfig>, Failure> {
        let unknown = || CodeSigningRefusal::Gone(arn.to_owned());
        let key = CodeSigningKey::of_arn(arn).filter(|key| key.scope() == scope);
        match self.parts.catalogue.get(&key.ok_or_else(unknown)?).await {
            Err(CatalogueError::NotFound { .. }) => Err(unknown().into()),
            other => Ok(other?),
        }
    }
}

fn uses(function: &Function, arn: &str) -> bool {
    function.code_signing.as_deref() == Some(arn)
}

fn change(
    description: Option<String>,
    publishers: Option<api::AllowedPublishers>,
    policies: Option<api::CodeSigningPolicies>,
) -> CodeSigningChange {
    let texts = |arns: Vec<String>| arns.into_iter().map(Into::into).collect();
    let untrusted = |policy: api::CodeSigningPolicy| match policy {
        api::CodeSigningPolicy::Warn => Untrusted::Warn,
        api::CodeSigningPolicy::Enforce => Untrusted::Enforce,
    };
    CodeSigningChange {
        description: description.map(Into::into),
        publishers: publishers.map(|publishers| texts(publishers.signing_profile_version_arns)),
        untrusted: policies.and_then(|policies| policies.untrusted_artifact_on_deployment).map(untrusted),
    }
}

fn shown(config: &CodeSigningConfig) -> api::CodeSigningConfig {
    let publishers = config.publishers.iter().map(ToString::to_string).collect();
    let untrusted = match config.untrusted {
        Untrusted::Warn => api::CodeSigningPolicy::Warn,
        Untrusted::Enforce => api::CodeSigningPolicy::Enforce,
    };
    api::CodeSigningConfig {
        code_signing_config_id: Some(config.key.id.to_string()),
        code_signing_config_arn: Some(config.key.to_string()),
        description: Some(config.description.to_string()),
        allowed_publishers: Some(api::AllowedPublishers { signing_profile_version_arns: publishers }),
        code_signing_policies: Some(api::CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(untrusted),
        }),
        last_modified: Some(config.last_modified.last_modified()),
    }
}
