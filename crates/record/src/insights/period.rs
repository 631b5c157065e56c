//! Spans of time that moments are rounded to: `5m`, `1d`, `1mo`.

use chrono::{DateTime, Datelike, TimeZone, Utc};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A span of time, at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Millis(i64),
    /// Of the calendar, in UTC.
    Months(i64),
}

impl Period {
    /// Reads a number and a unit; `None` when there is no such unit or the span is not a whole one above zero.
    ///
    /// Source: the user guide, "Datetime functions".
    pub fn new(number: f64, unit: &str) -> Option<Self> {
        if !(number.fract() == 0.0 && (1.0..1e9).contains(&number)) {
            return None;
        }
        let count = number as i64;
        Some(match unit.to_ascii_lowercase().as_str() {
            "ms" | "msec" | "millisecond" | "milliseconds" => Self::Millis(count),
            "s" | "sec" | "second" | "seconds" => Self::Millis(count * SECOND),
            "m" | "min" | "minute" | "minutes" => Self::Millis(count * MINUTE),
            "h" | "hr" | "hour" | "hours" => Self::Millis(count * HOUR),
            "d" | "day" | "days" => Self::Millis(count * DAY),
            "w" | "week" | "weeks" => Self::Millis(count * 7 * DAY),
            "mo" | "mon" | "month" | "months" => Self::Months(count),
            "q" | "qtr" | "quarter" | "quarters" => Self::Months(count * 3),
            "y" | "yr" | "year" | "years" => Self::Months(count * 12),
            _ => return None,
        })
    }

    /// The last beginning of a span that is not after `millis`.
    pub fn floor(self, millis: i64) -> i64 {
        match self {
            Self::Millis(span) => millis - millis.rem_euclid(span),
            Self::Months(span) => {
                month(months(millis).map(|months| months - months.rem_euclid(span)), millis)
            }
        }
    }

    /// The first beginning of a span that is not before `millis`.
    pub fn ceil(self, millis: i64) -> i64 {
        let floor = self.floor(millis);
        match self {
            _ if floor == millis => millis,
            Self::Millis(span) => floor.saturating_add(span),
            Self::Months(span) => month(months(floor).map(|months| months + span), millis),
        }
    }
}

/// Months since the year 0.
fn months(millis: i64) -> Option<i64> {
    let date: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
    Some(i64::from(date.year()) * 12 + i64::from(date.month0()))
}

/// When a month begins; `otherwise` for one that no calendar has.
fn month(months: Option<i64>, otherwise: i64) -> i64 {
    let begin = months.and_then(|months| {
        let year = i32::try_from(months.div_euclid(12)).ok()?;
        let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
        Utc.with_ymd_and_hms(year, month, 1, 0, 0, 0).single()
    });
    begin.map_or(otherwise, |begin| begin.timestamp_millis())
}
