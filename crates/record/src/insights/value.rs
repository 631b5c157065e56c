//! What a field can be, how it is compared, and how it is shown.

mod natural;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use base::clock::Timestamp;

use super::syntax::{Arithmetic, Comparing};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The row has no such field.
    Missing,
    Truth(bool),
    /// A result of a calculation; shown with up to four decimals.
    Number(f64),
    /// A number that was discovered in a platform line; shown as `1.28E8` or `4.0`.
    Measure(f64),
    /// Milliseconds since the epoch.
    Time(i64),
    Text(Arc<str>),
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// As a number, if it is one or reads as one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Truth(truth) => Some(f64::from(u8::from(*truth))),
            Self::Number(number) | Self::Measure(number) => Some(*number),
            Self::Time(millis) => Some(*millis as f64),
            Self::Text(text) => read_number(text),
        }
    }

    /// As a condition.
    pub fn holds(&self) -> bool {
        match self {
            Self::Text(text) if &**text == "true" => true,
            value => value.number().is_some_and(|number| number != 0.0),
        }
    }

    /// As it is shown; empty when it is missing.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Truth(truth) => Cow::Borrowed(if *truth { "1" } else { "0" }),
            Self::Number(number) => Cow::Owned(show_number(*number)),
            Self::Measure(number) => Cow::Owned(show_measure(*number)),
            Self::Time(millis) => Cow::Owned(show_time(*millis)),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Its share of memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => size_of::<Self>() + 16 + text.len(),
            _ => size_of::<Self>(),
        }
    }

    /// Whether a comparison holds. What is missing differs from everything, and is neither less nor greater.
    pub fn compare(&self, comparing: Comparing, other: &Self) -> bool {
        let order = match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => None,
            (Self::Truth(truth), Self::Text(text)) | (Self::Text(text), Self::Truth(truth))
                if matches!(&**text, "true" | "false") =>
            {
                Some((&**text == "true").cmp(truth))
            }
            _ => Some(self.order(other)),
        };
        match comparing {
            Comparing::Equal => order == Some(Ordering::Equal),
            Comparing::NotEqual => order != Some(Ordering::Equal),
            Comparing::Less => order == Some(Ordering::Less),
            Comparing::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparing::Greater => order == Some(Ordering::Greater),
            Comparing::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// As numbers when both are some, else as texts.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.shown().cmp(&other.shown()),
        }
    }

    /// As `sort` orders: what is missing, then texts in natural order, then numbers.
    ///
    /// Source: the user guide, "sort".
    pub fn sort_order(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (None, None) => other
                .is_missing()
                .cmp(&self.is_missing())
                .then_with(|| natural::order(&self.shown(), &other.shown())),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }

    /// A result that is no number is missing.
    pub fn calculate(&self, arithmetic: Arithmetic, other: &Self) -> Self {
        let (Some(a), Some(b)) = (self.number(), other.number()) else { return Self::Missing };
        Self::finite(match arithmetic {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
            Arithmetic::Remainder => a % b,
            Arithmetic::Power => a.powf(b),
        })
    }

    /// A number, or missing when there is none such.
    pub fn finite(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Missing }
    }
}

/// A number as a log has it: an optional sign, digits, a fraction, an exponent.
fn read_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let begins = bytes.first().is_some_and(|c| c.is_ascii_digit() || b"+-.".contains(c));
    let plain = bytes.iter().all(|c| c.is_ascii_digit() || b"+-.eE".contains(c));
    (begins && plain).then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// Up to four decimals, without those that are zero at the end.
fn show_number(number: f64) -> String {
    let rounded = format!("{number:.4}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".into() } else { short.into() }
}

/// As Java writes a `double`, which is how the service shows what it discovers.
fn show_measure(number: f64) -> String {
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) {
        return format!("{number:?}");
    }
    let scientific = format!("{number:E}");
    match scientific.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => scientific,
    }
}

/// `2026-11-21 10:00:00.000`, in UTC.
fn show_time(millis: i64) -> String {
    Timestamp::from_millis(millis).to_utc().format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
