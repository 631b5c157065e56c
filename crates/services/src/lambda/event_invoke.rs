//! Settings of asynchronous invocation.

use base::arn::{FunctionArn, Qualifier};
use base::clock::Timestamp;
use catalogue::rules::{Step, event_invoke as rules};
use catalogue::{CatalogueError, EventInvokeChange, EventInvokeConfig, Function, FunctionKey};
use wire::lambda as api;

use super::checks::event_invoke::{EventInvokeRefusal, destinations, something};
use super::create::seconds;
use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use super::{Lambda, render, settings};
use crate::Context;

/// Most configurations on one page. Source: the service model.
const PAGE: usize = 50;

impl Lambda {
    pub(super) async fn put_function_event_invoke_config(
        &self,
        context: &Context,
        input: api::PutFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        let action = "lambda:PutFunctionEventInvokeConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let asked = Asked {
            retries: input.maximum_retry_attempts,
            age: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        self.configure_events(&target, asked, rules::put).await
    }

    pub(super) async fn update_function_event_invoke_config(
        &self,
        context: &Context,
        input: api::UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        let action = "lambda:UpdateFunctionEventInvokeConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let asked = Asked {
            retries: input.maximum_retry_attempts,
            age: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        self.configure_events(&target, asked, rules::update).await
    }

    pub(super) async fn get_function_event_invoke_config(
        &self,
        context: &Context,
        input: api::GetFunctionEventInvokeConfigRequest,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        let action = "lambda:GetFunctionEventInvokeConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or_else(|| unconfigured(&target))?;
        let function = self.existing(&target, unconfigured(&target)).await?;
        shown(&function, &qualifier)
    }

    pub(super) async fn delete_function_event_invoke_config(
        &self,
        context: &Context,
        input: api::DeleteFunctionEventInvokeConfigRequest,
    ) -> Result<(), Failure> {
        let action = "lambda:DeleteFunctionEventInvokeConfig";
        let target = self.target(context, &input.function_name, input.qualifier.as_deref(), action)?;
        let qualifier = target.qualifier().ok_or_else(|| unconfigured(&target))?;
        let delete = |function: &Function, _| rules::delete(function, &qualifier);
        match self.parts.catalogue.change(&target.key(), delete).await {
            Err(rules::EventInvokeError::Catalogue(CatalogueError::NotFound { .. })) => {
                Err(unconfigured(&target).into())
            }
            other => other.map(drop).map_err(Into::into),
        }
    }

    pub(super) async fn list_function_event_invoke_configs(
        &self,
        context: &Context,
        input: api::ListFunctionEventInvokeConfigsRequest,
    ) -> Result<api::ListFunctionEventInvokeConfigsResponse, Failure> {
        let action = "lambda:ListFunctionEventInvokeConfigs";
        let target = self.target(context, &input.function_name, None, action)?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let function = self.existing(&target, EventInvokeRefusal::NoFunction).await?;
        let (listed, next_marker) = page.of_qualifiers(&function.event_invoke)?;
        Ok(api::ListFunctionEventInvokeConfigsResponse {
            function_event_invoke_configs: Some(
                listed
                    .into_iter()
                    .map(|(qualifier, config)| rendered(&function, qualifier, config))
                    .collect(),
            ),
            next_marker,
        })
    }

    /// Puts or changes the configuration of a qualifier, whose destinations must exist as far as they are ours.
    async fn configure_events(
        &self,
        target: &Target,
        asked: Asked,
        rule: Rule,
    ) -> Result<api::FunctionEventInvokeConfig, Failure> {
        something(asked.retries, asked.age, asked.destinations.as_ref())?;
        let qualifier = target.qualifier().ok_or(EventInvokeRefusal::NoFunction)?;
        let change = asked.change();
        let function = self.existing(target, EventInvokeRefusal::NoFunction).await?;
        // What the rule refuses goes before what is wrong with the destinations.
        rule(&function, &qualifier, change.clone(), self.parts.clock.now())?;
        if let Some(config) = &asked.destinations {
            self.destinations_exist(config, target).await?;
        }
        let decide = |function: &Function, step: Step| rule(function, &qualifier, change.clone(), step.now);
        let function = self.parts.catalogue.change(&target.key(), decide).await?;
        shown(&function, &qualifier)
    }

    async fn destinations_exist(
        &self,
        config: &api::DestinationConfig,
        target: &Target,
    ) -> Result<(), Failure> {
        for destination in destinations(config, &target.function)? {
            let FunctionArn { scope, name, qualifier } = &destination.arn;
            let key = FunctionKey::new(scope.clone(), name.clone());
            let known = match self.parts.catalogue.get(&key).await {
                Err(CatalogueError::NotFound { .. }) => false,
                other => other?.has(qualifier.as_ref().unwrap_or(&Qualifier::Latest)),
            };
            if !known {
                return Err(destination.unknown().into());
            }
        }
        Ok(())
    }
}

/// Puts or changes the configuration of a qualifier.
type Rule =
    fn(&Function, &Qualifier, EventInvokeChange, Timestamp) -> Result<Function, rules::EventInvokeError>;

/// What both requests have in common.
struct Asked {
    retries: Option<i32>,
    age: Option<i32>,
    destinations: Option<api::DestinationConfig>,
}

impl Asked {
    /// What the front end has let through. A destination that is not named stays, an empty one goes.
    fn change(&self) -> EventInvokeChange {
        let config = self.destinations.as_ref();
        let success = config.and_then(|config| config.on_success.as_ref());
        let failure = config.and_then(|config| config.on_failure.as_ref());
        EventInvokeChange {
            maximum_retry_attempts: self.retries.and_then(|retries| u8::try_from(retries).ok()),
            maximum_event_age: self.age.map(seconds),
            on_success: success.and_then(|told| told.destination.as_deref()).map(settings::clearable),
            on_failure: failure.and_then(|told| told.destination.as_deref()).map(settings::clearable),
        }
    }
}

fn unconfigured(target: &Target) -> EventInvokeRefusal {
    EventInvokeRefusal::NoConfig(target.qualified_text())
}

/// The configuration of a qualifier as answers show it.
fn shown(function: &Function, qualifier: &Qualifier) -> Result<api::FunctionEventInvokeConfig, Failure> {
    Ok(rendered(function, qualifier, rules::found(function, qualifier)?))
}

/// Destinations are always shown, even when there are none. Source: recorded answers.
fn rendered(
    function: &Function,
    qualifier: &Qualifier,
    config: &EventInvokeConfig,
) -> api::FunctionEventInvokeConfig {
    api::FunctionEventInvokeConfig {
        last_modified: Some(config.last_modified),
        function_arn: Some(function.key.arn().qualified(qualifier.clone()).to_string()),
        maximum_retry_attempts: config.maximum_retry_attempts.map(Into::into),
        maximum_event_age_in_seconds: config
            .maximum_event_age
            .and_then(|age| i32::try_from(age.as_secs()).ok()),
        destination_config: Some(api::DestinationConfig {
            on_success: Some(api::OnSuccess { destination: render::text(&config.on_success) }),
            on_failure: Some(api::OnFailure { destination: render::text(&config.on_failure) }),
        }),
    }
}
