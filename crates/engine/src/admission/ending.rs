//! Invocations that were answered and hold their concurrency for a moment yet.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How many they are, and who waits for them.
#[derive(Debug, Default)]
pub struct Ending {
    answered: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// Somebody waits for concurrency that is about to be given back.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Ending);

impl Ending {
    /// An invocation was answered.
    pub fn begin(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// It is over.
    pub fn end(&self) {
        self.answered.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether there are some.
    pub fn is_any(&self) -> bool {
        self.answered.load(Ordering::SeqCst) > 0
    }

    /// Somebody waits until what this returns is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Concurrency was given back.
    pub fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }
}

impl Waiting<'_> {
    /// Resolves when concurrency is given back after this call.
    pub fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
