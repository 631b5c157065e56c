//! Which lines a function's logging configuration keeps. Levels apply to JSON log format only.

use std::str::FromStr;

use serde::Deserialize;

use crate::lines::{Event, Kind};
use crate::report::{Ending, Record};

/// How a function's log is written: `LoggingConfig.LogFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of text.
    Text,
    /// One JSON object an event; levels apply.
    Json,
}

/// How grave an application's line is, and the threshold that `ApplicationLogLevel` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`, the default threshold.
    Info,
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
    /// `FATAL`
    Fatal,
}

/// The threshold for the platform's own lines: `SystemLogLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemLevel {
    /// `DEBUG`: everything.
    Debug,
    /// `INFO`, the default.
    Info,
    /// `WARN`: failures.
    Warn,
}

/// A word that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log level")]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// The six levels in any case, and Python's names for two of them.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let known = [
            ("TRACE", Self::Trace),
            ("DEBUG", Self::Debug),
            ("INFO", Self::Info),
            ("WARN", Self::Warn),
            ("WARNING", Self::Warn),
            ("ERROR", Self::Error),
            ("FATAL", Self::Fatal),
            ("CRITICAL", Self::Fatal),
        ];
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, level)| *level).ok_or_else(|| UnknownLevel(text.into()))
    }
}

impl FromStr for SystemLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text {
            "DEBUG" => Ok(Self::Debug),
            "INFO" => Ok(Self::Info),
            "WARN" => Ok(Self::Warn),
            _ => Err(UnknownLevel(text.into())),
        }
    }
}

/// Whether an application's event is written under a threshold.
///
/// A frame counts by its level, or always when it has none. A line that is a JSON object counts by its
/// `level` member, as INFO when that is missing or no level. Other text cannot be judged and is written.
/// Source: Lambda Developer Guide, "Log level filtering"; recorded for objects without timestamp.
pub fn application_passes(threshold: Level, event: &Event) -> bool {
    match (event.kind, event.level) {
        (_, Some(level)) => level >= threshold,
        (Kind::Raw, None) => level_of_object(&event.message).is_none_or(|level| level >= threshold),
        (Kind::TextFrame | Kind::JsonFrame, None) => true,
    }
}

/// Whether one of the platform's own records is written under a threshold.
pub fn system_passes(threshold: SystemLevel, record: &Record) -> bool {
    let lowest = match record {
        Record::InitRuntimeDone(done) => of_ending(&done.ending, SystemLevel::Debug),
        Record::InitReport(report) => of_ending(&report.ending, SystemLevel::Debug),
        Record::RestoreRuntimeDone(ending) => of_ending(ending, SystemLevel::Debug),
        Record::RestoreReport(report) => of_ending(&report.ending, SystemLevel::Info),
        Record::RuntimeDone(done) => of_ending(&done.ending, SystemLevel::Debug),
        Record::Report(report) => of_ending(&report.ending, SystemLevel::Info),
        Record::InitStart(_)
        | Record::RestoreStart(_)
        | Record::Start(_)
        | Record::End(_)
        | Record::Extension(_)
        | Record::Subscription(_) => SystemLevel::Info,
    };
    lowest >= threshold
}

fn of_ending(ending: &Ending, when_good: SystemLevel) -> SystemLevel {
    if matches!(ending, Ending::Success) { when_good } else { SystemLevel::Warn }
}

/// The level of a line that is a JSON object; `None` when it is something else.
fn level_of_object(line: &[u8]) -> Option<Level> {
    #[derive(Deserialize)]
    struct Leveled<'a> {
        #[serde(borrow, default)]
        level: Option<&'a serde_json::value::RawValue>,
    }
    if line.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let object: Leveled<'_> = serde_json::from_slice(line).ok()?;
    let text = object.level.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    Some(text.and_then(|text| text.parse().ok()).unwrap_or(Level::Info))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(kind: Kind, level: Option<Level>, message: &'static str) -> Event {
        Event { timestamp: None, level, kind, message: Bytes::from_static(message.as_bytes()) }
    }

    #[test]
    fn lines_are_kept_by_the_level_of_their_frame_or_their_json_object() {
        let lines = [
            ("frame INFO", event(Kind::JsonFrame, Some(Level::Info), "{}\n")),
            ("frame ERROR", event(Kind::TextFrame, Some(Level::Error), "x\n")),
            ("frame without level", event(Kind::TextFrame, None, "x\n")),
            ("print", event(Kind::Raw, None, "plain {\"level\":\"DEBUG\"}\n")),
            ("object ERROR", event(Kind::Raw, None, "{\"level\":\"ERROR\"}\n")),
            ("object warning", event(Kind::Raw, None, " {\"m\":1,\"level\":\"warning\"}\n")),
            ("object without level", event(Kind::Raw, None, "{\"message\":1}\n")),
            ("object with odd level", event(Kind::Raw, None, "{\"level\":30}\n")),
            ("broken object", event(Kind::Raw, None, "{\"level\":\"DEBUG\"\n")),
        ];
        let kept = |threshold| {
            let kept = lines.iter().filter(|(_, event)| application_passes(threshold, event));
            kept.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            kept(Level::Warn),
            "frame ERROR, frame without level, print, object ERROR, object warning, broken object"
        );
        assert_eq!(kept(Level::Fatal), "frame without level, print, broken object");
        assert_eq!(kept(Level::Info).matches(',').count(), 8);
    }

    #[test]
    fn levels_are_read_in_any_case_and_system_levels_are_three() {
        for (text, level) in [("TRACE", Level::Trace), ("Warning", Level::Warn), ("critical", Level::Fatal)] {
            assert_eq!(text.parse(), Ok(level));
        }
        assert_eq!("LOUD".parse::<Level>(), Err(UnknownLevel("LOUD".into())));
        assert_eq!("ERROR".parse::<SystemLevel>(), Err(UnknownLevel("ERROR".into())));
    }
}
