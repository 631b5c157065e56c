//! A function that logs as often as its event says.

use lambda_runtime::{Error, LambdaEvent, run as serve, service_fn, tracing};
use serde_json::Value;

/// Answers with its event.
pub async fn run() -> Result<(), Error> {
    serve(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    for number in 0..event.payload["lines"].as_u64().unwrap_or_default() {
        tracing::info!(number, "counted");
    }
    Ok(event.payload)
}
