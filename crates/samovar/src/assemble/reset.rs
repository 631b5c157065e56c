//! Empties everything, for test suites.

use std::sync::Arc;

use anyhow::Result;
use artifact::Artifacts;
use doors::Reset;
use engine::Engine;
use record::Logs;
use store::Store;

/// What has to be emptied.
#[derive(Clone)]
pub struct Resettable {
    /// Documents, queues and logs.
    pub store: Arc<dyn Store>,
    /// Environments.
    pub engine: Engine,
    /// What the logs keep in memory.
    pub logs: Logs,
    /// Packages.
    pub artifacts: Artifacts,
}

impl Resettable {
    /// As the endpoint calls it.
    pub fn into_callback(self) -> Reset {
        Arc::new(move || {
            let this = self.clone();
            Box::pin(async move { this.reset().await.map_err(|error| format!("{error:#}")) })
        })
    }

    /// Environments go first, so that nothing writes behind the store's back.
    async fn reset(&self) -> Result<()> {
        self.engine.clear().await;
        self.store.clear().await?;
        self.logs.forget().await?;
        self.artifacts.clear().await?;
        Ok(())
    }
}
