//! Percentiles: exact for some values, then within half a percent.

use std::collections::BTreeMap;

/// Values that are kept as they are.
const EXACT: usize = 1024;

/// How much wider each bucket is than the one before.
const GROWTH: f64 = 1.01;

/// Values nearer to zero than this count as zero.
const LEAST: f64 = 1e-9;

/// Numbers, or how many there are in each of many narrow buckets.
#[derive(Debug, Clone, Default)]
pub struct Quantiles {
    exact: Vec<f64>,
    /// By sign and logarithm, so in the order of the numbers.
    buckets: BTreeMap<i32, u64>,
    count: u64,
}

impl Quantiles {
    /// Answers by how many bytes this grew, about.
    pub fn take(&mut self, number: f64) -> usize {
        self.count += 1;
        if self.buckets.is_empty() && self.exact.len() < EXACT {
            self.exact.push(number);
            return size_of::<f64>();
        }
        let before = self.buckets.len();
        for number in std::mem::take(&mut self.exact).into_iter().chain([number]) {
            *self.buckets.entry(bucket(number)).or_default() += 1;
        }
        (self.buckets.len() - before) * 2 * size_of::<u64>()
    }

    /// The number that a part of all, from 0 to 1, does not exceed.
    pub fn at(&self, part: f64) -> Option<f64> {
        let rank = (part * self.count as f64).ceil().max(1.0) as u64;
        if self.buckets.is_empty() {
            let mut sorted = self.exact.clone();
            sorted.sort_by(f64::total_cmp);
            return sorted.get(usize::try_from(rank).ok()?.min(sorted.len()).checked_sub(1)?).copied();
        }
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.or(self.buckets.last_key_value()).map(|(bucket, _)| middle(*bucket))
    }
}

fn bucket(number: f64) -> i32 {
    if number.abs() < LEAST {
        return 0;
    }
    let distance = ((number.abs() / LEAST).ln() / GROWTH.ln()).ceil() as i32 + 1;
    if number < 0.0 { -distance } else { distance }
}

fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let size = LEAST * GROWTH.powf(f64::from(bucket.abs()) - 1.5);
    if bucket < 0 { -size } else { size }
}
