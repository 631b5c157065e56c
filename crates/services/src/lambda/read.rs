//! GetFunction, GetFunctionConfiguration and ListFunctions.

use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier};
use catalogue::{CatalogueError, Function, Version};
use wire::lambda as api;

use super::errors::Failure;
use super::names::{NameError, Target};
use super::pages::Page;
use super::{Lambda, links, render};
use crate::Context;

/// Most functions on one page, whatever is asked for. Source: recorded lists.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn get_function(
        &self,
        context: &Context,
        input: api::GetFunctionRequest,
    ) -> Result<api::GetFunctionResponse, Failure> {
        let qualifier = input.qualifier.as_deref();
        let target = self.target(context, &input.function_name, qualifier, "lambda:GetFunction")?;
        let (function, version, arn) = self.found(&target).await?;
        let location =
            links::location(&self.parts.vault, &context.host, &version.code.digest, self.parts.clock.now());
        Ok(api::GetFunctionResponse {
            configuration: Some(self.shown(&version, &arn)),
            code: Some(api::FunctionCodeLocation {
                repository_type: Some("S3".to_owned()),
                location: Some(location),
                ..api::FunctionCodeLocation::default()
            }),
            tags: if arn.qualifier.is_none() { render::tags(&function.tags) } else { None },
            ..api::GetFunctionResponse::default()
        })
    }

    pub(super) async fn get_function_configuration(
        &self,
        context: &Context,
        input: api::GetFunctionConfigurationRequest,
    ) -> Result<api::FunctionConfiguration, Failure> {
        let qualifier = input.qualifier.as_deref();
        let target =
            self.target(context, &input.function_name, qualifier, "lambda:GetFunctionConfiguration")?;
        let (_, version, arn) = self.found(&target).await?;
        Ok(self.shown(&version, &arn))
    }

    pub(super) async fn list_functions(
        &self,
        context: &Context,
        input: api::ListFunctionsRequest,
    ) -> Result<api::ListFunctionsResponse, Failure> {
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        // Only functions replicated to other regions have a master region, and there are none.
        let replicas = input.master_region.is_some_and(|region| region != "ALL");
        let functions: Vec<Arc<Function>> = match replicas {
            true => Vec::new(),
            false => {
                self.parts.catalogue.list(&context.scope, page.after.as_deref(), page.look_for(), |_| true)
            }
        };
        let (functions, next_marker) = page.cut(functions, |last| last.key.name.to_string());
        let qualified = input.function_version == Some(api::FunctionVersion::All);
        let listed = |function: &Arc<Function>| {
            let version = &function.latest;
            let arn = if qualified { version.qualified_arn() } else { version.arn.clone() };
            render::listed(version, arn.to_string(), self.environment(version))
        };
        Ok(api::ListFunctionsResponse {
            next_marker,
            functions: Some(functions.iter().map(listed).collect()),
        })
    }

    /// The function, the version meant, and the ARN under which the answer shows it.
    async fn found(&self, target: &Target) -> Result<(Arc<Function>, Arc<Version>, FunctionArn), Failure> {
        let (Some(Qualifier::Latest), Some(arn)) = (target.qualifier(), target.arn()) else {
            return Err(target.unknown().into());
        };
        let function = self.existing(target, target.unknown()).await?;
        let latest = Arc::clone(&function.latest);
        Ok((function, latest, arn))
    }

    /// The function, or what the operation says when there is none.
    pub(super) async fn existing(
        &self,
        target: &Target,
        missing: impl Into<Failure>,
    ) -> Result<Arc<Function>, Failure> {
        match self.parts.catalogue.get(&target.key()).await {
            Err(CatalogueError::NotFound { .. }) => Err(missing.into()),
            other => Ok(other?),
        }
    }
}
