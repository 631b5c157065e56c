//! Brings about what was accepted: a created function becomes active, an update comes into force. Sweeps what that
//! leaves behind.

use std::sync::Arc;
use std::time::Duration;

use artifact::ArtifactError;
use base::limits::{ACTIVATION_ATTEMPTS, PACKAGE_SWEEP};
use catalogue::{CatalogueError, Reason, Version};

use super::Lambda;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

impl Lambda {
    /// Finishes what an earlier process accepted, and sweeps packages from now on. Needs a tokio runtime.
    pub fn resume(&self) {
        for unfinished in self.parts.catalogue.unfinished() {
            self.activate(unfinished.version);
        }
        self.sweep();
    }

    /// Brings a version about in a task of its own: the answer to its request does not wait for it.
    pub(super) fn activate(&self, version: Arc<Version>) {
        tokio::spawn(self.clone().bring_about(version));
    }

    async fn bring_about(self, version: Arc<Version>) {
        let ready = self.parts.artifacts.ready(&version.code.digest).await;
        for _ in 0..ACTIVATION_ATTEMPTS {
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

    /// Removes packages that no function holds any more, for as long as there is a Lambda.
    fn sweep(&self) {
        let parts = Arc::downgrade(&self.parts);
        let clock = self.parts.clock;
        tokio::spawn(async move {
            while let Some(parts) = parts.upgrade() {
                if let Err(error) = parts.artifacts.sweep(|package| parts.catalogue.holds(package)).await {
                    tracing::warn!(%error, "a package could not be removed");
                }
                drop(parts);
                clock.sleep(PACKAGE_SWEEP).await;
            }
        });
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
