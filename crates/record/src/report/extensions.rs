//! What is told of extensions, and the parts of an invocation's time.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Extension, Span, Subscription, raw, three_decimals};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JsonSpan {
    name: &'static str,
    start: String,
    duration_ms: f64,
}

impl JsonSpan {
    pub(super) fn of(span: &Span) -> Self {
        Self { name: span.name, start: span.start.iso_millis(), duration_ms: three_decimals(span.duration) }
    }
}

impl Subscription {
    /// Source: recorded lines.
    pub(super) fn text(&self) -> String {
        let api = if self.is_logs_api { "LOGS" } else { "TELEMETRY" };
        format!("{api}\tName: {}\tState: {}\tTypes: [{}]\n", self.name, self.state, self.types.join(", "))
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        let types: Vec<_> = self.types.iter().map(|name| name.to_lowercase()).collect();
        #[derive(Serialize)]
        struct Json<'a> {
            name: &'a str,
            state: &'a str,
            types: &'a [String],
        }
        raw(&Json { name: &self.name, state: self.state, types: &types })
    }
}

impl Extension {
    /// Source: recorded lines of 2026, with a blank after each comma.
    pub(super) fn text(&self) -> String {
        let error = self.error_type.as_ref().map(|kind| format!("\tError Type: {kind}"));
        format!(
            "EXTENSION\tName: {}\tState: {}\tEvents: [{}]{}\n",
            self.name,
            self.state,
            self.events.join(", "),
            error.unwrap_or_default()
        )
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            name: &'a str,
            state: &'a str,
            events: &'a [&'static str],
            #[serde(skip_serializing_if = "Option::is_none")]
            error_type: Option<&'a str>,
        }
        raw(&Json {
            name: &self.name,
            state: &self.state,
            events: &self.events,
            error_type: self.error_type.as_deref(),
        })
    }
}
