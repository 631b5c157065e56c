//! `restJson1`: members in path, query, headers and body, as the model binds them.

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;

use super::{Codec, Whole, json, response, scalar, serialization};
use crate::error::{MessageKey, ServiceError};
use crate::http::Head;
use crate::route::Route;
use crate::schema::{Kind, Location, Member, Operation, Shape, TimestampFormat};
use crate::value::{Structure, Value};

/// The codec.
pub struct RestJson;

const JSON: &str = "application/json";
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

impl Codec for RestJson {
    fn read(&self, route: &Route, head: &Head, body: Bytes) -> Result<Value, ServiceError> {
        let shape = route.operation.input;
        let mut input = match shape.payload() {
            Some((at, member)) => with_payload(shape, at, member, body)?,
            None if shape.members().iter().any(|member| member.location == Location::Body) => {
                json::read(shape, &body)?.into_structure()?
            }
            None => Structure::of(shape),
        };
        let query: Vec<(String, String)> = head.query_pairs().collect();
        for (at, member) in shape.members().iter().enumerate() {
            let value = match member.location {
                Location::Uri => label(route, member)?,
                Location::Query => from_query(member, &query)?,
                Location::Header => from_header(member, &head.headers)?,
                Location::Headers => from_headers(member, &head.headers),
                Location::Body | Location::StatusCode => continue,
            };
            input.set(at, value);
        }
        Ok(Value::Structure(input))
    }

    fn write(&self, operation: &Operation, output: Value) -> Result<Whole, ServiceError> {
        let status = StatusCode::from_u16(operation.status).unwrap_or(StatusCode::OK);
        let Some(shape) = operation.output else {
            return Ok(empty(status));
        };
        let mut output = output.into_structure()?;
        let status = status_member(shape, &output).unwrap_or(status);
        let headers = headers(shape, &output);
        let mut response = match shape.payload() {
            Some((at, member)) => payload(status, member, output.take(at)),
            None if status == StatusCode::NO_CONTENT || says_only_status(shape) => empty(status),
            None => response(status, JSON, json::write(shape, &Value::Structure(output))),
        };
        response.headers_mut().extend(headers);
        Ok(response)
    }

    fn write_error(&self, error: &ServiceError) -> Whole {
        let mut members = error.members.clone();
        if error.type_user {
            members.push(("Type", "User".into()));
        }
        if let Some(message) = &error.message {
            members.push((message_key(error.message_key), message.as_str().into()));
        }
        let mut response = response(error.status, JSON, object(&members));
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.code));
        response
    }

    fn event_content_type(&self) -> &'static str {
        JSON
    }

    fn opens_with_output(&self) -> bool {
        false
    }
}

/// The key as spelled.
pub(super) fn message_key(key: MessageKey) -> &'static str {
    match key {
        MessageKey::Lower => "message",
        MessageKey::Upper => "Message",
    }
}

/// A JSON object, in order.
pub(super) fn object(members: &[(&str, serde_json::Value)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, name);
        out.push(b':');
        serde_json::to_writer(&mut out, value).expect("a value is written to memory");
    }
    out.push(b'}');
    out
}

/// The body is one member: bytes as they came, or a JSON value. An empty body is an absent member.
fn with_payload(
    shape: &'static Shape,
    at: usize,
    member: &Member,
    body: Bytes,
) -> Result<Structure, ServiceError> {
    let mut input = Structure::of(shape);
    if !body.is_empty() {
        let value = match member.shape.kind {
            Kind::Blob => Value::Blob(body),
            Kind::String { .. } => match std::str::from_utf8(&body) {
                Ok(text) => Value::String(text.to_owned()),
                Err(_) => return Err(serialization("Request body is not UTF-8")),
            },
            _ => json::read(member.shape, &body)?,
        };
        input.set(at, Some(value).filter(|value| *value != Value::Null));
    }
    Ok(input)
}

fn label(route: &Route, member: &Member) -> Result<Option<Value>, ServiceError> {
    let label = route.labels.iter().find(|(name, _)| *name == member.wire_name);
    label.map(|(_, text)| one(member, text)).transpose()
}

