//! An extension with the official crate, and, under the name `bootstrap`, a function with the official runtime crate.
//!
//! The extension says on its standard output what it is sent, once the crate's own types have read it. `PROCESSORS`
//! says what it subscribes to: `logs`, `telemetry`, both with a comma between them, or nothing.

mod extension;
mod function;

use std::env::args_os;
use std::path::Path;

use lambda_extension::{Error, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // What the crates could not read is said by their own tracing alone.
    tracing::init_default_subscriber();
    let called = args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("bootstrap") => function::run().await,
        _ => extension::run().await,
    }
}
