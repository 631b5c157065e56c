//! PutFunctionScalingConfig and GetFunctionScalingConfig: for functions on managed instances, which Samovar has none of.

use wire::lambda as api;

use super::Lambda;
use super::errors::{Failure, no_capacity_provider};
use super::names::Target;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_scaling_config(
        &self,
        context: &Context,
        input: api::PutFunctionScalingConfigRequest,
    ) -> Result<api::PutFunctionScalingConfigResponse, Failure> {
        let action = "lambda:PutFunctionScalingConfig";
        let target = self.target(context, &input.function_name, Some(&input.qualifier), action)?;
        Err(self.unmanaged(&target).await)
    }

    pub(super) async fn get_function_scaling_config(
        &self,
        context: &Context,
        input: api::GetFunctionScalingConfigRequest,
    ) -> Result<api::GetFunctionScalingConfigResponse, Failure> {
        let action = "lambda:GetFunctionScalingConfig";
        let target = self.target(context, &input.function_name, Some(&input.qualifier), action)?;
        Err(self.unmanaged(&target).await)
    }

    /// That the function has no environments of its own instances to scale, if there is such a version.
    async fn unmanaged(&self, target: &Target) -> Failure {
        let function = match self.existing(target, target.unknown()).await {
            Ok(function) => function,
            Err(missing) => return missing,
        };
        match target.qualifier() {
            Some(qualifier) if !function.has(&qualifier) => target.unknown().into(),
            // `$LATEST.PUBLISHED` is what managed instances run of a function, and is no qualifier of others.
            _ => Failure(no_capacity_provider()),
        }
    }
}
