//! The records of an init.
//!
//! Sources: recorded log streams; Lambda Developer Guide, "Telemetry API event schema reference".

use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use base::units::Mib;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Ending, InitializationType, Phase, raw, text_status, three_decimals, two_decimals, versioned};

/// Content of [`Record::InitStart`](super::Record::InitStart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitStart {
    /// Why the environment is made.
    pub initialization_type: InitializationType,
    /// Of this init.
    pub phase: Phase,
    /// Such as `python:3.13.v64`.
    pub runtime_version: Option<Arc<str>>,
    /// The version's ARN.
    pub runtime_version_arn: Option<Arc<str>>,
    /// The function, without qualifier.
    pub function: FunctionArn,
    /// The version that runs.
    pub version: Qualifier,
    /// The environment's log stream.
    pub stream: Arc<str>,
    /// Its memory.
    pub memory: Mib,
}

/// Content of [`Record::InitRuntimeDone`](super::Record::InitRuntimeDone).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitRuntimeDone {
    /// Why the environment is made.
    pub initialization_type: InitializationType,
    /// Of this init.
    pub phase: Phase,
    /// How it ended.
    pub ending: Ending,
}

/// Content of [`Record::InitReport`](super::Record::InitReport).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// Why the environment is made.
    pub initialization_type: InitializationType,
    /// Of this init.
    pub phase: Phase,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub duration: Duration,
}

impl InitStart {
    pub(super) fn text(&self) -> String {
        versioned("INIT_START", self.runtime_version.as_deref(), self.runtime_version_arn.as_deref())
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            initialization_type: InitializationType,
            phase: Phase,
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
            initialization_type: self.initialization_type,
            phase: self.phase,
            runtime_version: self.runtime_version.as_deref(),
            runtime_version_arn: self.runtime_version_arn.as_deref(),
            function_name: self.function.name.as_str(),
            function_version: self.version.to_string(),
            instance_id: &self.stream,
            instance_max_memory: self.memory.bytes(),
        })
    }
}

/// JSON of the two records that end an init.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitEnd<'a> {
    initialization_type: InitializationType,
    phase: Phase,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<InitMetrics>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitMetrics {
    duration_ms: f64,
}

impl InitRuntimeDone {
    pub(super) fn json(&self) -> Box<RawValue> {
        raw(&InitEnd {
            initialization_type: self.initialization_type,
            phase: self.phase,
            status: self.ending.status(),
            error_type: self.ending.error_type(),
            metrics: None,
        })
    }
}

impl InitReport {
    /// A good on-demand init writes no line; one that no invocation waits for writes its duration alone.
    pub(super) fn text(&self) -> Option<String> {
        let duration = two_decimals(self.duration);
        let phase = match self.phase {
            Phase::Init => "init",
            Phase::Invoke => "invoke",
        };
        match (&self.ending, self.initialization_type) {
            (Ending::Success, InitializationType::OnDemand) => None,
            (Ending::Success, InitializationType::ProvisionedConcurrency | InitializationType::SnapStart) => {
                Some(format!("INIT_REPORT Init Duration: {duration} ms\n"))
            }
            (ending, _) => Some(format!(
                "INIT_REPORT Init Duration: {duration} ms\tPhase: {phase}{}\n",
                text_status(ending).unwrap_or_default()
            )),
        }
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        raw(&InitEnd {
            initialization_type: self.initialization_type,
            phase: self.phase,
            status: self.ending.status(),
            error_type: self.ending.error_type(),
            metrics: Some(InitMetrics { duration_ms: three_decimals(self.duration) }),
        })
    }
}
