//! The init of a version that is restored for its calls, made when nobody has called it yet.

use std::sync::Arc;

use catalogue::Version;

use crate::Engine;
use crate::invoke::InvokeError;
use crate::starter::StartError;

/// Why a version has no init.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// The function's code or its before-snapshot hooks failed, with this type of error.
    #[error("the init failed: {0}")]
    Failed(String),
    /// It took longer than it may.
    #[error("the init took too long")]
    TimedOut,
    /// It could not be made. Safe to try again where the error is.
    #[error(transparent)]
    Hindered(#[from] InvokeError),
}

impl Engine {
    /// Makes the init of a version and keeps its environment for the first call.
    ///
    /// It is bounded by the function's timeout, but see [`base::limits::SNAPSHOT_INIT_TIMEOUT`].
    pub async fn initialize(&self, version: Arc<Version>) -> Result<(), InitError> {
        let initialised = self.pools.prepare(&version);
        initialised.await.unwrap_or(Err(InitError::Hindered(StartError::Closed.into())))
    }
}
