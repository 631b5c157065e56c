//! Brings about what was accepted: a created function becomes active, an update comes into force.

use std::sync::Arc;
use std::time::Duration;

use artifact::ArtifactError;
use catalogue::{CatalogueError, Reason, Version};
use futures_util::future::try_join_all;

use super::Lambda;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

impl Lambda {
    /// Finishes what an earlier process accepted. Needs a tokio runtime.
    pub fn resume(&self) {
        for unfinished in self.parts.catalogue.unfinished() {
            self.activate(unfinished.version);
        }
        self.resume_mappings();
    }

    /// Brings a version about in a task of its own: the answer to its request does not wait for it.
    pub(super) fn activate(&self, version: Arc<Version>) {
        tokio::spawn(self.clone().bring_about(version));
    }

    async fn bring_about(self, version: Arc<Version>) {
        let packages = version.codes().map(|code| self.parts.artifacts.ready(&code.digest));
        let ready = try_join_all(packages).await;
        // What was accepted must not stay pending: a store that refuses for long is asked for as long.
        loop {
            let (key, generation) = (version.key(), version.generation);
            let written = match &ready {
                Ok(_) => self.parts.catalogue.finish(&key, generation).await,
                Err(error) => {
                    tracing::warn!(%error, function = %version.arn, "a function's code could not be brought into place");
                    self.parts.catalogue.fail(&key, generation, reason(error)).await
                }
            };
            match written {
                // Deleted meanwhile, or finished by somebody else.
                Ok(_) | Err(CatalogueError::NotFound { .. } | CatalogueError::Stale { .. }) => return,
                Err(error) => {
                    tracing::warn!(%error, function = %version.arn, "a function's new state is not written")
                }
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }
}

fn reason(error: &ArtifactError) -> Reason {
    let code = match error {
        ArtifactError::Refused(_) => "InvalidZipFileException",
        ArtifactError::Missing(_)
        | ArtifactError::Blobs(_)
        | ArtifactError::Store(_)
        | ArtifactError::Corrupt { .. }
        | ArtifactError::Io { .. } => "InternalError",
    };
    Reason { code: code.into(), text: error.to_string().into() }
}
