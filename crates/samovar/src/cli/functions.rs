//! `samovar functions`: what is deployed.

use anyhow::Result;
use serde_json::Value;

use super::Endpoint;
use super::client::Api;

/// Prints one line a function.
pub async fn run(endpoint: &Endpoint) -> Result<()> {
    let api = Api::new(endpoint)?;
    let mut rows = vec![["NAME", "RUNTIME", "MEMORY", "TIMEOUT", "MODIFIED"].map(str::to_owned).to_vec()];
    let mut marker = None;
    loop {
        let page = api.list_functions(marker.as_deref()).await?;
        rows.extend(page["Functions"].as_array().into_iter().flatten().map(row));
        marker = page["NextMarker"].as_str().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    if rows.len() == 1 {
        return super::show(&format!("no functions in {} of this account\n", endpoint.region));
    }
    super::show(&super::columns(&rows))
}

fn row(function: &Value) -> Vec<String> {
    let text = |key: &str| function[key].as_str().unwrap_or("-").to_owned();
    vec![
        text("FunctionName"),
        text("Runtime"),
        format!("{} MB", function["MemorySize"]),
        format!("{} s", function["Timeout"]),
        text("LastModified"),
    ]
}
