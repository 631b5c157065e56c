//! Times, and the table that all rows go to.

use std::time::Duration;

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Sorted times.
pub struct Times(Vec<Duration>);

impl Times {
    /// Of these, in any order.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The longest.
    pub fn last(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// Each with this added.
    pub fn plus(&self, more: Duration) -> Self {
        Self(self.0.iter().map(|time| *time + more).collect())
    }

    /// In milliseconds; not a number when there are none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last * percent).div_ceil(100).min(last)).copied().map_or(f64::NAN, millis)
    }
}

/// What is printed at the end.
#[derive(Default)]
pub struct Table {
    pub text: String,
}

impl Table {
    /// Times beside the median of their floor.
    pub fn row(&mut self, what: &str, times: &Times, floor: &Times, floor_is: &str) {
        let (p50, p99, least) = (times.percentile(50), times.percentile(99), floor.percentile(50));
        self.line(&format!(
            "{what:<52} p50 {p50:>9.3} ms   p99 {p99:>9.3} ms   floor {least:>9.3} ms (x{:.1}: {floor_is})",
            p50 / least
        ));
    }

    /// A figure that is better the larger it is, beside its floor in the same unit.
    pub fn rate(&mut self, what: &str, rate: f64, floor: f64, unit: &str, floor_is: &str) {
        self.line(&format!(
            "{what:<52} {rate:>13.0} {unit:<18} floor {floor:>9.0} {unit} ({:.3} of it: {floor_is})",
            rate / floor
        ));
    }

    /// A row of its own shape.
    pub fn note(&mut self, what: &str, figure: &str) {
        self.line(&format!("{what:<52} {figure}"));
    }

    fn line(&mut self, line: &str) {
        eprintln!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }
}
