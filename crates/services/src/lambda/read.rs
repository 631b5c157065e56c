//! GetFunction, GetFunctionConfiguration and ListFunctions.

use std::sync::Arc;

use base::arn::{FunctionArn, Qualifier, Scope};
use catalogue::{CatalogueError, Function, FunctionKey, Version};
use wire::lambda as api;

use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use super::{Lambda, concurrency, links, render};
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
            concurrency: function.reserved.filter(|_| arn.qualifier.is_none()).map(|reserved| {
                api::Concurrency { reserved_concurrent_executions: Some(concurrency::shown(reserved)) }
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
        let (functions, next_marker) = match (replicas, input.function_version) {
            (true, _) => (Vec::new(), None),
            (false, None) => self.functions(&context.scope, &page),
            (false, Some(api::FunctionVersion::All)) => self.versions(&context.scope, &page),
        };
        Ok(api::ListFunctionsResponse { next_marker, functions: Some(functions) })
    }

    /// A page of functions, each shown by its `$LATEST`.
    fn functions(&self, scope: &Scope, page: &Page) -> (Vec<api::FunctionConfiguration>, Option<String>) {
        let found = self.parts.catalogue.list(scope, page.after.as_deref(), page.look_for(), |_| true);
        let (found, next) = page.cut(found, |last: &Arc<Function>| last.key.name.to_string());
        let listed = |function: &Arc<Function>| {
            let version = &function.latest;
            render::listed(version, version.arn.to_string(), self.environment(version))
        };
        (found.iter().map(listed).collect(), next)
    }

    /// A page of all functions' versions. Its marker names a function and one of its versions, and neither need
    /// exist any more.
    fn versions(&self, scope: &Scope, page: &Page) -> (Vec<api::FunctionConfiguration>, Option<String>) {
        let after = page.after.as_deref();
        let (name, qualifier) = after.map_or((None, None), |after| match after.split_once(':') {
            Some((name, qualifier)) => (Some(name), Qualifier::parse(qualifier).ok()),
            None => (Some(after), None),
        });
        let begun = name.zip(qualifier.as_ref()).and_then(|(name, _)| {
            self.parts.catalogue.peek(&FunctionKey::new(scope.clone(), name.parse().ok()?))
        });
        let rest = self.parts.catalogue.list(scope, name, page.look_for(), |_| true);
        let begun = begun.iter().flat_map(|function| function.versions_after(qualifier.as_ref()));
        let found =
            begun.chain(rest.iter().flat_map(|function: &Arc<Function>| function.versions_after(None)));
        let (found, next) = page.cut(found, |last| format!("{}:{}", last.arn.name, last.qualifier));
        (found.into_iter().map(|version| self.listed_qualified(version)).collect(), next)
    }

    /// The function, the version meant, and the ARN under which the answer shows it.
    async fn found(&self, target: &Target) -> Result<(Arc<Function>, Arc<Version>, FunctionArn), Failure> {
        let (Some(qualifier), Some(arn)) = (target.qualifier(), target.arn()) else {
            return Err(target.unknown().into());
        };
        let function = self.existing(target, target.unknown()).await?;
        let version = function.shown(&qualifier).cloned().ok_or_else(|| target.unknown())?;
        Ok((function, version, arn))
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
