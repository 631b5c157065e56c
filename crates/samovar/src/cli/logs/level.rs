//! How grave a log event is, from what it says. Pure.

use serde::Deserialize;
use serde_json::Value;

/// Words of a line among which a level is looked for: time, request id and level stand first.
const FIRST_WORDS: usize = 5;
/// Of the platform's own lines that only frame an invocation.
const FRAME: &[&str] =
    &["START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_START ", "INIT_REPORT "];

/// How grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Failures, of the function or of the platform.
    Error,
    /// Warnings.
    Warn,
    /// Debugging, and what the platform says around an invocation.
    Dim,
    /// All else.
    Plain,
}

/// The level of a message.
pub fn of(message: &str) -> Level {
    let message = message.trim_start();
    if message.starts_with('{') {
        return serde_json::from_str(message).map_or(Level::Plain, |record| of_json(&record));
    }
    if let Some(level) = of_platform(message) {
        return level;
    }
    let first_line = message.lines().next().unwrap_or_default();
    first_line.split_whitespace().take(FIRST_WORDS).find_map(word).unwrap_or(Level::Plain)
}

/// Members of JSON lines that tell a level: of the platform and of common loggers.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    level: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default, rename = "errorType")]
    error_type: Value,
    #[serde(default)]
    record: Value,
}

fn of_json(told: &Told) -> Level {
    match &told.level {
        Value::String(name) => return named(name).unwrap_or(Level::Plain),
        // The numbers of bunyan and pino.
        Value::Number(number) => {
            return match number.as_f64().unwrap_or_default() {
                50.0.. => Level::Error,
                40.0..50.0 => Level::Warn,
                0.0..30.0 => Level::Dim,
                _ => Level::Plain,
            };
        }
        _ => {}
    }
    if told.error_type.is_string() {
        return Level::Error;
    }
    if told.kind.as_str().is_some_and(|kind| kind.starts_with("platform.")) {
        let failed = matches!(told.record["status"].as_str(), Some("error" | "timeout" | "failure"));
        return if failed { Level::Error } else { Level::Dim };
    }
    Level::Plain
}

fn of_platform(message: &str) -> Option<Level> {
    if FRAME.iter().any(|frame| message.starts_with(frame)) {
        let failed = message.contains("\tStatus: error") || message.contains("\tStatus: timeout");
        return Some(if failed { Level::Error } else { Level::Dim });
    }
    let crashed = message.starts_with("RequestId: ") && message.contains(" Error: ");
    let timed_out = message.contains(" Task timed out after ");
    (crashed || timed_out).then_some(Level::Error)
}

/// A word that is a level and nothing else: `ERROR`, `[WARNING]`, `error:`, `level=debug`.
fn word(word: &str) -> Option<Level> {
    if let Some(name) = word.strip_prefix("level=") {
        return named(name.trim_matches('"'));
    }
    let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
    let marked = word.ends_with(':') || word.starts_with('[') && word.ends_with(']');
    let shouted = bare.chars().all(|letter| letter.is_ascii_uppercase());
    (marked || shouted).then(|| named(bare)).flatten()
}

fn named(name: &str) -> Option<Level> {
    match name.to_ascii_uppercase().as_str() {
        "ERROR" | "ERR" | "FATAL" | "CRITICAL" | "PANIC" => Some(Level::Error),
        "WARN" | "WARNING" => Some(Level::Warn),
        "DEBUG" | "TRACE" => Some(Level::Dim),
        "INFO" => Some(Level::Plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: Level, messages: &[&str]) {
        for message in messages {
            assert_eq!(of(message), level, "{message}");
        }
    }

    const ID: &str = "79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32";

    #[test]
    fn failures_are_errors() {
        check(
            Level::Error,
            &[
                "[ERROR]\t2026-11-21T10:00:00.000Z\t79104eff\tno tea",
                "[ERROR] ValueError: no tea\rTraceback (most recent call last):",
                "2026-11-21T10:00:00.000Z\t79104eff\tERROR\tInvoke Error \t{\"errorType\":\"Error\"}",
                "error: no tea",
                "2026/11/21 10:00:00 FATAL no tea",
                "time=10:00 level=error msg=x",
                "{\"level\":\"ERROR\",\"message\":\"x\"}",
                "{\"level\":\"critical\"}",
                "{\"level\":50,\"msg\":\"x\"}",
                "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"x\"}",
            ],
        );
    }

    #[test]
    fn failures_of_the_platform_are_errors() {
        for rest in [
            format!("REPORT RequestId: {ID}\tDuration: 3000.00 ms\tStatus: timeout\n"),
            format!("REPORT RequestId: {ID}\tStatus: error\tError Type: Runtime.OutOfMemory\n"),
            "INIT_REPORT Init Duration: 10.17 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"
                .into(),
            format!("RequestId: {ID} Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n"),
            format!("2026-11-21T10:00:00.000Z {ID} Task timed out after 3.00 seconds\n"),
            "{\"type\":\"platform.report\",\"record\":{\"status\":\"timeout\"}}".into(),
        ] {
            check(Level::Error, &[&rest]);
        }
    }

    #[test]
    fn warnings_and_debugging() {
        check(
            Level::Warn,
            &[
                "[WARNING]\tx",
                "WARN x",
                "{\"level\":\"warn\"}",
                "{\"level\":40}",
                "2026-11-21T10:00:00Z id WARN x",
            ],
        );
        check(Level::Dim, &["[DEBUG]\tx", "{\"level\":\"DEBUG\"}", "{\"level\":20}", "TRACE x"]);
    }

    #[test]
    fn what_frames_an_invocation_is_dim() {
        for frame in [
            format!("START RequestId: {ID} Version: $LATEST\n"),
            format!("END RequestId: {ID}\n"),
            format!("REPORT RequestId: {ID}\tDuration: 1.00 ms\tMax Memory Used: 36 MB\n"),
            "INIT_START Runtime Version: python:3.13.v64".into(),
            "{\"type\":\"platform.start\",\"record\":{}}".into(),
            "{\"type\":\"platform.report\",\"record\":{\"status\":\"success\"}}".into(),
        ] {
            check(Level::Dim, &[&frame]);
        }
    }

    #[test]
    fn prose_has_no_level() {
        check(
            Level::Plain,
            &[
                "",
                "hello",
                "the error was mended",
                "no warning, no debug",
                "[INFO]\tERROR is only said here",
                "one two three four five ERROR",
                "{\"level\":\"INFO\",\"errorType\":\"x\"}",
                "{not json ERROR",
                "TERROR",
            ],
        );
    }
}
