//! Counters and histograms that any number of tasks add to at once, and what they show.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends of the buckets of every histogram, in microseconds; what is longer has a last bucket of its own.
///
/// Ours: two and a half steps a decade, from a warm invocation to the longest event age (6 hours). All histograms have
/// the same, so that any two can be added.
pub const BOUNDS: [u64; 22] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    60_000_000,
    180_000_000,
    900_000_000,
    3_600_000_000,
    21_600_000_000,
];

/// Buckets of a histogram.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// What is counted. Sources: Lambda Developer Guide, "Types of metrics for Lambda functions"; ours where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Times that the function ran, whatever came of it; each retry of an event counts.
    Invocations,
    /// Those that ended in a function error, a timeout or a fault of the runtime.
    Errors,
    /// Requests that found no concurrency. They are neither invocations nor errors.
    Throttles,
    /// Requests that Samovar failed before or while the function ran. Neither invocations nor errors. Ours.
    PlatformFailures,
    /// Invocations that were the first of an environment that nobody had provisioned. Ours.
    ColdStarts,
    /// Invocations on provisioned environments.
    ProvisionedConcurrencyInvocations,
    /// Invocations elsewhere, since all provisioned environments of their version were busy.
    ProvisionedConcurrencySpilloverInvocations,
    /// Events that were queued.
    AsyncEventsReceived,
    /// Events that were given up.
    AsyncEventsDropped,
    /// Events that could not be handed to their dead-letter queue.
    DeadLetterErrors,
    /// Events whose end could not be told to a destination.
    DestinationDeliveryFailures,
}

impl Count {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 11] = [
        Self::Invocations,
        Self::Errors,
        Self::Throttles,
        Self::PlatformFailures,
        Self::ColdStarts,
        Self::ProvisionedConcurrencyInvocations,
        Self::ProvisionedConcurrencySpilloverInvocations,
        Self::AsyncEventsReceived,
        Self::AsyncEventsDropped,
        Self::DeadLetterErrors,
        Self::DestinationDeliveryFailures,
    ];
}

/// What is timed. The first [`Sample::BY_MINUTE`] have statistics for each minute, the others from the start only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// How long invocations took, without a cold start's init.
    Duration,
    /// How long extensions went on after the runtime was done.
    PostRuntimeExtensionsDuration,
    /// Time from an event's acceptance to each of its attempts.
    AsyncEventAge,
    /// Of a cold start: until its building began.
    Queue,
    /// Of a cold start: code, variables and sandbox.
    Sandbox,
    /// Of a cold start: the runtime's and the function's init.
    Init,
    /// Of a cold start: the first invocation.
    Handler,
    /// Of a cold start: extensions after the runtime was done.
    Extensions,
}

impl Sample {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 8] = [
        Self::Duration,
        Self::PostRuntimeExtensionsDuration,
        Self::AsyncEventAge,
        Self::Queue,
        Self::Sandbox,
        Self::Init,
        Self::Handler,
        Self::Extensions,
    ];

    /// How many of them are CloudWatch's.
    pub const BY_MINUTE: usize = 3;

    /// The phases of a cold start, and what labels call them.
    pub const PHASES: [(Self, &'static str); 5] = [
        (Self::Queue, "queue"),
        (Self::Sandbox, "sandbox"),
        (Self::Init, "init"),
        (Self::Handler, "handler"),
        (Self::Extensions, "extensions"),
    ];
}

/// All counters, and the first `SAMPLES` histograms.
#[derive(Debug)]
pub struct Tally<const SAMPLES: usize> {
    counts: [AtomicU64; Count::ALL.len()],
    samples: [Histogram; SAMPLES],
}

impl<const SAMPLES: usize> Tally<SAMPLES> {
    /// Counts one.
    pub fn add(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Relaxed);
    }

    /// Enters a time, where this tally has a histogram for it.
    pub fn enter(&self, sample: Sample, took: Duration) {
        if let Some(histogram) = self.samples.get(sample as usize) {
            histogram.enter(took);
        }
    }

    /// What a counter shows.
    pub fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Relaxed)
    }

    /// What a histogram shows; empty where this tally has none.
    pub fn distribution(&self, sample: Sample) -> Distribution {
        self.samples.get(sample as usize).map(Histogram::read).unwrap_or_default()
    }

    /// Begins again from nothing. What others enter meanwhile may be lost.
    pub fn clear(&self) {
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
        self.samples.iter().for_each(Histogram::clear);
    }
}

impl<const SAMPLES: usize> Default for Tally<SAMPLES> {
    fn default() -> Self {
        Self { counts: Default::default(), samples: std::array::from_fn(|_| Histogram::default()) }
    }
}

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    /// Microseconds, as the next two.
    sum: AtomicU64,
    /// The largest number while there is none.
    least: AtomicU64,
    most: AtomicU64,
}

impl Histogram {
    fn enter(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
        // Most are neither, and a look is cheaper than an exchange.
        if micros < self.least.load(Relaxed) {
            self.least.fetch_min(micros, Relaxed);
        }
        if micros > self.most.load(Relaxed) {
            self.most.fetch_max(micros, Relaxed);
        }
    }

    fn read(&self) -> Distribution {
        Distribution {
            buckets: std::array::from_fn(|place| self.buckets[place].load(Relaxed)),
            sum: Duration::from_micros(self.sum.load(Relaxed)),
            least: Duration::from_micros(self.least.load(Relaxed)),
            most: Duration::from_micros(self.most.load(Relaxed)),
        }
    }

    fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        self.sum.store(0, Relaxed);
        self.least.store(u64::MAX, Relaxed);
        self.most.store(0, Relaxed);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Default::default(),
            sum: AtomicU64::new(0),
            least: AtomicU64::new(u64::MAX),
            most: AtomicU64::new(0),
        }
    }
}

/// The bucket of a time in microseconds: the first whose end is not below it.
fn bucket(micros: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < micros)
}

/// What a histogram showed. Any two can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distribution {
    /// How many times were in each bucket; the last is of those beyond [`BOUNDS`].
    pub buckets: [u64; BUCKETS],
    /// All times together.
    pub sum: Duration,
    /// The shortest, when there is one.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

impl Distribution {
    /// How many times were entered.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, more)| *mine += more);
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// The time that a share of all times does not exceed, never beyond the shortest and the longest; nothing when
    /// there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        quantile(&self.buckets, share).map(|time| time.clamp(self.least, self.most))
    }
}

impl Default for Distribution {
    fn default() -> Self {
        let least = Duration::from_micros(u64::MAX);
        Self { buckets: [0; BUCKETS], sum: Duration::ZERO, least, most: Duration::ZERO }
    }
}

/// The time that a share of all times does not exceed, as well as the buckets know: within a bucket, times are taken to
/// be spread evenly. Nothing when there are none.
pub fn quantile(buckets: &[u64; BUCKETS], share: f64) -> Option<Duration> {
    let total: u64 = buckets.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = share.clamp(0.0, 1.0) * total as f64;
    let mut below = 0;
    for (place, &count) in buckets.iter().enumerate() {
        if count > 0 && (below + count) as f64 >= rank {
            let start = if place == 0 { 0 } else { BOUNDS[place - 1] };
            let width = BOUNDS.get(place).map_or(0, |end| end - start);
            let within = (rank - below as f64).max(0.0) / count as f64;
            return Some(Duration::from_micros(start + (width as f64 * within) as u64));
        }
        below += count;
    }
    None
}
