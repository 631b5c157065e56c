//! Everything that the crate can be sent.

use std::env;

use lambda_extension::{
    Error, Extension, LambdaEvent, LambdaLog, LambdaLogRecord, LambdaTelemetry, LogBuffering, NextEvent,
    SharedService, service_fn,
};
use serde_json::{Value, json};

/// The shortest time that AWS lets a batch wait; the others are AWS's own defaults.
const BUFFERING: LogBuffering = LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 10_000 };

/// Runs until it is shut down.
pub async fn run() -> Result<(), Error> {
    let processors = env::var("PROCESSORS").unwrap_or_default();
    let wanted = |name| processors.split(',').any(|one| one == name);
    let extension = Extension::new()
        .with_telemetry_record_type::<Value>()
        .with_events(&["INVOKE", "SHUTDOWN"])
        .with_events_processor(service_fn(event))
        .with_log_buffering(BUFFERING)
        .with_telemetry_buffering(BUFFERING);
    match (wanted("logs"), wanted("telemetry")) {
        (false, false) => extension.run().await,
        (true, false) => extension.with_logs_processor(SharedService::new(service_fn(logs))).run().await,
        (false, true) => {
            extension.with_telemetry_processor(SharedService::new(service_fn(telemetry))).run().await
        }
        (true, true) => {
            let extension = extension.with_logs_processor(SharedService::new(service_fn(logs)));
            let refused =
                extension.with_telemetry_processor(SharedService::new(service_fn(telemetry))).run().await;
            if let Err(error) = &refused {
                say("refused", &json!(error.to_string()));
            }
            refused
        }
    }
}

fn say(what: &str, value: &Value) {
    println!(r#"{{"from":"rust","what":"{what}","value":{value}}}"#);
}

async fn event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(invoke) => say(
            "invoke",
            &json!({
                "requestId": invoke.request_id,
                "arn": invoke.invoked_function_arn,
                "deadlineMs": invoke.deadline_ms,
                "tracing": { "type": invoke.tracing.r#type, "value": invoke.tracing.value },
            }),
        ),
        NextEvent::Shutdown(shutdown) => say(
            "shutdown",
            &json!({ "reason": shutdown.shutdown_reason, "deadlineMs": shutdown.deadline_ms }),
        ),
    }
    Ok(())
}

async fn telemetry(batch: Vec<LambdaTelemetry<Value>>) -> Result<(), Error> {
    for event in batch {
        say("telemetry", &serde_json::to_value(event)?);
    }
    Ok(())
}

async fn logs(batch: Vec<LambdaLog>) -> Result<(), Error> {
    for event in batch {
        let (kind, record) = shown(event.record);
        say("log", &json!({ "type": kind, "record": record }));
    }
    Ok(())
}

fn shown(record: LambdaLogRecord) -> (&'static str, Value) {
    use LambdaLogRecord as Log;
    match record {
        Log::Function(line) => ("function", json!(line)),
        Log::Extension(line) => ("extension", json!(line)),
        Log::PlatformStart { request_id } => ("platform.start", json!({ "requestId": request_id })),
        Log::PlatformEnd { request_id } => ("platform.end", json!({ "requestId": request_id })),
        Log::PlatformReport { request_id, metrics } => (
            "platform.report",
            json!({ "requestId": request_id, "durationMs": metrics.duration_ms, "initDurationMs": metrics.init_duration_ms }),
        ),
        Log::PlatformFault(text) => ("platform.fault", json!(text)),
        Log::PlatformExtension { name, state, events } => {
            ("platform.extension", json!({ "name": name, "state": state, "events": events }))
        }
        Log::PlatformLogsSubscription { name, state, types } => {
            ("platform.logsSubscription", json!({ "name": name, "state": state, "types": types }))
        }
        Log::PlatformLogsDropped { reason, dropped_records, dropped_bytes } => (
            "platform.logsDropped",
            json!({ "reason": reason, "droppedRecords": dropped_records, "droppedBytes": dropped_bytes }),
        ),
        Log::PlatformRuntimeDone { request_id, status } => {
            ("platform.runtimeDone", json!({ "requestId": request_id, "status": status }))
        }
    }
}
