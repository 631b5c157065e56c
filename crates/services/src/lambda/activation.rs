//! Brings about what was accepted: a created function becomes active, an update comes into force.

use std::sync::Arc;
use std::time::Duration;

use artifact::{ArtifactError, CodeDir, Refusal};
use catalogue::{CatalogueError, Reason, Version};
use futures_util::future::try_join_all;

use super::Lambda;

/// Time between two attempts.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How often code is brought into place before a function fails. Ours.
const ATTEMPTS: u32 = 3;

impl Lambda {
    /// Finishes what an earlier process accepted. Needs a tokio runtime.
    pub fn resume(&self) {
        for unfinished in self.parts.catalogue.unfinished() {
            self.activate(unfinished.version);
        }
        for version in self.parts.catalogue.uninitialized() {
            self.initialize(version);
        }
        self.resume_mappings();
    }

    /// Brings a version about in a task of its own: the answer to its request does not wait for it.
    pub(super) fn activate(&self, version: Arc<Version>) {
        tokio::spawn(self.clone().bring_about(version));
    }

    async fn bring_about(self, version: Arc<Version>) {
        let ready = self.packages(&version).await;
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
                Ok(_) => return self.initialize_announced(&key, generation),
                // Deleted meanwhile, or finished by somebody else.
                Err(CatalogueError::NotFound { .. } | CatalogueError::Stale { .. }) => return,
                Err(error) => {
                    tracing::warn!(%error, function = %version.arn, "a function's new state is not written")
                }
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    /// The version's packages, unpacked. What the system refuses is asked for again before it counts: it does so while
    /// the whole server goes down, and then the next process is to finish.
    async fn packages(&self, version: &Version) -> Result<Vec<CodeDir>, ArtifactError> {
        let mut attempts = ATTEMPTS;
        loop {
            let packages = version.codes().map(|code| self.parts.artifacts.ready(&code.digest));
            attempts -= 1;
            match try_join_all(packages).await {
                Err(error) if attempts > 0 && is_the_systems(&error) => {
                    tracing::warn!(%error, function = %version.arn, "a function's code is not in place yet");
                }
                other => return other,
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }
}

/// Whether the system is at fault, and not what is stored.
const fn is_the_systems(error: &ArtifactError) -> bool {
    match error {
        ArtifactError::Refused(Refusal::Io { .. })
        | ArtifactError::Blobs(_)
        | ArtifactError::Store(_)
        | ArtifactError::Io { .. } => true,
        ArtifactError::Refused(_) | ArtifactError::Missing(_) | ArtifactError::Corrupt { .. } => false,
    }
}

fn reason(error: &ArtifactError) -> Reason {
    let code = match error {
        ArtifactError::Refused(Refusal::Io { .. }) => "InternalError",
        ArtifactError::Refused(_) => "InvalidZipFileException",
        ArtifactError::Missing(_)
        | ArtifactError::Blobs(_)
        | ArtifactError::Store(_)
        | ArtifactError::Corrupt { .. }
        | ArtifactError::Io { .. } => "InternalError",
    };
    Reason { code: code.into(), text: error.to_string().into() }
}

#[cfg(test)]
mod tests {
    use base::id::Digest;

    use super::*;

    #[test]
    fn what_the_system_refuses_is_no_archives_fault() {
        let io = Refusal::Io { doing: "asking the launcher".into(), errno: 32 };
        for (error, again, code) in [
            (ArtifactError::Refused(io), true, "InternalError"),
            (ArtifactError::Refused(Refusal::Died), false, "InvalidZipFileException"),
            (ArtifactError::Refused(Refusal::Empty), false, "InvalidZipFileException"),
            (ArtifactError::Missing(Digest([7; 32])), false, "InternalError"),
        ] {
            assert_eq!((is_the_systems(&error), &*reason(&error).code), (again, code), "{error}");
        }
    }
}
