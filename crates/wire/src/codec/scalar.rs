//! Scalars as text: in paths, queries and headers, and moments everywhere.

use base::clock::Timestamp;
use chrono::{DateTime, NaiveDateTime};

use crate::schema::{Kind, Shape, TimestampFormat};
use crate::value::Value;

/// `Sat, 21 Nov 2026 10:00:00 GMT`
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Reads one scalar from text; `None` when it is not of the shape.
pub fn read(shape: &Shape, text: &str) -> Option<Value> {
    Some(match shape.kind {
        Kind::String { .. } => Value::String(text.to_owned()),
        Kind::Integer => Value::Integer(saturated_integer(text.trim().parse().ok()?)),
        Kind::Long => Value::Integer(text.trim().parse().ok()?),
        Kind::Double => Value::Double(text.trim().parse().ok()?),
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
        Kind::Timestamp => Value::Timestamp(read_timestamp(text)?),
        _ => return None,
    })
}

/// Writes one scalar as text; `None` for values that are not scalars.
pub fn write(value: &Value, format: TimestampFormat) -> Option<String> {
    Some(match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}"),
        Value::String(text) => text.clone(),
        Value::Timestamp(moment) => write_timestamp(format, *moment),
        _ => return None,
    })
}

/// Decimals are cut off, and what does not fit 32 bits becomes the nearest that does. Source: recorded in 2026.
pub fn saturated_integer(number: f64) -> i64 {
    i64::from(number as i32)
}

/// A moment from seconds since the epoch.
pub fn from_epoch(seconds: f64) -> Timestamp {
    // Rounded: 0.1 s has no exact binary form.
    Timestamp::from_micros((seconds * 1e6).round() as i64)
}

/// Seconds since the epoch, with up to three decimals, as AWS writes JSON dates.
pub fn epoch(moment: Timestamp) -> String {
    let millis = moment.as_millis();
    let (sign, magnitude) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let text = format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads any of the three forms; clients of older models mix them.
pub fn read_timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::from_micros(moment.timestamp_micros()));
    }
    if let Ok(moment) = NaiveDateTime::parse_from_str(text, HTTP_DATE) {
        return Some(Timestamp::from_micros(moment.and_utc().timestamp_micros()));
    }
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite()).map(from_epoch)
}

/// Writes a moment in one of the forms.
pub fn write_timestamp(format: TimestampFormat, moment: Timestamp) -> String {
    match format {
        TimestampFormat::EpochSeconds => epoch(moment),
        TimestampFormat::HttpDate => moment.to_utc().format(HTTP_DATE).to_string(),
        TimestampFormat::DateTime if moment.as_millis() % 1000 == 0 => {
            moment.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
        TimestampFormat::DateTime => moment.iso_millis(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_their_form_and_read_in_any() {
        for (millis, seconds, date, http) in [
            (1_788_256_800_000, "1788256800", "2026-09-01T10:00:00Z", "Tue, 01 Sep 2026 10:00:00 GMT"),
            (1_788_256_800_120, "1788256800.12", "2026-09-01T10:00:00.120Z", "Tue, 01 Sep 2026 10:00:00 GMT"),
            (
                1_788_256_800_007,
                "1788256800.007",
                "2026-09-01T10:00:00.007Z",
                "Tue, 01 Sep 2026 10:00:00 GMT",
            ),
            (0, "0", "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1500, "-1.5", "1969-12-31T23:59:58.500Z", "Wed, 31 Dec 1969 23:59:58 GMT"),
        ] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(write_timestamp(TimestampFormat::EpochSeconds, moment), seconds);
            assert_eq!(write_timestamp(TimestampFormat::DateTime, moment), date);
            assert_eq!(write_timestamp(TimestampFormat::HttpDate, moment), http);
            assert_eq!(read_timestamp(seconds), Some(moment));
            assert_eq!(read_timestamp(date), Some(moment));
            assert!(read_timestamp(http).is_some());
        }
        for text in ["", "now", "NaN", "inf", "2026-09-01"] {
            assert_eq!(read_timestamp(text), None, "{text}");
        }
    }
}
