//! The machine's memory, measured: a last limit on environments.

mod gauge;
pub mod rules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::limits::{MEMORY_RESERVE_LEAST, MEMORY_RESERVE_MOST, MEMORY_RESERVE_PART};

use self::rules::Books;
pub use self::rules::{Reading, Wishes};

/// What is free for environments. Cheap to clone; clones share one ledger.
#[derive(Debug, Clone)]
pub struct Memory {
    books: Arc<Mutex<Books>>,
}

/// Memory that is set aside for an environment while it starts. It is free again when this is dropped.
#[derive(Debug)]
pub struct Pledge {
    books: Arc<Mutex<Books>>,
    bytes: u64,
}

impl Memory {
    /// A ledger in which everything fits until something is measured.
    pub fn new(wishes: Wishes) -> Self {
        Self { books: Arc::new(Mutex::new(Books::new(wishes))) }
    }

    /// Sets `bytes` aside, if they are there.
    pub fn pledge(&self, bytes: u64) -> Option<Pledge> {
        let fits = lock(&self.books).pledge(bytes);
        fits.then(|| Pledge { books: Arc::clone(&self.books), bytes })
    }

    /// Measures the machine; how many bytes are missing from what is to be kept free. `held` is what environments
    /// hold. Reads some short files of the kernel's.
    pub fn measure(&self, held: u64) -> u64 {
        match gauge::available() {
            Some(available) => self.read(Reading { available, held }),
            None => self.read(Reading { available: u64::MAX, held }),
        }
    }

    /// Notes a reading; how many bytes are missing from what is to be kept free.
    pub fn read(&self, reading: Reading) -> u64 {
        lock(&self.books).read(reading)
    }
}

impl Pledge {
    /// The environment has finished its init: the next reading shows what it holds.
    pub fn settle(mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        lock(&self.books).settle(bytes);
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            lock(&self.books).release(self.bytes);
        }
    }
}

/// What is kept free unless the operator says otherwise: a part of the machine's memory.
pub fn usual_reserve() -> u64 {
    let part = of_machine() / MEMORY_RESERVE_PART;
    part.clamp(MEMORY_RESERVE_LEAST, MEMORY_RESERVE_MOST)
}

/// The machine's memory in bytes; zero where the kernel does not tell.
pub fn of_machine() -> u64 {
    gauge::total().unwrap_or(0)
}

/// The books hold plain numbers that every step leaves whole, so a panic elsewhere does not spoil them.
fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
