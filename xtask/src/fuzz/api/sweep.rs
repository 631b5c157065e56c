//! What is made before a round and taken away after it, so that no run leaves more than it found.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::client::{Answer, Client};
use super::json::Json;
use super::request::Request;
use super::world::{ALIASES, FUNCTIONS, GROUPS, LAYERS, STREAMS, World};

/// Pages of one list; far more than a round can fill.
const PAGES: usize = 1_000;

/// A list, and how each of its items goes.
struct Kind {
    service: &'static str,
    list: &'static str,
    /// The member with the items, and the member of an item that names it.
    items: &'static str,
    name: &'static str,
    delete: &'static str,
    /// The member of the deletion that takes the name.
    takes: &'static str,
}

const fn kind(
    service: &'static str,
    list: &'static str,
    [items, name]: [&'static str; 2],
    delete: &'static str,
    takes: &'static str,
) -> Kind {
    Kind { service, list, items, name, delete, takes }
}

/// In an order in which nothing needs what went before it.
const KINDS: [Kind; 4] = [
    kind(
        "lambda",
        "ListEventSourceMappings",
        ["EventSourceMappings", "UUID"],
        "DeleteEventSourceMapping",
        "UUID",
    ),
    kind("lambda", "ListFunctions", ["Functions", "FunctionName"], "DeleteFunction", "FunctionName"),
    kind(
        "lambda",
        "ListCodeSigningConfigs",
        ["CodeSigningConfigs", "CodeSigningConfigArn"],
        "DeleteCodeSigningConfig",
        "CodeSigningConfigArn",
    ),
    kind("logs", "DescribeLogGroups", ["logGroups", "logGroupName"], "DeleteLogGroup", "logGroupName"),
];

/// Speaks to the server about what is there.
pub struct Keeper<'a> {
    pub world: &'a World,
    pub client: &'a mut Client,
}

impl Keeper<'_> {
    /// Makes one of each pool's names, so that requests find something.
    pub fn furnish(&mut self) -> Result<()> {
        let code = Json::Object(vec![("ZipFile".into(), Json::Bytes(self.world.archives[0].clone()))]);
        for name in FUNCTIONS {
            let input = [
                ("FunctionName", Json::text(name)),
                ("Role", Json::text("arn:aws:iam::000000000000:role/fuzz")),
                ("Runtime", Json::text("provided.al2023")),
                ("Handler", Json::text("index.handler")),
                ("Code", code.clone()),
            ];
            self.ask("lambda", "CreateFunction", &input)?;
            self.ask("lambda", "PublishVersion", &[("FunctionName", Json::text(name))])?;
            let alias = [("Name", Json::text(ALIASES[0])), ("FunctionVersion", Json::text("$LATEST"))];
            self.ask("lambda", "CreateAlias", &[&[("FunctionName", Json::text(name))], &alias[..]].concat())?;
        }
        for name in LAYERS {
            let input = [("LayerName", Json::text(name)), ("Content", code.clone())];
            self.ask("lambda", "PublishLayerVersion", &input)?;
        }
        for name in GROUPS {
            self.ask("logs", "CreateLogGroup", &[("logGroupName", Json::text(name))])?;
            let input = [("logGroupName", Json::text(name)), ("logStreamName", Json::text(STREAMS[0]))];
            self.ask("logs", "CreateLogStream", &input)?;
        }
        Ok(())
    }

    /// Takes everything away; gives what would not go.
    pub fn sweep(&mut self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for kind in &KINDS {
            for name in self.names(kind.service, kind.list, &[], kind.items, kind.name)? {
                let answer =
                    self.ask(kind.service, kind.delete, &[(kind.takes, Json::text(name.clone()))])?;
                if answer.status >= 300 {
                    left.push(format!("{} {name}: {}", kind.delete, String::from_utf8_lossy(&answer.body)));
                }
            }
        }
        for layer in self.names("lambda", "ListLayers", &[], "Layers", "LayerName")? {
            let named = [("LayerName", Json::text(layer.clone()))];
            for version in self.names("lambda", "ListLayerVersions", &named, "LayerVersions", "Version")? {
                let input = [&named[..], &[("VersionNumber", Json::Raw(version))]].concat();
                self.ask("lambda", "DeleteLayerVersion", &input)?;
            }
        }
        Ok(left)
    }

    /// The names in all pages of a list; none of one that is not built.
    fn names(
        &mut self,
        service: &str,
        list: &str,
        input: &[(&str, Json)],
        items: &str,
        name: &str,
    ) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut marker: Option<(&str, Json)> = None;
        for _ in 0..PAGES {
            let answer = self.ask(service, list, &[input, marker.as_slice()].concat())?;
            if answer.status == 501 {
                return Ok(names);
            }
            let page: Value =
                serde_json::from_slice(&answer.body).with_context(|| format!("{list} answers JSON"))?;
            let Some(listed) = page[items].as_array() else { bail!("{list} answered {page}") };
            names.extend(listed.iter().map(|item| match &item[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }));
            let next = |member: &str| page[member].as_str().map(Json::text);
            marker = next("NextMarker").map(|text| ("Marker", text));
            marker = marker.or_else(|| next("nextToken").map(|text| ("nextToken", text)));
            if marker.is_none() {
                return Ok(names);
            }
        }
        bail!("{list} has more than {PAGES} pages")
    }

    fn ask(&mut self, service: &str, operation: &str, input: &[(&str, Json)]) -> Result<Answer> {
        let service = self.world.service(service)?;
        let input = input.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let request = Request::bind(service, service.operation(operation)?, input)?;
        self.client.ask(&request).map_err(|silence| anyhow::anyhow!("{operation}: {silence}"))
    }
}
