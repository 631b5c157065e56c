//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfig and
//! ListProvisionedConcurrencyConfigs.
//!
//! What is provisioned is set aside at once: from the answer on, nobody else can use it. So a configuration is in
//! progress in the answer that makes it and ready in every later one.

use std::ops::Bound;

use base::arn::Qualifier;
use base::clock::Timestamp;
use catalogue::rules::ShareError;
use catalogue::rules::concurrency::{Pool, provision, unprovision};
use catalogue::{Function, ProvisionedConcurrency};
use wire::lambda as api;
use wire::lambda::exception;

use super::Lambda;
use super::checks::Refusal;
use super::concurrency::{count, shown};
use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use crate::Context;

/// Most configurations on a page. Source: the service model.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn put_provisioned_concurrency_config(
        &self,
        context: &Context,
        input: api::PutProvisionedConcurrencyConfigRequest,
    ) -> Result<api::PutProvisionedConcurrencyConfigResponse, Failure> {
        let action = "lambda:PutProvisionedConcurrencyConfig";
        let target = self.target(context, &input.function_name, Some(&input.qualifier), action)?;
        let qualifier = match target.qualifier() {
            Some(Qualifier::Latest) => return Err(ShareError::Unpublished.into()),
            other => other.ok_or_else(|| target.unknown_part())?,
        };
        let function = self.existing(&target, target.unknown_part()).await?;
        let (requested, limit) =
            (count(input.provisioned_concurrent_executions), self.parts.account_concurrency);
        let provision = |function: &Function, usage, step| {
            provision(function, &qualifier, requested, Pool::around(function, limit, usage), step)
        };
        let changed = self.parts.catalogue.change_shares(&function.key, provision).await;
        let changed = changed.map_err(|error| refused(error, &target))?;
        let config = changed.provisioned.get(&qualifier);
        Ok(api::PutProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(shown(requested)),
            allocated_provisioned_concurrent_executions: Some(0),
            available_provisioned_concurrent_executions: Some(0),
            status: Some(api::ProvisionedConcurrencyStatusEnum::InProgress),
            status_reason: None,
            last_modified: config.map(|config| last_modified(config.last_modified)),
        })
    }

    pub(super) async fn get_provisioned_concurrency_config(
        &self,
        context: &Context,
        input: api::GetProvisionedConcurrencyConfigRequest,
    ) -> Result<api::GetProvisionedConcurrencyConfigResponse, Failure> {
        let action = "lambda:GetProvisionedConcurrencyConfig";
        let target = self.target(context, &input.function_name, Some(&input.qualifier), action)?;
        let qualifier = published(&target)?;
        let function = self.existing(&target, target.unknown_part()).await?;
        if !function.has(&qualifier) {
            return Err(target.unknown_part().into());
        }
        let Some(config) = function.provisioned.get(&qualifier) else {
            let words = "No Provisioned Concurrency Config found for this function";
            return Err(Failure(exception::PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND.with(words)));
        };
        let Item { requested, allocated, status, last_modified } = Item::of(config);
        Ok(api::GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: requested,
            available_provisioned_concurrent_executions: allocated,
            allocated_provisioned_concurrent_executions: allocated,
            status,
            status_reason: None,
            last_modified,
        })
    }

    pub(super) async fn delete_provisioned_concurrency_config(
        &self,
        context: &Context,
        input: api::DeleteProvisionedConcurrencyConfigRequest,
    ) -> Result<(), Failure> {
        let action = "lambda:DeleteProvisionedConcurrencyConfig";
        let target = self.target(context, &input.function_name, Some(&input.qualifier), action)?;
        let qualifier = published(&target)?;
        let function = self.existing(&target, target.unknown_part()).await?;
        let unprovision = |function: &Function, _| unprovision(function, &qualifier);
        let changed = self.parts.catalogue.change(&function.key, unprovision).await;
        changed.map_err(|error| refused(error, &target))?;
        Ok(())
    }

    pub(super) async fn list_provisioned_concurrency_configs(
        &self,
        context: &Context,
        input: api::ListProvisionedConcurrencyConfigsRequest,
    ) -> Result<api::ListProvisionedConcurrencyConfigsResponse, Failure> {
        let action = "lambda:ListProvisionedConcurrencyConfigs";
        let target = self.target(context, &input.function_name, None, action)?;
        let function = self.existing(&target, target.unknown_function()).await?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let after = match &page.after {
            Some(text) => Bound::Excluded(Qualifier::parse(text).map_err(|_| Refusal::Marker)?),
            None => Bound::Unbounded,
        };
        let found = function.provisioned.range((after, Bound::Unbounded));
        let (configs, next_marker) = page.cut(found, |(qualifier, _)| qualifier.to_string());
        let items = configs.into_iter().map(|(qualifier, config)| listed(&function, qualifier, config));
        Ok(api::ListProvisionedConcurrencyConfigsResponse {
            provisioned_concurrency_configs: Some(items.collect()),
            next_marker,
        })
    }
}

/// The version or alias whose configuration is asked for.
fn published(target: &Target) -> Result<Qualifier, Failure> {
    match target.qualifier() {
        Some(Qualifier::Latest) => {
            let words = "The function resource provided must be an alias or a published version.";
            Err(Failure(exception::INVALID_PARAMETER_VALUE.with(words)))
        }
        Some(qualifier) => Ok(qualifier),
        None => Err(target.unknown_part().into()),
    }
}

/// What is missing is named as the request named it.
fn refused(error: ShareError, target: &Target) -> Failure {
    match error {
        ShareError::Missing => target.unknown_part().into(),
        other => other.into(),
    }
}

fn listed(
    function: &Function,
    qualifier: &Qualifier,
    config: &ProvisionedConcurrency,
) -> api::ProvisionedConcurrencyConfigListItem {
    let Item { requested, allocated, status, last_modified } = Item::of(config);
    api::ProvisionedConcurrencyConfigListItem {
        function_arn: Some(function.key.arn().qualified(qualifier.clone()).to_string()),
        requested_provisioned_concurrent_executions: requested,
        available_provisioned_concurrent_executions: allocated,
        allocated_provisioned_concurrent_executions: allocated,
        status,
        status_reason: None,
        last_modified,
    }
}

/// What the answers of two operations say of a configuration.
struct Item {
    requested: Option<i32>,
    allocated: Option<i32>,
    status: Option<api::ProvisionedConcurrencyStatusEnum>,
    last_modified: Option<String>,
}

impl Item {
    fn of(config: &ProvisionedConcurrency) -> Self {
        let requested = Some(shown(config.requested));
        Self {
            requested,
            allocated: requested,
            status: Some(api::ProvisionedConcurrencyStatusEnum::Ready),
            last_modified: Some(last_modified(config.last_modified)),
        }
    }
}

/// Whole seconds, unlike the `LastModified` of functions. Source: recorded in 2026.
fn last_modified(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}
