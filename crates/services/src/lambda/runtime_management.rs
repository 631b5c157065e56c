//! PutRuntimeManagementConfig and GetRuntimeManagementConfig.

use std::sync::Arc;

use base::arn::Qualifier;
use catalogue::rules::runtime_management::manage_runtime;
use catalogue::{Function, RuntimeManagement, Version};
use wire::lambda as api;

use super::Lambda;
use super::checks::runtime_management::RuntimeRefusal;
use super::errors::Failure;
use super::names::Target;
use super::render::runtime_version;
use crate::Context;

impl Lambda {
    pub(super) async fn put_runtime_management_config(
        &self,
        context: &Context,
        input: api::PutRuntimeManagementConfigRequest,
    ) -> Result<api::PutRuntimeManagementConfigResponse, Failure> {
        let action = "lambda:PutRuntimeManagementConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let (function, version) = self.managed(&target).await?;
        let management = match input.update_runtime_on {
            api::UpdateRuntimeOn::Auto => RuntimeManagement::Auto,
            api::UpdateRuntimeOn::FunctionUpdate => RuntimeManagement::FunctionUpdate,
            api::UpdateRuntimeOn::Manual => {
                RuntimeManagement::Manual(pinned(&version, input.runtime_version_arn)?)
            }
        };
        let manage = |function: &Function, step| {
            manage_runtime(function, &version.qualifier, management.clone(), step)
        };
        let changed = self.parts.catalogue.change(&function.key, manage).await?;
        if version.qualifier == Qualifier::Latest {
            self.activate(Arc::clone(&changed.latest));
        }
        let (update_runtime_on, runtime_version_arn) = shown(&management);
        Ok(api::PutRuntimeManagementConfigResponse {
            update_runtime_on,
            function_arn: Some(target.to_string()),
            runtime_version_arn,
        })
    }

    pub(super) async fn get_runtime_management_config(
        &self,
        context: &Context,
        input: api::GetRuntimeManagementConfigRequest,
    ) -> Result<api::GetRuntimeManagementConfigResponse, Failure> {
        let action = "lambda:GetRuntimeManagementConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let (function, version) = self.managed(&target).await?;
        let management = function.runtime_management.get(&version.qualifier);
        let (update_runtime_on, runtime_version_arn) = management.map_or(
            // Nothing is said of most.
            (Some(api::UpdateRuntimeOn::Auto), None),
            |management| shown(management),
        );
        Ok(api::GetRuntimeManagementConfigResponse {
            update_runtime_on,
            function_arn: Some(target.to_string()),
            runtime_version_arn,
        })
    }

    /// The version that is managed: aliases have no runtime of their own.
    async fn managed(&self, target: &Target) -> Result<(Arc<Function>, Arc<Version>), Failure> {
        let function = self.existing(target, target.unknown()).await?;
        let version = match target.qualifier() {
            None | Some(Qualifier::Alias(_)) => None,
            Some(qualifier) => function.shown(&qualifier).cloned(),
        };
        Ok((function, version.ok_or_else(|| target.unknown())?))
    }
}

/// Refuses another runtime while the version of the one there is stays set by hand.
pub(super) fn may_have_runtime(function: &Function, runtime: &str) -> Result<(), RuntimeRefusal> {
    let management = function.runtime_management.get(&Qualifier::Latest).map(|management| &**management);
    match (management, function.latest.configuration.runtime.as_deref()) {
        (Some(RuntimeManagement::Manual(version)), Some(current)) if current != runtime => {
            Err(RuntimeRefusal::Pinned(Arc::clone(version)))
        }
        _ => Ok(()),
    }
}

/// The runtime version that is asked for, which can only be the one there is.
fn pinned(version: &Version, asked: Option<String>) -> Result<Arc<str>, RuntimeRefusal> {
    let here = runtime_version(version).ok_or(RuntimeRefusal::NoRuntime)?;
    match asked {
        None => Err(RuntimeRefusal::NoVersion),
        Some(asked) if asked == here => Ok(asked.into()),
        Some(asked) => Err(RuntimeRefusal::OtherVersion { asked, here }),
    }
}

fn shown(management: &RuntimeManagement) -> (Option<api::UpdateRuntimeOn>, Option<String>) {
    match management {
        RuntimeManagement::Auto => (Some(api::UpdateRuntimeOn::Auto), None),
        RuntimeManagement::FunctionUpdate => (Some(api::UpdateRuntimeOn::FunctionUpdate), None),
        RuntimeManagement::Manual(arn) => (Some(api::UpdateRuntimeOn::Manual), Some(arn.to_string())),
    }
}
