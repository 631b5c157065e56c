//! `samovar layers`: layer versions of all accounts, and those that are brought here.

use std::path::Path;

use anyhow::{Context, Result};
use base::arn::LayerVersionArn;
use serde_json::Value;

use super::client::Api;
use super::{Endpoint, LayersArgs, LayersCommand};

/// Lists layer versions, or imports one.
pub async fn run(args: &LayersArgs) -> Result<()> {
    match &args.command {
        None => list(&args.endpoint).await,
        Some(LayersCommand::Import { arn, zip, replace, endpoint }) => {
            import(endpoint, arn, zip, *replace).await
        }
    }
}

async fn list(endpoint: &Endpoint) -> Result<()> {
    let answer = Api::new(endpoint)?.layers().await?;
    let versions = answer["LayerVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.is_empty() {
        return super::show("no layers; `samovar layers import --help` tells how to bring one here\n");
    }
    let mut rows = vec![["ARN", "BYTES", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(versions.iter().map(|version| {
        let text = |key: &str| version[key].as_str().unwrap_or("-").to_owned();
        vec![text("LayerVersionArn"), version["CodeSize"].to_string(), text("CreatedDate")]
    }));
    super::show(&super::columns(&rows))
}

async fn import(endpoint: &Endpoint, arn: &LayerVersionArn, zip: &Path, replace: bool) -> Result<()> {
    let archive = std::fs::read(zip).with_context(|| format!("cannot read {}", zip.display()))?;
    let answer = Api::new(endpoint)?.import_layer(&arn.to_string(), archive, replace).await?;
    super::show(&told(&answer))
}

fn told(answer: &Value) -> String {
    let arn = answer["LayerVersionArn"].as_str().unwrap_or_default();
    match answer["Before"].as_str() {
        Some("same") => format!("{arn} is here already, with the same bytes\n"),
        Some("other") => {
            format!("{arn} is replaced; functions that have it keep the old one until they are updated\n")
        }
        _ => format!("{arn} is here\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_import_tells_what_was_there_before() {
        for (before, words) in [
            ("nothing", "arn:l:1 is here\n"),
            ("same", "arn:l:1 is here already, with the same bytes\n"),
            (
                "other",
                "arn:l:1 is replaced; functions that have it keep the old one until they are updated\n",
            ),
        ] {
            assert_eq!(told(&json!({ "LayerVersionArn": "arn:l:1", "Before": before })), words);
        }
    }
}
