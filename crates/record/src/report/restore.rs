//! The records of a restore: an environment of a version with SnapStart goes on from its init.
//!
//! Sources: recorded log streams of 2023 to 2026; Lambda Developer Guide, "Telemetry API event schema reference".

use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use base::units::Mib;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Ending, raw, text_status, three_decimals, two_decimals, versioned};

/// Content of [`Record::RestoreStart`](super::Record::RestoreStart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreStart {
    /// Such as `python:3.13.v64`.
    pub runtime_version: Option<Arc<str>>,
    /// The version's ARN.
    pub runtime_version_arn: Option<Arc<str>>,
    /// The function, without qualifier.
    pub function: FunctionArn,
    /// The version that runs.
    pub version: Qualifier,
    /// The restored environment's log stream.
    pub stream: Arc<str>,
    /// Its memory.
    pub memory: Mib,
}

/// Content of [`Record::RestoreReport`](super::Record::RestoreReport).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub duration: Duration,
}

impl RestoreStart {
    pub(super) fn text(&self) -> String {
        versioned("RESTORE_START", self.runtime_version.as_deref(), self.runtime_version_arn.as_deref())
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            runtime_version: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            runtime_version_arn: Option<&'a str>,
            function_name: &'a str,
            function_version: String,
            instance_id: &'a str,
            instance_max_memory: u64,
        }
        raw(&Json {
            runtime_version: self.runtime_version.as_deref(),
            runtime_version_arn: self.runtime_version_arn.as_deref(),
            function_name: self.function.name.as_str(),
            function_version: self.version.to_string(),
            instance_id: &self.stream,
            instance_max_memory: self.memory.bytes(),
        })
    }
}

/// JSON of the two records that end a restore.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreEnd<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    duration_ms: f64,
}

pub(super) fn done(ending: &Ending) -> Box<RawValue> {
    raw(&RestoreEnd { status: ending.status(), error_type: ending.error_type(), metrics: None })
}

impl RestoreReport {
    pub(super) fn text(&self) -> String {
        let status = text_status(&self.ending).unwrap_or_default();
        format!("RESTORE_REPORT Restore Duration: {} ms{status}\n", two_decimals(self.duration))
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        let metrics = Some(Metrics { duration_ms: three_decimals(self.duration) });
        raw(&RestoreEnd { status: self.ending.status(), error_type: self.ending.error_type(), metrics })
    }
}
