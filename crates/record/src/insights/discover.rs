//! The fields that an event has without being asked to `parse` it.
//!
//! Source: CloudWatch Logs User Guide, "Supported logs and discovered fields".

mod lambda;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Event;
use super::json::{self, Wanted};
use super::value::Value;

use lambda::{Lambda, Platform};

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Timestamp,
    IngestionTime,
    Message,
    Stream,
    Log,
    Pointer,
    /// A line of the Lambda platform.
    Lambda(Platform),
    /// A way into a JSON message.
    Json(String),
    /// There is no such field.
    Nowhere,
}

impl Source {
    pub fn of(field: &str) -> Self {
        match field {
            "@timestamp" => Self::Timestamp,
            "@ingestionTime" => Self::IngestionTime,
            "@message" => Self::Message,
            "@logStream" => Self::Stream,
            "@log" => Self::Log,
            "@ptr" => Self::Pointer,
            _ => match (Platform::of(field), field.strip_prefix('@')) {
                (Some(platform), _) => Self::Lambda(platform),
                // A name in a message that begins with an @ is written with one more.
                (None, Some(name)) if name.starts_with('@') => Self::Json(name.into()),
                (None, Some(_)) => Self::Nowhere,
                (None, None) => Self::Json(field.into()),
            },
        }
    }
}

/// Fills the slots of a row from an event.
pub fn fill(sources: &[(usize, Source)], event: &Event<'_>, row: &mut [Value]) {
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut lambda = None;
    for (slot, source) in sources {
        row[*slot] = match source {
            Source::Timestamp => Value::Time(event.timestamp.as_millis()),
            Source::IngestionTime => Value::Time(event.ingested.as_millis()),
            Source::Message => Value::text(String::from_utf8_lossy(event.message)),
            Source::Stream => Value::text(event.stream),
            Source::Log => Value::text(event.log),
            Source::Pointer => Value::text(BASE64_STANDARD.encode(format!("{}\n{}", event.log, event.id))),
            Source::Lambda(platform) => lambda.get_or_insert_with(|| Lambda::read(event)).value(*platform),
            Source::Nowhere => Value::Missing,
            Source::Json(path) => {
                wanted.push((*slot, path));
                Value::Missing
            }
        };
    }
    if let Some(text) = (!wanted.is_empty()).then(|| json_of(event)).flatten() {
        json::find(text, &wanted, row);
    }
}

/// The JSON of a message: all of it, or in a log of Lambda the first object that is embedded.
fn json_of<'e>(event: &Event<'e>) -> Option<&'e [u8]> {
    let (before, json) = event.message.split_at(memchr::memchr(b'{', event.message)?);
    (before.trim_ascii().is_empty() || lambda::is_lambda(event)).then_some(json)
}
