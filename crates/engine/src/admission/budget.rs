//! How many environments the machine carries, counted in descriptors.

use std::sync::Arc;

use base::limits::{
    ALL_FUNCTION_ENDPOINTS_CONNECTIONS, ALL_RUNTIME_API_CONNECTIONS, ENDPOINT_CONNECTIONS,
    ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS, LOG_OPEN_FILES,
};
use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Descriptors kept for everything else: callers, functions' calls to their endpoints, logs, and the store. Ours.
const KEPT: u64 = (ENDPOINT_CONNECTIONS
    + ALL_FUNCTION_ENDPOINTS_CONNECTIONS
    + ALL_RUNTIME_API_CONNECTIONS
    + LOG_OPEN_FILES
    + 128) as u64;

/// The machine's environments. Cheap to clone; clones share one count.
#[derive(Debug, Clone)]
pub struct Budget {
    places: Arc<Semaphore>,
    size: usize,
}

/// The right to one environment; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `size` environments.
    pub fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(size)), size }
    }

    /// What this process's limit on open files allows, and not more than the launcher builds.
    pub fn of_process() -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // Where there are few, callers share them half and half with environments.
        let environments = (files - KEPT.min(files / 2)) / ENVIRONMENT_DESCRIPTORS;
        let environments = usize::try_from(environments.max(1)).unwrap_or(usize::MAX);
        Self::new(environments.min(ENVIRONMENTS))
    }

    /// How many environments there may be.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// A place, when one is free.
    pub fn try_take(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// A place, as soon as one is free.
    pub async fn take(&self) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        Place { _permit: permit.expect("the budget is never closed") }
    }
}
