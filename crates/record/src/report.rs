//! The lines that the platform writes around an invocation, as text and as JSON. Pure.
//!
//! Sources: recorded log streams; Lambda Developer Guide, "Telemetry API event schema reference".

mod extensions;
mod init;
mod restore;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use base::clock::Timestamp;
use base::id::RequestId;
use base::units::Mib;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use self::extensions::JsonSpan;
pub use self::init::{InitReport, InitRuntimeDone, InitStart};
pub use self::restore::{RestoreReport, RestoreStart};
use crate::level::Format;

/// One thing that the platform tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An environment begins to start.
    InitStart(InitStart),
    /// The runtime has finished its init.
    InitRuntimeDone(InitRuntimeDone),
    /// An init has ended.
    InitReport(InitReport),
    /// An environment begins to be restored.
    RestoreStart(RestoreStart),
    /// The restored runtime has asked for work, or will not.
    RestoreRuntimeDone(Ending),
    /// A restore has ended.
    RestoreReport(RestoreReport),
    /// An invocation begins.
    Start(Start),
    /// The runtime has answered, or will not.
    RuntimeDone(RuntimeDone),
    /// An invocation ends; text format only.
    End(RequestId),
    /// What an invocation took.
    Report(Report),
    /// How an extension came out of an init.
    Extension(Extension),
    /// That an extension is sent telemetry.
    Subscription(Subscription),
}

/// Why an environment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitializationType {
    /// For an invocation that waits.
    OnDemand,
    /// For provisioned concurrency.
    ProvisionedConcurrency,
    /// For a version with SnapStart: initialised once, then restored.
    SnapStart,
}

impl InitializationType {
    /// As the variable `AWS_LAMBDA_INITIALIZATION_TYPE` and the platform's lines say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::ProvisionedConcurrency => "provisioned-concurrency",
            Self::SnapStart => "snap-start",
        }
    }
}

/// In which phase an init runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its own.
    Init,
    /// Inside an invocation, after an earlier one failed or was too slow ("suppressed init").
    Invoke,
}

/// How an init or an invocation ended.
///
/// An error that the function's handler raised counts as success here, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The runtime answered.
    Success,
    /// The function reported a failure.
    Failure(String),
    /// The runtime or the platform failed; the error type such as `Runtime.ExitError`.
    Error(String),
    /// Its time was over.
    Timeout,
}

/// Content of [`Record::Start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The invocation.
    pub request: RequestId,
    /// The function as the caller named it.
    pub function: FunctionArn,
    /// The version that runs.
    pub version: Qualifier,
}

/// What a restore took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// How long the invocation waited for it.
    pub duration: Duration,
    /// The part of that in which the function's own runtime and hooks ran.
    pub own: Duration,
}

impl Restored {
    /// Milliseconds to pay for. Source: Lambda Developer Guide, "Monitoring for Lambda SnapStart".
    fn billed_millis(self) -> u64 {
        hundredths(self.own).div_ceil(100)
    }
}

/// Content of [`Record::RuntimeDone`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeDone {
    /// The invocation.
    pub request: RequestId,
    /// How it ended.
    pub ending: Ending,
    /// From its start to the runtime's answer.
    pub duration: Duration,
    /// Size of the answer; none when there was none.
    pub produced: Option<u64>,
    /// What the time was spent on.
    pub spans: Vec<Span>,
}

/// A part of an invocation's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Such as `responseLatency`.
    pub name: &'static str,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub duration: Duration,
}

/// Content of [`Record::Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The invocation.
    pub request: RequestId,
    /// How it ended.
    pub ending: Ending,
    /// How long it took, suppressed init included; the function's limit itself after a timeout.
    pub duration: Duration,
    /// The cold start before it, unless that was suppressed.
    pub init: Option<Duration>,
    /// The restore before it.
    pub restore: Option<Restored>,
    /// The function's memory.
    pub memory: Mib,
    /// The most that its environment has used so far.
    pub used: Mib,
    /// What the time was spent on besides the runtime.
    pub spans: Vec<Span>,
}

/// Content of [`Record::Extension`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: Arc<str>,
    /// Such as `Ready`.
    pub state: String,
    /// The events it registered for.
    pub events: Vec<&'static str>,
    /// What is wrong with it.
    pub error_type: Option<String>,
}

/// Content of [`Record::Subscription`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Whether it goes over the Logs API.
    pub is_logs_api: bool,
    /// The extension's name.
    pub name: Arc<str>,
    /// Such as `Subscribed`.
    pub state: &'static str,
    /// Such as `Platform`.
    pub types: Vec<&'static str>,
}

