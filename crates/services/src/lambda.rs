//! Lambda's control plane, and invocations of every kind.

mod account;
mod activation;
mod aliases;
mod checks;
mod code_signing;
mod concurrency;
mod create;
mod errors;
mod event_invoke;
mod initialization;
mod invoke;
mod json;
mod layer_policies;
pub mod layers;
pub mod links;
mod mappings;
mod names;
mod operations;
mod pages;
mod policies;
mod provisioned;
mod read;
mod recursion;
mod render;
mod runtime_management;
pub mod runtimes;
mod scaling;
mod settings;
mod streaming;
mod tags;
mod update;
mod urls;
mod versions;

use std::sync::Arc;

use access::{Gate, Guarded, Vault};
use artifact::Artifacts;
use async_trait::async_trait;
use base::arn::FunctionArn;
use base::clock::Clock;
use base::random::Dice;
use base::units::Concurrency;
use catalogue::{Catalogue, Version};
use engine::{Engine, Flow, InitError, Invocation, InvokeError, Reply, Standing};
use flow::{Events, Invoker};
use wire::lambda as api;

use self::errors::Failure;
use self::names::Target;
use crate::Context;

/// Runs functions: the engine, or what tests put in its place.
#[async_trait]
pub trait Runner: Invoker {
    /// Makes the init of a version that is restored for its calls.
    async fn initialize(&self, version: Arc<Version>) -> Result<(), InitError>;

    /// Runs one and answers as soon as its response begins.
    async fn stream(&self, invocation: access::Authorized<Invocation>) -> Result<Reply<Flow>, InvokeError>;
    /// How provisioned concurrency of a version stands.
    fn standing(&self, version: &Version) -> Standing;
}

#[async_trait]
impl Runner for Engine {
    async fn initialize(&self, version: Arc<Version>) -> Result<(), InitError> {
        Engine::initialize(self, version).await
    }

    async fn stream(&self, invocation: access::Authorized<Invocation>) -> Result<Reply<Flow>, InvokeError> {
        Engine::stream(self, invocation).await
    }

    fn standing(&self, version: &Version) -> Standing {
        Engine::standing(self, version)
    }
}

/// What Lambda is made of.
pub struct LambdaSetup {
    /// What exists.
    pub catalogue: Catalogue,
    /// Code.
    pub artifacts: Artifacts,
    /// Runs functions.
    pub runner: Arc<dyn Runner>,
    /// Takes what nobody waits for.
    pub events: Events,
    /// Seals and opens environment variables, and signs links.
    pub vault: Vault,
    /// Who may do what.
    pub gate: Gate,
    /// Concurrent executions of an account in a region.
    pub account_concurrency: Concurrency,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
}

/// The Lambda API. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Lambda {
    parts: Arc<LambdaSetup>,
    /// Held while something is decided on several roots and written to one of them: whether another mapping reads
    /// the same, who uses a code signing configuration. It binds this process only, and only one writes. What
    /// functions have of their account's concurrency is guarded in the store as well, by
    /// [`Catalogue::change_shares`], because there a second writer would grant more than there is.
    joint: Arc<tokio::sync::Mutex<()>>,
}

impl Lambda {
    /// A Lambda of these parts. [`Lambda::resume`] finishes what an earlier process left.
    pub fn new(setup: LambdaSetup) -> Self {
        Self { parts: Arc::new(setup), joint: Arc::default() }
    }

    /// The function that a request names, if its sender may do `action` to it.
    fn target(
        &self,
        context: &Context,
        name: &str,
        qualifier: Option<&str>,
        action: &'static str,
    ) -> Result<Target, Failure> {
        let target = Target::read(&context.scope, name, qualifier)?;
        let resource = target.arn().unwrap_or_else(|| target.function.clone());
        self.parts.gate.authorize(&context.principal, OnFunction { action, resource })?;
        Ok(target)
    }

    /// The same for operations on whole functions. A qualifier in the name is the operation's to judge; it leads to
    /// no other policy than the whole function's.
    fn whole_function(&self, context: &Context, name: &str, action: &'static str) -> Result<Target, Failure> {
        let target = Target::read(&context.scope, name, None)?;
        self.parts
            .gate
            .authorize(&context.principal, OnFunction { action, resource: target.function.clone() })?;
        Ok(target)
    }

    /// A version's environment variables as answers show them; absent when none were ever given.
    fn environment(&self, version: &Version) -> Option<api::EnvironmentResponse> {
        let sealed = version.configuration.environment.as_ref()?;
        Some(match self.parts.vault.open_environment(&version.key(), sealed) {
            Ok(variables) => api::EnvironmentResponse { variables: Some(variables), error: None },
            Err(error) => {
                tracing::error!(%error, function = %version.arn, "environment variables do not open");
                let error = api::EnvironmentError {
                    error_code: Some("KMSInvalidStateException".to_owned()),
                    message: Some(format!("Lambda was unable to decrypt the environment variables: {error}")),
                };
                api::EnvironmentResponse { variables: None, error: Some(error) }
            }
        })
    }

    /// A version whole, under the ARN that the request asked for.
    fn shown(&self, version: &Version, arn: &FunctionArn) -> api::FunctionConfiguration {
        render::configuration(version, arn.to_string(), self.environment(version))
    }
}

/// A control-plane action on a function.
struct OnFunction {
    action: &'static str,
    resource: FunctionArn,
}

impl Guarded for OnFunction {
    fn action(&self) -> &'static str {
        self.action
    }

    fn resource(&self) -> &FunctionArn {
        &self.resource
    }
}

#[cfg(test)]
mod tests;
