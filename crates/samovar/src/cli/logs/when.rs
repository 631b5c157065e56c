//! Moments as people type them: `10m`, `2h`, `1h30m`, RFC 3339, a date, or seconds since 1970. Pure.

use std::str::FromStr;
use std::time::Duration;

use base::clock::Timestamp;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Whole numbers from here on are milliseconds, below they are seconds: as seconds this is the year 5138.
const EPOCH_MILLIS_FROM: i64 = 100_000_000_000;
/// Units that may follow a number, in seconds.
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long before now.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

/// The text names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use 10m, 2h, 1d, a date such as 2026-11-21 or 2026-11-21T10:00:00Z, or seconds since 1970")]
pub struct NotATime;

impl When {
    /// The moment, when it is `now`.
    pub fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(now.as_micros().saturating_sub(ago).max(0))
            }
        }
    }
}

impl FromStr for When {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return epoch(number).map(Self::At).ok_or(NotATime);
        }
        duration(text)
            .map(Self::Ago)
            .or_else(|| date(text).map(|millis| Self::At(Timestamp::from_millis(millis))))
            .ok_or(NotATime)
    }
}

fn epoch(number: i64) -> Option<Timestamp> {
    let millis = if number < EPOCH_MILLIS_FROM { number.checked_mul(1000)? } else { number };
    (millis >= 0).then_some(Timestamp::from_millis(millis))
}

/// `90s`, `1h30m`: numbers, each with a unit.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next()?;
        let (_, worth) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*worth)?)?;
        rest = &tail[unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// Milliseconds since the epoch; what names no zone is UTC.
fn date(text: &str) -> Option<i64> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp_millis());
    let plain = || {
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    zoned.or_else(|| plain().or_else(day).map(|moment| moment.and_utc().timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 21 November 2026, 10:00 UTC.
    const NOW: i64 = 1_795_255_200_000;

    fn shown(text: &str) -> String {
        match text.parse::<When>() {
            Ok(when) => when.seen_from(Timestamp::from_millis(NOW)).to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_number_with_a_unit_is_so_long_ago() {
        for (text, moment) in [
            ("30s", "2026-11-21T09:59:30.000Z"),
            ("10m", "2026-11-21T09:50:00.000Z"),
            ("2h", "2026-11-21T08:00:00.000Z"),
            ("1h30m", "2026-11-21T08:30:00.000Z"),
            ("1d", "2026-11-20T10:00:00.000Z"),
            ("1w", "2026-11-14T10:00:00.000Z"),
            ("99999w", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(shown(text), moment, "{text}");
        }
    }

    #[test]
    fn dates_and_numbers_are_moments() {
        for (text, moment) in [
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21T12:00:00.25+02:00", "2026-11-21T10:00:00.250Z"),
            ("2026-11-21T10:00:00", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21 10:00", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21", "2026-11-21T00:00:00.000Z"),
            ("1795255200", "2026-11-21T10:00:00.000Z"),
            ("1795255200123", "2026-11-21T10:00:00.123Z"),
            ("0", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(shown(text), moment, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "m", "10x", "1.5h", "-5", "h1", "yesterday", "2026-13-01", "99999999999999999999d"] {
            assert_eq!(text.parse::<When>(), Err(NotATime), "{text}");
        }
    }
}
