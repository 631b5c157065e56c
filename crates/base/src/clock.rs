//! The one clock. It follows tokio's, so a test that pauses tokio drives it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch with fraction, as AWS's JSON dates are.
    pub fn as_secs_f64(self) -> f64 {
        self.as_millis() as f64 / 1000.0
    }

    /// Time since an earlier moment; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment so long before; saturates.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The moment as a calendar date in UTC.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// `2026-11-21T10:00:00.000Z`, as log lines and telemetry write it.
    pub fn iso_millis(self) -> String {
        self.to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// `2026-11-21T10:00:00.000000Z`, as function URLs write it.
    pub fn iso_micros(self) -> String {
        self.to_utc().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    /// `2026-11-21T10:00:00.000+0000`, as `LastModified` writes it.
    pub fn last_modified(self) -> String {
        self.to_utc().format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso_millis())
    }
}

/// Tells the time and waits. Cheap to clone.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    wall: i64,
}

impl Clock {
    /// The machine's clock, read once; afterwards time only moves forward, whatever is set on the machine.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), wall: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX) }
    }

    /// A clock that starts at `at`; pause tokio's time to drive it.
    #[allow(clippy::disallowed_methods, reason = "tokio's clock is the one that tests drive")]
    pub fn starting_at(at: Timestamp) -> Self {
        Self { start: Instant::now(), wall: at.0 }
    }

    /// The current moment.
    #[allow(clippy::disallowed_methods, reason = "tokio's clock is the one that tests drive")]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall) + self.start.elapsed()
    }

    /// Waits. Needs a tokio runtime.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
