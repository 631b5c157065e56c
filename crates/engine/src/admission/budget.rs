//! How many environments the machine carries, counted in descriptors and by its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::limits::{
    ALL_FUNCTION_ENDPOINTS_CONNECTIONS, ALL_RUNTIME_API_CONNECTIONS, ENDPOINT_CONNECTIONS,
    ENVIRONMENT_DESCRIPTORS, ENVIRONMENTS, LOG_OPEN_FILES,
};
use rustix::process::{Resource, getrlimit};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub use super::memory::Pledge;
use super::memory::{Memory, Wishes};
use crate::invoke::InvokeError;

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
    memory: Memory,
    line: Arc<Line>,
}

/// Those who wait for a place.
#[derive(Debug, Default)]
struct Line {
    waiting: AtomicUsize,
    /// Wakes one for each place that is free again, and all when memory was measured.
    freed: Notify,
}

/// The right to one environment; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    line: Arc<Line>,
}

/// Somebody who waits for a place, until dropped.
#[derive(Debug)]
pub struct Waiting {
    line: Arc<Line>,
}

/// What the machine has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Places: so many there are.
    Places(usize),
    /// Memory: an environment would need so many bytes.
    Memory(u64),
}

impl Budget {
    /// A budget of `size` environments on a machine whose memory is never measured.
    pub fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        let memory = Memory::new(Wishes { reserve: 0, limit: None });
        Self { places: Arc::new(Semaphore::new(size)), size, memory, line: Arc::default() }
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

    /// The same on a machine with this memory.
    pub fn with_memory(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// The machine's memory.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A place, and `bytes` of memory until the environment can be measured, when both are free.
    pub fn try_take(&self, bytes: u64) -> Result<(Place, Pledge), Lack> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Lack::Places(self.size))?;
        let pledge = self.memory.pledge(bytes).ok_or(Lack::Memory(bytes))?;
        Ok((Place { permit: Some(permit), line: Arc::clone(&self.line) }, pledge))
    }

    /// Whether anybody waits for a place.
    pub fn is_pressed(&self) -> bool {
        self.line.waiting.load(Ordering::Relaxed) > 0
    }

    /// Joins those who wait for a place.
    pub fn wait(&self) -> Waiting {
        self.line.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { line: Arc::clone(&self.line) }
    }

    /// Has all who wait look again.
    pub fn wake(&self) {
        self.line.freed.notify_waiters();
    }
}

impl Waiting {
    /// Resolves when it is worth looking again.
    pub fn freed(&self) -> Notified<'_> {
        self.line.freed.notified()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.line.freed.notify_one();
    }
}

impl From<Lack> for InvokeError {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Places(budget) => Self::NoPlace { budget },
            Lack::Memory(needed) => Self::NoMemory { needed },
        }
    }
}
