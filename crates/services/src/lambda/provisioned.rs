//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfig and
//! ListProvisionedConcurrencyConfigs.
//!
//! What is provisioned is set aside at once: from the answer on, nobody else can use it. The environments are warmed
//! afterwards, and what is said of them is what stands at the moment.

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::units::Concurrency;
use catalogue::rules::ShareError;
use catalogue::rules::concurrency::{Pool, provision, unprovision};
use catalogue::{CatalogueError, Function, ProvisionedConcurrency};
use engine::WarmFailure;
use wire::lambda as api;
use wire::lambda::exception;

use super::Lambda;
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
        let Item { requested, available, allocated, status, reason, last_modified } =
            self.item(&function, &qualifier, config);
        Ok(api::GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: requested,
            available_provisioned_concurrent_executions: available,
            allocated_provisioned_concurrent_executions: allocated,
            status,
            status_reason: reason,
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
        let target = self.whole_function(context, &input.function_name, action)?;
        let function = self.existing(&target, target.unknown_function()).await?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let (configs, next_marker) = page.of_qualifiers(&function.provisioned)?;
        let items = configs.into_iter().map(|(qualifier, config)| self.listed(&function, qualifier, config));
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
        ShareError::Catalogue(CatalogueError::NotFound { .. }) => target.unknown_part().into(),
        other => other.into(),
    }
}

impl Lambda {
    fn listed(
        &self,
        function: &Function,
        qualifier: &Qualifier,
        config: &ProvisionedConcurrency,
    ) -> api::ProvisionedConcurrencyConfigListItem {
        let Item { requested, available, allocated, status, reason, last_modified } =
            self.item(function, qualifier, config);
        api::ProvisionedConcurrencyConfigListItem {
            function_arn: Some(function.key.arn().qualified(qualifier.clone()).to_string()),
            requested_provisioned_concurrent_executions: requested,
            available_provisioned_concurrent_executions: available,
            allocated_provisioned_concurrent_executions: allocated,
            status,
            status_reason: reason,
            last_modified,
        }
    }

    fn item(&self, function: &Function, qualifier: &Qualifier, config: &ProvisionedConcurrency) -> Item {
        let Readiness { allocated, available, failure } = self.readiness(function, qualifier, config);
        let (status, reason) = match failure {
            _ if available >= config.requested => (api::ProvisionedConcurrencyStatusEnum::Ready, None),
            Some(reason) => (api::ProvisionedConcurrencyStatusEnum::Failed, Some(reason.to_owned())),
            None => (api::ProvisionedConcurrencyStatusEnum::InProgress, None),
        };
        Item {
            requested: Some(shown(config.requested)),
            available: Some(shown(available)),
            allocated: Some(shown(allocated)),
            status: Some(status),
            reason,
            last_modified: Some(last_modified(config.last_modified)),
        }
    }

    /// What stands of a configuration. Where several keep environments of the same version ready, the first of them
    /// are the first one's.
    fn readiness(
        &self,
        function: &Function,
        qualifier: &Qualifier,
        config: &ProvisionedConcurrency,
    ) -> Readiness {
        let mut sum = Readiness { allocated: Concurrency(0), available: Concurrency(0), failure: None };
        for (number, part) in function.split(qualifier, config.requested) {
            let Some(version) = function.versions.get(&number) else { continue };
            let standing = self.parts.runner.standing(version);
            let earlier = function.provisioned.iter().take_while(|(other, _)| *other != qualifier);
            let earlier = earlier.flat_map(|(other, config)| function.split(other, config.requested));
            let taken: u32 = earlier.filter(|(other, _)| *other == number).map(|(_, part)| part.0).sum();
            let own = |all: usize| u32::try_from(all).unwrap_or(u32::MAX).saturating_sub(taken).min(part.0);
            sum.allocated.0 += own(standing.allocated);
            sum.available.0 += own(standing.available);
            // What failed before this was asked for is tried again, and says nothing of it.
            let heard = standing.said.is_some_and(|said| said >= config.last_modified);
            sum.failure = sum.failure.or(standing.failure.filter(|_| heard).and_then(reason));
        }
        sum
    }
}

/// What stands of a configuration.
struct Readiness {
    allocated: Concurrency,
    available: Concurrency,
    failure: Option<&'static str>,
}

/// Why a configuration is called failed; a machine that is full is only late. Source: a recorded answer for an init
/// that fails; the other is ours.
const fn reason(failure: WarmFailure) -> Option<&'static str> {
    match failure {
        WarmFailure::Init => Some("FUNCTION_ERROR_INIT_FAILURE"),
        WarmFailure::Start => Some("INTERNAL_ERROR"),
        WarmFailure::Place => None,
    }
}

/// What the answers of two operations say of a configuration.
struct Item {
    requested: Option<i32>,
    available: Option<i32>,
    allocated: Option<i32>,
    status: Option<api::ProvisionedConcurrencyStatusEnum>,
    reason: Option<String>,
    last_modified: Option<String>,
}

/// Whole seconds, unlike the `LastModified` of functions. Source: recorded in 2026.
fn last_modified(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}