fn from_query(member: &Member, query: &[(String, String)]) -> Result<Option<Value>, ServiceError> {
    let mut texts = query.iter().filter(|(key, _)| key == member.wire_name).map(|(_, value)| value.as_str());
    match member.shape.kind {
        Kind::List(item) => {
            let items: Result<Vec<Value>, _> = texts.map(|text| scalar_of(item, text)).collect();
            Ok(Some(items?).filter(|items| !items.is_empty()).map(Value::List))
        }
        _ => texts.next().map(|text| one(member, text)).transpose(),
    }
}

fn from_header(member: &Member, headers: &HeaderMap) -> Result<Option<Value>, ServiceError> {
    let Some(value) = headers.get(member.wire_name) else {
        return Ok(None);
    };
    // Header bytes above ASCII are read as UTF-8, as SDKs write them.
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| serialization(format!("Header {} is not UTF-8", member.wire_name)))?;
    match member.shape.kind {
        Kind::List(item) => {
            let items: Result<Vec<Value>, _> =
                text.split(',').map(|text| scalar_of(item, text.trim())).collect();
            Ok(Some(Value::List(items?)))
        }
        _ => one(member, text).map(Some),
    }
}

fn from_headers(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let prefix = member.wire_name.to_ascii_lowercase();
    let entry = |(name, value): (&HeaderName, &HeaderValue)| {
        let rest = name.as_str().strip_prefix(&prefix)?.to_owned();
        Some((rest, Value::String(value.to_str().ok()?.to_owned())))
    };
    let entries: Vec<(String, Value)> = headers.iter().filter_map(entry).collect();
    Some(entries).filter(|entries| !entries.is_empty()).map(Value::Map)
}

fn one(member: &Member, text: &str) -> Result<Value, ServiceError> {
    scalar_of(member.shape, text)
}

fn scalar_of(shape: &Shape, text: &str) -> Result<Value, ServiceError> {
    let due = match shape.kind {
        Kind::Integer => "an Integer",
        Kind::Long => "a Long",
        Kind::Double => "a Double",
        Kind::Boolean => "a Boolean",
        Kind::Timestamp => "milliseconds since epoch",
        _ => "a String",
    };
    scalar::read(shape, text)
        .ok_or_else(|| serialization(format!("STRING_VALUE can not be converted to {due}")))
}

fn status_member(shape: &Shape, output: &Structure) -> Option<StatusCode> {
    let at = shape.members().iter().position(|member| member.location == Location::StatusCode)?;
    match output.get(at) {
        Some(Value::Integer(status)) => StatusCode::from_u16(u16::try_from(*status).ok()?).ok(),
        _ => None,
    }
}

/// Whether an output is its status and nothing else: its answer has no body. Source: recorded answers of InvokeAsync.
fn says_only_status(shape: &Shape) -> bool {
    matches!(shape.members(), [only] if only.location == Location::StatusCode)
}

fn headers(shape: &Shape, output: &Structure) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (at, member) in shape.members().iter().enumerate() {
        let Some(value) = output.get(at).filter(|_| member.location == Location::Header) else {
            continue;
        };
        let format = member.timestamp_format.unwrap_or(TimestampFormat::HttpDate);
        let text = scalar::write(value, format).and_then(|text| HeaderValue::try_from(text).ok());
        // A value that no header can carry is left out: half an answer is better than none.
        if let (Some(text), Ok(name)) = (text, HeaderName::try_from(member.wire_name)) {
            headers.insert(name, text);
        }
    }
    headers
}

fn payload(status: StatusCode, member: &Member, value: Option<Value>) -> Whole {
    match value {
        None => empty(status),
        Some(Value::Blob(bytes)) => response(status, "application/octet-stream", bytes),
        Some(Value::String(text)) => response(status, "text/plain", text),
        Some(value) => response(status, JSON, json::write(member.shape, &value)),
    }
}

fn empty(status: StatusCode) -> Whole {
    let mut response = Whole::new(Bytes::new());
    *response.status_mut() = status;
    response
}
