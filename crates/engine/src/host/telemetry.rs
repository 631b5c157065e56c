//! The Telemetry API, 2022-07-01, and its forerunner, the Logs API, 2020-08-15: who wants which events, and how they
//! are sent.
//!
//! Destinations are listeners inside the sandbox. Nothing dials from the host: each connection is made by the
//! sandbox's own init, to the address inside alone.
//!
//! Source: Lambda Developer Guide, "Lambda Telemetry API reference" and "Lambda Logs API".

pub mod buffer;
pub mod delivery;

use std::time::Duration;

use base::limits::{
    EXTENSION_REQUEST_BYTES, TELEMETRY_BYTES, TELEMETRY_ITEMS, TELEMETRY_TIMEOUT, TELEMETRY_URI_BYTES,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::extensions::{Asked, Desk, Reply, Request, identified, refused};
use super::runtime::answers::{error, internal, json, wrong_method};
use crate::environment::rules::ExtensionRefusal;

/// The Logs API's schema before `platform.runtimeDone`.
const FIRST_LOGS_SCHEMA: &str = "2020-08-15";

/// Which of the two an extension speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// 2020-08-15.
    Logs,
    /// 2022-07-01.
    Telemetry,
}

impl Api {
    /// By the path of its one operation.
    pub fn at(path: &str) -> Option<Self> {
        match path.trim_end_matches('/') {
            "/2020-08-15/logs" => Some(Self::Logs),
            "/2022-07-01/telemetry" => Some(Self::Telemetry),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Logs => "Logs",
            Self::Telemetry => "Telemetry",
        }
    }

    const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Logs => &[FIRST_LOGS_SCHEMA, "2021-03-18"],
            Self::Telemetry => &["2022-07-01", "2022-12-13", "2025-01-29"],
        }
    }
}

/// What an extension wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// How it speaks.
    pub api: Api,
    /// Which events.
    pub types: Types,
    /// Whether its schema has `platform.runtimeDone`, which the Logs API's first has not.
    pub has_runtime_done: bool,
    /// How they are gathered.
    pub buffering: Buffering,
    /// Where they go.
    pub destination: Destination,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Types {
    /// The platform's.
    pub platform: bool,
    /// The function's output.
    pub function: bool,
    /// The extensions' output.
    pub extension: bool,
}

impl Types {
    /// As log lines name them.
    pub fn names(self) -> Vec<&'static str> {
        let named = [("Platform", self.platform), ("Function", self.function), ("Extension", self.extension)];
        named.into_iter().filter_map(|(name, wanted)| wanted.then_some(name)).collect()
    }
}

/// When a batch of events is sent: at the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffering {
    /// So many events.
    pub items: usize,
    /// So many bytes of them.
    pub bytes: usize,
    /// So long after the first.
    pub timeout: Duration,
}

/// A listener inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Arrays of events in requests.
    Http {
        /// Its port.
        port: u16,
        /// The path of the requests.
        path: String,
        /// `POST` or `PUT`.
        method: Method,
    },
    /// An event a line.
    Tcp {
        /// Its port.
        port: u16,
    },
}

impl Destination {
    /// The listener's port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Http { port, .. } | Self::Tcp { port } => *port,
        }
    }
}

/// Answers a request to subscribe.
pub async fn answer<B>(
    desk: &impl Desk,
    api: Api,
    method: &Method,
    headers: &HeaderMap,
    body: B,
) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A body that is left unread would cost its sender the connection.
    let body = Limited::new(body, EXTENSION_REQUEST_BYTES).collect().await;
    if method != Method::PUT {
        return wrong_method();
    }
    let id = match identified(headers) {
        Ok(id) => id,
        Err((kind, message)) => return error(StatusCode::FORBIDDEN, kind, &message),
    };
    let subscription = match body {
        Ok(body) => parse(api, &body.to_bytes()),
        Err(problem) => Err(problem.to_string()),
    };
    let (reply, answer) = oneshot::channel();
    if !desk.take(Request { asked: Asked::Subscribe(id, subscription), reply }) {
        return internal();
    }
    match answer.await {
        Ok(Reply::Subscribed) => json(StatusCode::OK, Bytes::from_static(b"\"OK\"")),
        Ok(Reply::Invalid(message)) => invalid(api, &message),
        Ok(Reply::Refused(ExtensionRefusal::SubscriptionClosed)) => {
            let name = api.name();
            let message = format!("{name} API subscription is closed already");
            error(StatusCode::FORBIDDEN, &format!("{name}.SubscriptionClosed"), &message)
        }
        Ok(Reply::Refused(refusal)) => {
            let (kind, message) = refused(&refusal);
            error(StatusCode::FORBIDDEN, kind, &message)
        }
        _ => internal(),
    }
}