impl Ending {
    /// The word for it in JSON.
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure(_) => "failure",
            Self::Error(_) => "error",
            Self::Timeout => "timeout",
        }
    }

    /// The error type, where there is one.
    pub fn error_type(&self) -> Option<&str> {
        match self {
            Self::Failure(kind) | Self::Error(kind) => Some(kind),
            Self::Success | Self::Timeout => None,
        }
    }
}

impl Report {
    /// Milliseconds to pay for: the duration with the init before it, as reported, rounded up, or with the paid part of
    /// the restore before it.
    ///
    /// Source: Lambda pricing since August 2025 ("INIT phase billing"); recorded for restores.
    pub fn billed_millis(&self) -> u64 {
        let restore = self.restore.map_or(0, |restore| 100 * restore.billed_millis());
        let hundredths = hundredths(self.duration) + self.init.map_or(0, hundredths) + restore;
        hundredths.div_ceil(100)
    }
}

impl Record {
    /// The event's message, newline included; `None` where a format has no line for it.
    pub fn message(&self, format: Format, time: Timestamp) -> Option<Bytes> {
        match format {
            Format::Text => self.text().map(Bytes::from),
            Format::Json => self.json(time).map(Bytes::from),
        }
    }

    /// Whether the record belongs into the log tail that callers get: those of an init do not, as recorded.
    pub const fn in_tail(&self) -> bool {
        !matches!(
            self,
            Self::InitStart(_)
                | Self::InitRuntimeDone(_)
                | Self::InitReport(_)
                | Self::Extension(_)
                | Self::Subscription(_)
                | Self::RestoreStart(_)
                | Self::RestoreRuntimeDone(_)
                | Self::RestoreReport(_)
        )
    }

    fn text(&self) -> Option<String> {
        Some(match self {
            Self::InitStart(init) => init.text(),
            Self::InitReport(report) => report.text()?,
            Self::Start(start) => {
                format!("START RequestId: {} Version: {}\n", start.request, start.version)
            }
            Self::End(request) => format!("END RequestId: {request}\n"),
            Self::Report(report) => report.text(),
            Self::Extension(extension) => extension.text(),
            Self::Subscription(subscription) => subscription.text(),
            Self::RestoreStart(start) => start.text(),
            Self::RestoreReport(report) => report.text(),
            Self::InitRuntimeDone(_) | Self::RestoreRuntimeDone(_) | Self::RuntimeDone(_) => return None,
        })
    }

    fn json(&self, time: Timestamp) -> Option<String> {
        let mut line = self.telemetry(time)?;
        line.push('\n');
        Some(line)
    }

    /// The event for the Telemetry API; `None` where it has none.
    pub fn telemetry(&self, time: Timestamp) -> Option<String> {
        let (kind, record) = self.json_record()?;
        Some(envelope(time, kind, &record))
    }

    /// The event for the Logs API, which tells an invocation's end besides.
    pub fn logs_api(&self, time: Timestamp) -> Option<String> {
        match self {
            Self::End(request) => {
                Some(envelope(time, "platform.end", &raw(&serde_json::json!({ "requestId": request }))))
            }
            record => record.telemetry(time),
        }
    }

    /// The telemetry event's type and record.
    fn json_record(&self) -> Option<(&'static str, Box<RawValue>)> {
        Some(match self {
            Self::InitStart(init) => ("platform.initStart", init.json()),
            Self::InitRuntimeDone(done) => ("platform.initRuntimeDone", done.json()),
            Self::InitReport(report) => ("platform.initReport", report.json()),
            Self::RestoreStart(start) => ("platform.restoreStart", start.json()),
            Self::RestoreRuntimeDone(ending) => ("platform.restoreRuntimeDone", restore::done(ending)),
            Self::RestoreReport(report) => ("platform.restoreReport", report.json()),
            Self::Start(start) => ("platform.start", start.json()),
            Self::RuntimeDone(done) => ("platform.runtimeDone", done.json()),
            Self::Report(report) => ("platform.report", report.json()),
            Self::Extension(extension) => ("platform.extension", extension.json()),
            Self::Subscription(subscription) if subscription.is_logs_api => {
                ("platform.logsSubscription", subscription.json())
            }
            Self::Subscription(subscription) => ("platform.telemetrySubscription", subscription.json()),
            Self::End(_) => return None,
        })
    }
}

/// The line in which an init or a restore names the runtime's version.
fn versioned(word: &str, version: Option<&str>, arn: Option<&str>) -> String {
    let version = version.map(|version| format!(" Runtime Version: {version}"));
    let arn = arn.map(|arn| format!("\tRuntime Version ARN: {arn}"));
    format!("{word}{}{}\n", version.unwrap_or_default(), arn.unwrap_or_default())
}

