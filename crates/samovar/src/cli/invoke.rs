//! `samovar invoke`: one synchronous invocation.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::InvokeArgs;
use super::client::Api;

/// Prints the answer as it came; the status is 1 when the function failed.
pub async fn run(args: &InvokeArgs) -> Result<ExitCode> {
    let payload = match args.payload.as_deref() {
        None => Vec::new(),
        Some(text) => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path).with_context(|| format!("cannot read {path}"))?,
            None => text.as_bytes().to_vec(),
        },
    };
    let answer = Api::new(&args.endpoint)?.invoke(&args.name, payload, args.log).await?;
    if let Some(log) = &answer.log {
        std::io::stderr().write_all(log)?;
    }
    let mut out = std::io::stdout();
    out.write_all(&answer.payload)?;
    out.write_all(b"\n")?;
    Ok(if answer.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
