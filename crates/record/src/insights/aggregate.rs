//! The functions of `stats`, which make one value of many rows.
//!
//! Source: the user guide, "stats".

mod distinct;
mod quantile;

use distinct::Distinct;
use quantile::Quantiles;

use super::syntax::Comparing;
use super::value::Value;

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Count,
    CountDistinct,
    Sum,
    Average,
    Deviation,
    Least,
    Greatest,
    /// With the part, from 0 to 1.
    Percentile(f64),
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}

/// What has been seen of a group's values.
#[derive(Debug, Clone)]
pub enum Aggregate {
    Count(f64),
    Distinct(Distinct),
    /// Sum, count, and how often the sum is what is asked for.
    Sum {
        sum: f64,
        count: f64,
        average: bool,
    },
    /// Welford's running mean and sum of squares.
    Deviation {
        count: f64,
        mean: f64,
        squares: f64,
    },
    /// The best value so far, and which are better.
    Best {
        value: Value,
        better: Comparing,
    },
    Percentile {
        part: f64,
        values: Quantiles,
    },
    /// The value of the event that is first, or last.
    At {
        time: f64,
        value: Value,
        latest: bool,
    },
    Sorted {
        value: Value,
        last: bool,
    },
}

impl Kind {
    /// A function by its name, in whatever case; percentiles get their part later.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "count" => Self::Count,
            "count_distinct" => Self::CountDistinct,
            "sum" => Self::Sum,
            "avg" => Self::Average,
            "stddev" => Self::Deviation,
            "min" => Self::Least,
            "max" => Self::Greatest,
            "pct" | "percentile" => Self::Percentile(0.0),
            "median" => Self::Percentile(0.5),
            "earliest" => Self::Earliest,
            "latest" => Self::Latest,
            "sortsfirst" => Self::SortsFirst,
            "sortslast" => Self::SortsLast,
            _ => return None,
        })
    }

    /// Before the first row.
    pub fn begin(self) -> Aggregate {
        match self {
            Self::Count => Aggregate::Count(0.0),
            Self::CountDistinct => Aggregate::Distinct(Distinct::default()),
            Self::Sum => Aggregate::Sum { sum: 0.0, count: 0.0, average: false },
            Self::Average => Aggregate::Sum { sum: 0.0, count: 0.0, average: true },
            Self::Deviation => Aggregate::Deviation { count: 0.0, mean: 0.0, squares: 0.0 },
            Self::Least => Aggregate::Best { value: Value::Missing, better: Comparing::Less },
            Self::Greatest => Aggregate::Best { value: Value::Missing, better: Comparing::Greater },
            Self::Percentile(part) => Aggregate::Percentile { part, values: Quantiles::default() },
            Self::Earliest => Aggregate::At { time: f64::INFINITY, value: Value::Missing, latest: false },
            Self::Latest => Aggregate::At { time: f64::NEG_INFINITY, value: Value::Missing, latest: true },
            Self::SortsFirst => Aggregate::Sorted { value: Value::Missing, last: false },
            Self::SortsLast => Aggregate::Sorted { value: Value::Missing, last: true },
        }
    }
}

impl Aggregate {
    /// Takes a row's value, which is there, and the time of its event; answers by how many bytes this grew.
    pub fn take(&mut self, new: Value, at: &Value) -> usize {
        match self {
            Self::Count(count) => *count += 1.0,
            Self::Distinct(distinct) => return distinct.take(&new),
            Self::Sum { sum, count, .. } => {
                if let Some(number) = new.number() {
                    *sum += number;
                    *count += 1.0;
                }
            }
            Self::Deviation { count, mean, squares } => {
                if let Some(number) = new.number() {
                    *count += 1.0;
                    let off = number - *mean;
                    *mean += off / *count;
                    *squares += off * (number - *mean);
                }
            }
            Self::Best { value, better } => {
                if value.is_missing() || new.compare(*better, value) {
                    return replace(value, new);
                }
            }
            Self::Percentile { values, .. } => return new.number().map_or(0, |number| values.take(number)),
            Self::At { time, value, latest } => {
                let this = at.number().unwrap_or_default();
                if value.is_missing() || (if *latest { this > *time } else { this <= *time }) {
                    *time = this;
                    return replace(value, new);
                }
            }
            Self::Sorted { value, last } => {
                let order = new.sort_order(value);
                if value.is_missing() || (if *last { order.is_gt() } else { order.is_lt() }) {
                    return replace(value, new);
                }
            }
        }
        0
    }

    /// The group's value.
    pub fn value(&self) -> Value {
        match self {
            Self::Count(count) => Value::Number(*count),
            Self::Distinct(distinct) => Value::Number(distinct.count()),
            Self::Sum { count, .. } if *count == 0.0 => Value::Missing,
            Self::Sum { sum, average: false, .. } => Value::finite(*sum),
            Self::Sum { sum, count, .. } => Value::finite(*sum / *count),
            Self::Deviation { count, .. } if *count == 0.0 => Value::Missing,
            Self::Deviation { count, squares, .. } => {
                Value::finite((*squares / (*count - 1.0).max(1.0)).sqrt())
            }
            Self::Percentile { part, values } => values.at(*part).map_or(Value::Missing, Value::Number),
            Self::Best { value, .. } | Self::At { value, .. } | Self::Sorted { value, .. } => match value {
                // A moment becomes a number, as the service has it: `fromMillis(max(@timestamp))`.
                Value::Time(millis) => Value::Number(*millis as f64),
                Value::Measure(number) => Value::Number(*number),
                value => value.clone(),
            },
        }
    }
}

/// Answers by how many bytes the new value is larger.
fn replace(old: &mut Value, new: Value) -> usize {
    let grown = new.bytes().saturating_sub(old.bytes());
    *old = new;
    grown
}
