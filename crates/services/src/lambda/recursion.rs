//! PutFunctionRecursionConfig and GetFunctionRecursionConfig.

use catalogue::{CatalogueError, Function, RecursiveLoop};
use wire::lambda as api;

use super::Lambda;
use super::errors::Failure;
use crate::Context;

impl Lambda {
    pub(super) async fn put_function_recursion_config(
        &self,
        context: &Context,
        input: api::PutFunctionRecursionConfigRequest,
    ) -> Result<api::PutFunctionRecursionConfigResponse, Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:PutFunctionRecursionConfig")?;
        let function = self.existing(&target, target.unknown()).await?;
        let recursion = match input.recursive_loop {
            api::RecursiveLoop::Allow => RecursiveLoop::Allow,
            api::RecursiveLoop::Terminate => RecursiveLoop::Terminate,
        };
        let set = |function: &Function, _| {
            let mut changed = function.clone();
            changed.recursion = recursion;
            Ok::<_, CatalogueError>(changed)
        };
        let changed = self.parts.catalogue.change(&function.key, set).await?;
        Ok(api::PutFunctionRecursionConfigResponse { recursive_loop: Some(shown(changed.recursion)) })
    }

    pub(super) async fn get_function_recursion_config(
        &self,
        context: &Context,
        input: api::GetFunctionRecursionConfigRequest,
    ) -> Result<api::GetFunctionRecursionConfigResponse, Failure> {
        let target = self.target(context, &input.function_name, None, "lambda:GetFunctionRecursionConfig")?;
        let function = self.existing(&target, target.unknown()).await?;
        Ok(api::GetFunctionRecursionConfigResponse { recursive_loop: Some(shown(function.recursion)) })
    }
}

fn shown(recursion: RecursiveLoop) -> api::RecursiveLoop {
    match recursion {
        RecursiveLoop::Allow => api::RecursiveLoop::Allow,
        RecursiveLoop::Terminate => api::RecursiveLoop::Terminate,
    }
}
