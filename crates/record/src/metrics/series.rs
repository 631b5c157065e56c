//! All figures of one function, or of one account in one region: from the start, and for each of the last minutes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::clock::Timestamp;
use base::units::Mib;

use super::tally::{Count, Distribution, Sample, Tally};

/// Minutes that are kept. An invocation counts in the minute in which it began, so the longest (15 minutes) must still
/// find it. Ours.
const MINUTES: usize = 17;

/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;

/// All figures of one function, or of one account in one region.
#[derive(Debug)]
pub struct Series {
    total: Tally<{ Sample::ALL.len() }>,
    minutes: Box<[Minute]>,
    running: AtomicU64,
    /// The most memory that a report has told of, in bytes.
    memory: AtomicU64,
    /// Milliseconds since the epoch.
    touched: AtomicI64,
}

#[derive(Debug)]
struct Minute {
    /// Which minute since the epoch this is of; none while negative.
    number: AtomicI64,
    turning: Mutex<()>,
    /// The most that ran at once.
    peak: AtomicU64,
    tally: Tally<{ Sample::BY_MINUTE }>,
}

/// One minute's statistics, as CloudWatch tells them: every counter's sum, and of each [`Sample`] that has them the
/// number, sum, extremes and percentiles.
#[derive(Debug, Clone)]
pub struct MinuteFigures {
    /// When the minute began.
    pub began: Timestamp,
    /// The counters, in the order of [`Count::ALL`].
    pub counts: [u64; Count::ALL.len()],
    /// The first [`Sample::BY_MINUTE`] samples.
    pub samples: [Distribution; Sample::BY_MINUTE],
    /// The most that ran at once, as far as one began or ended in this minute.
    pub concurrent_executions: u64,
}

impl Series {
    /// Nothing yet.
    pub fn new(now: Timestamp) -> Self {
        let minutes = std::iter::repeat_with(Minute::unused).take(MINUTES).collect();
        Self {
            total: Tally::default(),
            minutes,
            running: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            touched: AtomicI64::new(now.as_millis()),
        }
    }

    /// Counts one of what began at a moment.
    pub fn add(&self, at: Timestamp, count: Count) {
        self.touch(at);
        self.total.add(count);
        self.in_minute(at, |minute| minute.tally.add(count));
    }

    /// Enters a time of what began at a moment.
    pub fn enter(&self, at: Timestamp, sample: Sample, took: Duration) {
        self.total.enter(sample, took);
        if (sample as usize) < Sample::BY_MINUTE {
            self.in_minute(at, |minute| minute.tally.enter(sample, took));
        }
    }

    /// One more runs.
    pub fn begin(&self, now: Timestamp) {
        self.touch(now);
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_minute(now, |minute| minute.saw(running));
    }

    /// One less runs.
    pub fn end(&self, now: Timestamp) {
        self.touch(now);
        let running = self.running.fetch_sub(1, Ordering::Relaxed);
        self.in_minute(now, |minute| minute.saw(running));
    }

    /// Notes the memory that a report tells of.
    pub fn used(&self, memory: Mib) {
        self.memory.fetch_max(memory.bytes(), Ordering::Relaxed);
    }

    /// What a counter shows.
    pub fn count(&self, count: Count) -> u64 {
        self.total.count(count)
    }

    /// What a histogram shows.
    pub fn distribution(&self, sample: Sample) -> Distribution {
        self.total.distribution(sample)
    }

    /// What runs now.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// The most memory that a report has told of, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Whether nothing has run for so long.
    pub fn is_idle(&self, now: Timestamp, time: Duration) -> bool {
        let touched = Timestamp::from_millis(self.touched.load(Ordering::Relaxed));
        self.running() == 0 && now.since(touched) >= time
    }

    /// The minutes in which anything began, the oldest first.
    pub fn minutes(&self, now: Timestamp) -> Vec<MinuteFigures> {
        let newest = now.as_millis().div_euclid(MINUTE);
        let oldest = newest - MINUTES as i64 + 1;
        (oldest..=newest).filter_map(|number| self.place(number).read(number)).collect()
    }

    fn touch(&self, at: Timestamp) {
        let at = at.as_millis();
        if self.touched.load(Ordering::Relaxed) < at {
            self.touched.store(at, Ordering::Relaxed);
        }
    }

    fn place(&self, number: i64) -> &Minute {
        let place = usize::try_from(number.rem_euclid(MINUTES as i64)).unwrap_or_default();
        &self.minutes[place]
    }

    fn in_minute(&self, at: Timestamp, note: impl FnOnce(&Minute)) {
        let number = at.as_millis().div_euclid(MINUTE);
        let minute = self.place(number);
        if minute.turn_to(number) {
            note(minute);
        }
    }
}

impl Minute {
    fn unused() -> Self {
        Self {
            number: AtomicI64::new(-1),
            turning: Mutex::default(),
            peak: AtomicU64::new(0),
            tally: Tally::default(),
        }
    }

    /// Notes how many ran at once.
    fn saw(&self, running: u64) {
        if self.peak.load(Ordering::Relaxed) < running {
            self.peak.fetch_max(running, Ordering::Relaxed);
        }
    }

    /// Makes this the place of a minute; false when it is a later one's already.
    fn turn_to(&self, number: i64) -> bool {
        if self.number.load(Ordering::Acquire) != number {
            // What it guards is whole between any two statements.
            let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
            if self.number.load(Ordering::Relaxed) < number {
                self.tally.clear();
                self.peak.store(0, Ordering::Relaxed);
                self.number.store(number, Ordering::Release);
            }
        }
        self.number.load(Ordering::Relaxed) == number
    }

    fn read(&self, number: i64) -> Option<MinuteFigures> {
        (self.number.load(Ordering::Acquire) == number).then(|| MinuteFigures {
            began: Timestamp::from_millis(number * MINUTE),
            counts: Count::ALL.map(|count| self.tally.count(count)),
            samples: std::array::from_fn(|place| self.tally.distribution(Sample::ALL[place])),
            concurrent_executions: self.peak.load(Ordering::Relaxed),
        })
    }
}