fn invalid(api: Api, message: &str) -> Response<Full<Bytes>> {
    let kind = match api {
        Api::Logs => "Logs.ValidationError",
        Api::Telemetry => "ValidationError",
    };
    let body = serde_json::json!({ "errorType": kind, "errorMessage": message });
    json(StatusCode::BAD_REQUEST, body.to_string().into())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    schema_version: Option<String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    buffering: Limits,
    destination: Option<Target>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Limits {
    max_items: Option<u64>,
    max_bytes: Option<u64>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Target {
    protocol: Option<String>,
    #[serde(rename = "URI")]
    uri: Option<String>,
    port: Option<u64>,
    method: Option<String>,
    encoding: Option<String>,
}

/// Reads a request's body; what is wrong with it, each fault a sentence.
pub fn parse(api: Api, body: &[u8]) -> Result<Subscription, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut faults = Vec::new();
    let version = body.schema_version.as_deref().unwrap_or(api.versions()[0]);
    if !api.versions().contains(&version) {
        faults.push(format!("schemaVersion {version} is not supported"));
    }
    let destination = body.destination.ok_or_else(|| "destination is not provided".to_owned());
    let destination = destination.and_then(read_destination).map_err(|fault| faults.push(fault)).ok();
    let mut types = Types::default();
    if body.types.is_empty() {
        faults.push("types should not be empty".to_owned());
    }
    for name in &body.types {
        match name.as_str() {
            "platform" => types.platform = true,
            "function" => types.function = true,
            "extension" => types.extension = true,
            other => faults.push(format!("type {other} is not supported")),
        }
    }
    let mut within = |name: &str, given: Option<u64>, (least, usual, most): (u64, u64, u64)| {
        let value = given.unwrap_or(usual);
        if !(least..=most).contains(&value) {
            faults.push(format!("{name} should be between {least} and {most}"));
        }
        value
    };
    let items = within("maxItems", body.buffering.max_items, TELEMETRY_ITEMS);
    let bytes = within("maxBytes", body.buffering.max_bytes, TELEMETRY_BYTES);
    let timeout = within("timeoutMs", body.buffering.timeout_ms, TELEMETRY_TIMEOUT);
    let buffering =
        Buffering { items: items as usize, bytes: bytes as usize, timeout: Duration::from_millis(timeout) };
    match destination {
        Some(destination) if faults.is_empty() => {
            let has_runtime_done = version != FIRST_LOGS_SCHEMA;
            Ok(Subscription { api, types, has_runtime_done, buffering, destination })
        }
        _ => Err(faults.join("; ")),
    }
}

/// Names of the address inside.
const HOSTS: [&str; 3] = ["sandbox.localdomain", "sandbox", "169.254.100.1"];

/// Ports at which the platform itself listens inside.
const TAKEN: [u16; 3] = [53, 4566, 9001];

fn read_destination(target: Target) -> Result<Destination, String> {
    let allowed = |port: u16| {
        if TAKEN.contains(&port) || port == 0 { Err(format!("port {port} is reserved")) } else { Ok(port) }
    };
    if target.encoding.is_some_and(|encoding| encoding != "JSON") {
        return Err("encoding should be JSON".into());
    }
    match target.protocol.as_deref() {
        Some("HTTP") => {
            let uri =
                target.uri.filter(|uri| uri.len() <= TELEMETRY_URI_BYTES).ok_or("URI is not provided")?;
            let uri: Uri = uri.parse().map_err(|_| "URI is not valid".to_owned())?;
            if uri.scheme_str() != Some("http") || !uri.host().is_some_and(|host| HOSTS.contains(&host)) {
                return Err("URI should begin with http://sandbox.localdomain".into());
            }
            let port = allowed(uri.port_u16().ok_or("URI port is not provided")?)?;
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            let method = match target.method.as_deref() {
                None | Some("POST") => Method::POST,
                Some("PUT") => Method::PUT,
                Some(_) => return Err("method should be PUT or POST".into()),
            };
            Ok(Destination::Http { port, path, method })
        }
        Some("TCP") => {
            let port = target.port.ok_or("port is not provided")?;
            let port = u16::try_from(port).map_err(|_| "port is not valid".to_owned())?;
            Ok(Destination::Tcp { port: allowed(port)? })
        }
        _ => Err("protocol should be HTTP or TCP".into()),
    }
}

#[cfg(test)]
mod tests;