impl Start {
    fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json {
            request_id: RequestId,
            function_arn: String,
            version: String,
        }
        raw(&Json {
            request_id: self.request,
            function_arn: self.function.to_string(),
            version: self.version.to_string(),
        })
    }
}

impl RuntimeDone {
    fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            request_id: RequestId,
            status: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error_type: Option<&'a str>,
            metrics: Metrics,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            spans: Vec<JsonSpan>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Metrics {
            duration_ms: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            produced_bytes: Option<u64>,
        }
        raw(&Json {
            request_id: self.request,
            status: self.ending.status(),
            error_type: self.ending.error_type(),
            metrics: Metrics { duration_ms: three_decimals(self.duration), produced_bytes: self.produced },
            spans: self.spans.iter().map(JsonSpan::of).collect(),
        })
    }
}

impl Report {
    fn text(&self) -> String {
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {}\tMax Memory Used: {}",
            self.request,
            two_decimals(self.duration),
            self.billed_millis(),
            self.memory,
            self.used,
        );
        if let Some(init) = self.init {
            write!(line, "\tInit Duration: {} ms", two_decimals(init)).expect("strings take all text");
        }
        if let Some(restore) = self.restore {
            let (duration, billed) = (two_decimals(restore.duration), restore.billed_millis());
            write!(line, "\tRestore Duration: {duration} ms\tBilled Restore Duration: {billed} ms")
                .expect("strings take all text");
        }
        // A good report ends with a tab before its newline; one with a status does not.
        line.push_str(text_status(&self.ending).as_deref().unwrap_or("\t"));
        line.push('\n');
        line
    }

    fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            request_id: RequestId,
            metrics: Metrics,
            status: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error_type: Option<&'a str>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            spans: Vec<JsonSpan>,
        }
        #[derive(Serialize)]
        struct Metrics {
            #[serde(rename = "durationMs")]
            duration: f64,
            #[serde(rename = "billedDurationMs")]
            billed: u64,
            #[serde(rename = "memorySizeMB")]
            memory: Mib,
            #[serde(rename = "maxMemoryUsedMB")]
            used: Mib,
            #[serde(rename = "initDurationMs", skip_serializing_if = "Option::is_none")]
            init: Option<f64>,
            #[serde(rename = "restoreDurationMs", skip_serializing_if = "Option::is_none")]
            restore: Option<f64>,
            #[serde(rename = "billedRestoreDurationMs", skip_serializing_if = "Option::is_none")]
            billed_restore: Option<u64>,
        }
        raw(&Json {
            request_id: self.request,
            metrics: Metrics {
                duration: three_decimals(self.duration),
                billed: self.billed_millis(),
                memory: self.memory,
                used: self.used,
                init: self.init.map(three_decimals),
                restore: self.restore.map(|restore| three_decimals(restore.duration)),
                billed_restore: self.restore.map(Restored::billed_millis),
            },
            status: self.ending.status(),
            error_type: self.ending.error_type(),
            spans: self.spans.iter().map(JsonSpan::of).collect(),
        })
    }
}

/// The event that tells why a process ended: `cause` such as `Runtime exited with error: exit status 1`.
pub fn crash_line(request: RequestId, cause: &str, error_type: &str) -> Bytes {
    format!("RequestId: {request} Error: {cause}\n{error_type}\n").into()
}

/// What text lines append for an ending; nothing for success and for failures that the function reported.
fn text_status(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Success | Ending::Failure(_) => None,
        Ending::Error(kind) => Some(format!("\tStatus: error\tError Type: {kind}")),
        Ending::Timeout => Some("\tStatus: timeout".into()),
    }
}

fn envelope(time: Timestamp, kind: &str, record: &RawValue) -> String {
    #[derive(Serialize)]
    struct Envelope<'a> {
        time: String,
        r#type: &'a str,
        record: &'a RawValue,
    }
    let envelope = Envelope { time: time.iso_millis(), r#type: kind, record };
    serde_json::to_string(&envelope).expect("strings and raw JSON serialise")
}

fn raw(record: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(record).expect("numbers and strings serialise")
}

/// Hundredths of a millisecond, rounded to the nearest.
fn hundredths(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 5_000) / 10_000).unwrap_or(u64::MAX / 4)
}

fn two_decimals(duration: Duration) -> String {
    let hundredths = hundredths(duration);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn three_decimals(duration: Duration) -> f64 {
    let micros = (duration.as_nanos() + 500) / 1_000;
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests;
