//! A service model as botocore ships it (`service-2.json`).

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;

/// A whole model. Member order is kept: answers and messages follow it.
#[derive(Debug, Deserialize)]
pub struct Model {
    pub metadata: Metadata,
    pub operations: IndexMap<String, Operation>,
    pub shapes: IndexMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub endpoint_prefix: String,
    pub signing_name: Option<String>,
    pub protocol: String,
    pub json_version: Option<String>,
    pub target_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Operation {
    pub name: String,
    pub http: Http,
    pub input: Option<Reference>,
    pub output: Option<Reference>,
    /// The exceptions that it may answer.
    #[serde(default)]
    pub errors: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub timestamp_format: Option<String>,
    #[serde(default, rename = "eventpayload")]
    pub event_payload: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub members: IndexMap<String, Reference>,
    #[serde(default)]
    pub required: Vec<String>,
    pub payload: Option<String>,
    pub member: Option<Reference>,
    pub key: Option<Reference>,
    pub value: Option<Reference>,
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    pub timestamp_format: Option<String>,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default)]
    pub exception: bool,
    #[serde(default, rename = "eventstream")]
    pub event_stream: bool,
    #[serde(default)]
    pub fault: bool,
    pub error: Option<ErrorTrait>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorTrait {
    pub http_status_code: u16,
}

impl Model {
    pub fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("the model refers to {name} and lacks it"))
    }

    /// Operations by name: the generated table is searched by halving.
    pub fn sorted_operations(&self) -> Vec<&Operation> {
        let mut operations: Vec<_> = self.operations.values().collect();
        operations.sort_by(|a, b| a.name.cmp(&b.name));
        operations
    }

    /// The event stream in an operation's output: its name.
    pub fn event_stream(&self, operation: &Operation) -> Result<Option<&str>> {
        let Some(output) = &operation.output else { return Ok(None) };
        for reference in self.shape(&output.shape)?.members.values() {
            if self.shape(&reference.shape)?.event_stream {
                return Ok(Some(&reference.shape));
            }
        }
        Ok(None)
    }

    /// Every shape that these roots lead to, themselves included.
    pub fn reach<'a>(&'a self, roots: impl Iterator<Item = &'a Reference>) -> Result<BTreeSet<&'a str>> {
        let mut reached = BTreeSet::new();
        let mut pending: Vec<&Reference> = roots.collect();
        while let Some(reference) = pending.pop() {
            if reached.insert(reference.shape.as_str()) {
                pending.extend(self.shape(&reference.shape)?.references());
            }
        }
        Ok(reached)
    }
}

impl Shape {
    fn references(&self) -> impl Iterator<Item = &Reference> {
        self.members.values().chain(&self.member).chain(&self.key).chain(&self.value)
    }

    /// The shape of the list's members.
    pub fn item(&self) -> Result<&Reference> {
        self.member.as_ref().context("a list has a member shape")
    }

    /// The shape of the map's values.
    pub fn map_value(&self) -> Result<&Reference> {
        self.value.as_ref().context("a map has a value shape")
    }

    /// The shape of the map's keys.
    pub fn map_key(&self) -> Result<&Reference> {
        self.key.as_ref().context("a map has a key shape")
    }
}
