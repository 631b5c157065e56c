//! How an invocation ends, and the JSON that callers get when the platform and not the runtime answers.

use std::time::Duration;

use base::id::RequestId;
use base::limits;
use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

/// What a response is whose runtime does not say. Source: AWS's runtime interface emulator.
pub const UNNAMED: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// How the runtime's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself with this status.
    Status(i32),
    /// This signal killed it.
    Signal(i32),
    /// It was killed, because the function's processes held more than its memory.
    OutOfMemory,
}

/// A fault that the platform and not the runtime reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The function's time was over.
    Timeout(Duration),
    /// The runtime ended without an answer.
    Exit(Exit),
    /// The response is larger than [`limits::SYNC_RESPONSE_BYTES`].
    ResponseTooLarge,
    /// The response's body ended before its announced end.
    TruncatedResponse,
    /// The response's mode header is not one we know.
    ResponseMode,
    /// There is nothing to start: the places that were searched.
    NoBootstrap(Vec<String>),
    /// The runtime could not be executed: path and the system's reason.
    Entrypoint {
        /// What was to be executed.
        path: String,
        /// The system's text for the error.
        reason: String,
    },
    /// An extension failed.
    Extension {
        /// How.
        kind: ExtensionFault,
        /// The system's text for it.
        cause: String,
    },
    /// The sandbox broke.
    Sandbox,
}

/// How an extension failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionFault {
    /// It could not be started.
    Launch,
    /// It ended after it had reported that it could not initialise.
    Init,
    /// It ended after it had reported an error.
    Exit,
    /// It ended.
    Crash,
}

/// What the caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function's result.
    Response {
        /// What the runtime says it is.
        content_type: Option<HeaderValue>,
        /// The result itself.
        body: Bytes,
    },
    /// An error that the runtime posted; its body is relayed as it is.
    Error {
        /// The sanitised error type.
        kind: String,
        /// The runtime's JSON.
        body: Bytes,
    },
    /// A fault of the platform or found by it.
    Fault(Fault),
}

impl Exit {
    /// How messages say that an extension ended so. Source: runtime interface emulator; recorded.
    pub fn of_extension(self) -> String {
        match self {
            Self::Status(0) => "exit code 0".into(),
            Self::Status(status) => format!("exit status {status}"),
            Self::Signal(signal) => format!("signal: {}", signal_text(signal)),
            Self::OutOfMemory => "signal: killed".into(),
        }
    }
}

impl Fault {
    /// The type that payloads and reports carry.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "Sandbox.Timedout",
            Self::Exit(Exit::OutOfMemory) => "Runtime.OutOfMemory",
            Self::Exit(_) => "Runtime.ExitError",
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge",
            Self::TruncatedResponse => "Runtime.TruncatedResponse",
            Self::ResponseMode => "Runtime.InvalidResponseModeHeader",
            Self::NoBootstrap(_) | Self::Entrypoint { .. } => "Runtime.InvalidEntrypoint",
            Self::Extension { kind: ExtensionFault::Launch, .. } => "Extension.LaunchError",
            Self::Extension { kind: ExtensionFault::Init, .. } => "Extension.InitError",
            Self::Extension { kind: ExtensionFault::Exit, .. } => "Extension.ExitError",
            Self::Extension { kind: ExtensionFault::Crash, .. } => "Extension.Crash",
            Self::Sandbox => "Sandbox.Failure",
        }
    }

    /// The cause, as it stands behind `Error: ` in messages and log lines.
    pub fn cause(&self) -> String {
        match self {
            Self::Timeout(limit) => {
                format!("Task timed out after {}.{:02} seconds", limit.as_secs(), limit.subsec_millis() / 10)
            }
            Self::Exit(Exit::Status(0)) => "Runtime exited without providing a reason".into(),
            Self::Exit(Exit::Status(status)) => format!("Runtime exited with error: exit status {status}"),
            Self::Exit(Exit::Signal(signal)) => {
                format!("Runtime exited with error: signal: {}", signal_text(*signal))
            }
            Self::Exit(Exit::OutOfMemory) => "Runtime exited with error: signal: killed".into(),
            Self::ResponseTooLarge => format!(
                "Response payload size exceeded maximum allowed payload size ({} bytes).",
                limits::SYNC_RESPONSE_BYTES
            ),
            Self::TruncatedResponse => "Response payload was truncated".into(),
            Self::ResponseMode => "Invalid function response mode".into(),
            Self::NoBootstrap(places) => {
                format!("Couldn't find valid bootstrap(s): [{}]", places.join(" "))
            }
            Self::Entrypoint { path, reason } => format!("fork/exec {path}: {reason}"),
            Self::Extension { cause, .. } => cause.clone(),
            Self::Sandbox => "the sandbox ended unexpectedly".into(),
        }
    }

    /// The payload that the caller gets.
    pub fn payload(&self, id: RequestId) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct TypeFirst<'a> {
            error_type: &'a str,
            error_message: String,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct MessageFirst<'a> {
            error_message: String,
            error_type: &'a str,
        }
        let error_type = self.error_type();
        let json = match self {
            // Recordings show the two members in this order, and no request id, for this fault alone.
            Self::ResponseTooLarge => {
                serde_json::to_vec(&MessageFirst { error_message: self.cause(), error_type })
            }
            Self::ResponseMode => return Bytes::new(),
            _ => {
                let error_message = format!("RequestId: {id} Error: {}", self.cause());
                serde_json::to_vec(&TypeFirst { error_type, error_message })
            }
        };
        json.expect("strings serialise").into()
    }
}

