//! What requests are made from: the models, and the few names that everything generated is called by.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::codegen::Built;
use crate::codegen::model::{Model, Operation};

/// The account of the key that requests show, and the region.
pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";

/// Few enough that requests meet what other requests made.
pub const FUNCTIONS: [&str; 5] = ["anise", "basil", "chive", "dill", "endive_2"];
pub const ALIASES: [&str; 4] = ["live", "test", "blue", "a1"];
pub const LAYERS: [&str; 3] = ["moss", "fern", "reed"];
pub const GROUPS: [&str; 4] = ["/aws/lambda/anise", "/aws/lambda/basil", "kettle", "pot/1"];
pub const STREAMS: [&str; 3] = ["one", "two", "2026/11/21/[$LATEST]0"];

/// Everything that requests are made from.
pub struct World {
    pub services: Vec<Service>,
    /// Archives of functions and layers, and what is none.
    pub archives: Vec<Vec<u8>>,
    /// Milliseconds since 1970: log events are to be new.
    pub now: i64,
    pub learned: Learned,
}

/// A service of which we have a model.
pub struct Service {
    pub name: String,
    pub model: Model,
    /// What is implemented.
    pub built: Built,
    /// The operations that are built, and those that are not; each as often as it is to be drawn.
    pub drawn: [Vec<String>; 2],
}

/// Operations that make what others need, and how often they are drawn more than others.
const MAKERS: [(&str, usize); 9] = [
    ("CreateFunction", 5),
    ("PublishVersion", 2),
    ("CreateAlias", 2),
    ("PublishLayerVersion", 2),
    ("CreateEventSourceMapping", 2),
    ("CreateCodeSigningConfig", 1),
    ("CreateLogGroup", 3),
    ("CreateLogStream", 9),
    ("PutLogEvents", 3),
];

impl Service {
    fn new(name: String, model: Model, built: Built) -> Self {
        let often =
            |name: &String| MAKERS.iter().find(|(maker, _)| maker == name).map_or(1, |(_, more)| 1 + more);
        let (known, unknown): (Vec<String>, Vec<String>) =
            model.operations.keys().cloned().partition(|name| built.operations.contains(name));
        let known =
            known.into_iter().flat_map(|name| std::iter::repeat_n(name.clone(), often(&name))).collect();
        Self { name, model, built, drawn: [known, unknown] }
    }

    pub fn is_built(&self, operation: &Operation) -> bool {
        self.built.operations.contains(&operation.name)
    }

    pub fn operation(&self, name: &str) -> Result<&Operation> {
        self.model.operations.get(name).with_context(|| format!("{} has no {name}", self.name))
    }
}

impl World {
    /// From the models in the repository.
    pub fn new(archives: Vec<Vec<u8>>, now: i64) -> Result<Self> {
        let services: Vec<Service> = crate::codegen::services()?
            .into_iter()
            .map(|(name, (model, built))| Service::new(name, model, built))
            .collect();
        Ok(Self { services, archives, now, learned: Learned::default() })
    }

    pub fn service(&self, name: &str) -> Result<&Service> {
        self.services.iter().find(|service| service.name == name).context("a service with a model")
    }
}

/// What only the server can name, taken from its answers; the newest few of each kind.
#[derive(Default)]
pub struct Learned {
    kept: Mutex<BTreeMap<&'static str, Vec<String>>>,
    next: AtomicUsize,
}

/// Most that is kept of one kind.
const KEPT: usize = 8;

/// The members of answers that are remembered, and as what.
const TOLD: [(&str, &str); 11] = [
    ("UUID", "mapping"),
    ("CodeSigningConfigArn", "signing"),
    ("RevisionId", "revision"),
    ("NextMarker", "marker"),
    ("nextToken", "token"),
    ("nextForwardToken", "token"),
    ("LayerVersionArn", "layer"),
    ("CodeSha256", "digest"),
    ("queryId", "query"),
    ("FunctionArn", "function"),
    ("EventSourceMappingArn", "mapping arn"),
];

impl Learned {
    /// Remembers what an answer tells.
    pub fn read(&self, answer: &Value) {
        match answer {
            Value::Object(members) => {
                for (name, value) in members {
                    match (TOLD.iter().find(|(told, _)| told == name), value) {
                        (Some((_, kind)), Value::String(text)) => self.keep(kind, text),
                        // Versions of functions are texts, those of layers are numbers.
                        (None, Value::Number(number)) if name == "Version" => {
                            self.keep("layer version", &number.to_string());
                        }
                        _ => self.read(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            _ => {}
        }
    }

    fn keep(&self, kind: &'static str, text: &str) {
        let Ok(mut kept) = self.kept.lock() else { return };
        let texts = kept.entry(kind).or_default();
        if texts.len() < KEPT {
            texts.push(text.to_owned());
        } else {
            texts[self.next.fetch_add(1, Ordering::Relaxed) % KEPT] = text.to_owned();
        }
    }

    /// One of a kind; which of them is the caller's choice.
    pub fn one(&self, kind: &str, choice: usize) -> Option<String> {
        let kept = self.kept.lock().ok()?;
        let texts = kept.get(kind)?;
        texts.get(choice % texts.len()).cloned()
    }
}
