//! Makes the init of versions with SnapStart: such a version is active when its init was, and failed when it failed.

use std::sync::Arc;

use catalogue::rules::versions::{initialized, to_initialize, uninitialized};
use catalogue::{CatalogueError, Function, FunctionKey, Reason, Version};
use engine::{InitError, InvokeError};

use super::Lambda;
use super::activation::PAUSE;

impl Lambda {
    /// Makes the init of those versions that have come into force with this change of their function.
    pub(super) fn initialize_announced(&self, key: &FunctionKey, generation: u64) {
        let Some(function) = self.parts.catalogue.peek(key) else { return };
        let announced = to_initialize(&function).filter(|version| version.generation == generation);
        announced.for_each(|version| self.initialize(Arc::clone(version)));
    }

    /// Makes a version's init in a task of its own.
    pub(super) fn initialize(&self, version: Arc<Version>) {
        tokio::spawn(self.clone().bring_to_life(version));
    }

    async fn bring_to_life(self, version: Arc<Version>) {
        let Some(number) = version.number() else { return };
        let Some(outcome) = self.make_init(&version).await else { return };
        let decide = |function: &Function, step| match &outcome {
            Ok(()) => initialized(function, number, step),
            Err(reason) => uninitialized(function, number, reason, step),
        };
        // What was made once must not stay pending: a store that refuses for long is asked for as long.
        loop {
            match self.parts.catalogue.change(&version.key(), decide).await {
                Ok(_) | Err(CatalogueError::NotFound { .. } | CatalogueError::Stale { .. }) => return,
                Err(error) => {
                    tracing::warn!(%error, function = %version.qualified_arn(), "a version's state is not written")
                }
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    /// What came of a version's init; nothing when the version is gone, or this server ends and another is to make it.
    async fn make_init(&self, version: &Arc<Version>) -> Option<Result<(), Reason>> {
        loop {
            let error = match self.parts.runner.initialize(Arc::clone(version)).await {
                Ok(()) => return Some(Ok(())),
                Err(error) => error,
            };
            tracing::info!(%error, function = %version.qualified_arn(), "a version was not initialised");
            if let Some(reason) = reason(&error) {
                return Some(Err(reason));
            }
            if matches!(error, InitError::Hindered(InvokeError::ShuttingDown)) || !self.is_pending(version) {
                return None;
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    fn is_pending(&self, version: &Version) -> bool {
        let function = self.parts.catalogue.peek(&version.key());
        let same = |waiting: &Arc<Version>| {
            waiting.qualifier == version.qualifier && waiting.generation == version.generation
        };
        function.is_some_and(|function| to_initialize(&function).any(same))
    }
}

/// What a version with such an init fails for; nothing where the machine is at fault and may do better.
///
/// Source: reports of deployment tools, 2025 and 2026; that a missing interpreter fails a version is ours.
fn reason(error: &InitError) -> Option<Reason> {
    let (code, text) = match error {
        InitError::Failed(_) | InitError::TimedOut => {
            ("FunctionError", "An error occurred during function initialization.".into())
        }
        InitError::Hindered(InvokeError::Runtime(words)) => ("InvalidRuntime", words.as_str().into()),
        InitError::Hindered(error @ (InvokeError::Code(_) | InvokeError::Variables(_))) => {
            ("InternalError", error.to_string().into())
        }
        InitError::Hindered(_) => return None,
    };
    Some(Reason { code: code.into(), text })
}