impl Answer {
    /// Bytes that the runtime sent, when it answered.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Response { body, .. } | Self::Error { body, .. } => Some(body.len() as u64),
            Self::Fault(_) => None,
        }
    }

    /// The type that reports and traces carry.
    pub fn error_type(&self) -> String {
        match self {
            Self::Response { .. } => String::new(),
            Self::Error { kind, .. } => kind.clone(),
            Self::Fault(fault) => fault.error_type().to_owned(),
        }
    }
}

/// The texts of Go's `syscall.Signal`, which AWS's messages carry.
fn signal_text(signal: i32) -> String {
    let text = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return format!("signal {signal}"),
    };
    text.into()
}

/// The error type that telemetry may carry, from the header that the runtime sent.
///
/// `Runtime.Xyz` and `Function.Xyz` stay; any other `Function.` name becomes `Function.Unknown` and the rest
/// `Runtime.Unknown`. Source: AWS's runtime interface emulator.
pub fn sanitise(error_type: &str) -> String {
    let known = ["Runtime.", "Function."].iter().any(|family| {
        error_type.strip_prefix(family).is_some_and(|name| {
            name.len() > 1
                && name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.bytes().all(|b| b.is_ascii_alphabetic())
        })
    });
    if known {
        error_type.into()
    } else if error_type.starts_with("Function.") {
        "Function.Unknown".into()
    } else {
        "Runtime.Unknown".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RequestId {
        RequestId(uuid::Uuid::from_u128(7))
    }

    #[test]
    fn fault_payloads_read_as_recorded() {
        let about = r#""errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: "#;
        for (fault, expected) in [
            (
                Fault::Timeout(Duration::from_secs(3)),
                format!(r#"{{"errorType":"Sandbox.Timedout",{about}Task timed out after 3.00 seconds"}}"#),
            ),
            (
                Fault::Exit(Exit::Status(0)),
                format!(
                    r#"{{"errorType":"Runtime.ExitError",{about}Runtime exited without providing a reason"}}"#
                ),
            ),
            (
                Fault::Exit(Exit::Status(127)),
                format!(
                    r#"{{"errorType":"Runtime.ExitError",{about}Runtime exited with error: exit status 127"}}"#
                ),
            ),
            (
                Fault::Exit(Exit::Signal(11)),
                format!(
                    r#"{{"errorType":"Runtime.ExitError",{about}Runtime exited with error: signal: segmentation fault"}}"#
                ),
            ),
            (
                Fault::NoBootstrap(vec!["/var/task/bootstrap".into(), "/opt/bootstrap".into()]),
                format!(
                    r#"{{"errorType":"Runtime.InvalidEntrypoint",{about}Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}}"#
                ),
            ),
            (
                Fault::ResponseTooLarge,
                r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#.into(),
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&fault.payload(id())), expected);
        }
    }

    #[test]
    fn error_types_of_runtimes_are_sanitised() {
        for (given, expected) in [
            ("Runtime.ImportModuleError", "Runtime.ImportModuleError"),
            ("Function.Boom", "Function.Boom"),
            ("Function.boom", "Function.Unknown"),
            ("Exception", "Runtime.Unknown"),
            ("Runtime.", "Runtime.Unknown"),
            ("Runtime.A\r\nb", "Runtime.Unknown"),
        ] {
            assert_eq!(sanitise(given), expected);
        }
    }
}
