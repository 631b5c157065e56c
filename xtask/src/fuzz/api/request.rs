//! Inputs as HTTP requests.

use anyhow::Result;

use super::json::Json;
use super::make::wire;
use super::world::Service;
use crate::codegen::model::{Operation, Shape};
use crate::server::authorization;

/// What is to be thought of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By the model.
    Valid,
    /// It still leads to its operation, or to none.
    Mutated,
    /// It is HTTP, and who knows what it means.
    Hostile,
    /// It may not even be HTTP, or it ends too early.
    Broken,
}

/// Heads that are longer may be refused by HTTP itself, in bytes: somewhat less than what the server reads.
const HEAD: usize = 60_000;

/// One request, and what its answer is held against.
#[derive(Debug, Clone)]
pub struct Request {
    pub kind: Kind,
    pub service: String,
    /// The operation that it was made for.
    pub operation: String,
    pub method: String,
    pub target: String,
    /// Without the length of the body.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// What is said of the body's length, where it is not the truth.
    pub declared: Option<String>,
    /// How many bytes of all are sent, where that is not all.
    pub cut: Option<usize>,
}

impl Request {
    /// Binds an input to HTTP as the service's protocol does.
    pub fn bind(service: &Service, operation: &Operation, input: Vec<(String, Json)>) -> Result<Self> {
        let mut request = Self {
            kind: Kind::Valid,
            service: service.name.clone(),
            operation: operation.name.clone(),
            method: operation.http.method.clone(),
            target: operation.http.request_uri.clone(),
            headers: vec![
                ("Host".into(), b"localhost".to_vec()),
                ("Authorization".into(), authorization(&service.name).into_bytes()),
            ],
            body: Vec::new(),
            declared: None,
            cut: None,
        };
        if let Some(prefix) = &service.model.metadata.target_prefix {
            request.header("X-Amz-Target", format!("{prefix}.{}", operation.name));
            request.header("Content-Type", "application/x-amz-json-1.1");
            request.body = Json::Object(input).write().into_bytes();
            return Ok(request);
        }
        let Some(reference) = &operation.input else { return Ok(request) };
        request.rest(service.model.shape(&reference.shape)?, input);
        Ok(request)
    }

    fn rest(&mut self, shape: &Shape, input: Vec<(String, Json)>) {
        let mut body = Vec::new();
        let mut query = Vec::new();
        for (name, value) in input {
            let wire = wire(shape, &name);
            let location = shape.members.get(&name).and_then(|reference| reference.location.as_deref());
            match location {
                Some("uri") => self.label(&wire, &value.plain()),
                Some("querystring") => match value {
                    Json::List(items) => query.extend(items.iter().map(|item| pair(&wire, item))),
                    value => query.push(pair(&wire, &value)),
                },
                Some("header") => self.header(&wire, value.plain()),
                _ if shape.payload.as_ref() == Some(&name) => {
                    self.body = match value {
                        Json::Bytes(bytes) => bytes,
                        value => value.write().into_bytes(),
                    };
                }
                _ => body.push((wire, value)),
            }
        }
        // What a mutation left out of the path stays there in its braces.
        self.target = self.target.replace(['{', '}'], "");
        if !query.is_empty() {
            self.target.push(if self.target.contains('?') { '&' } else { '?' });
            self.target.push_str(&query.join("&"));
        }
        let bound = |name: &String| shape.members[name].location.is_some();
        if shape.payload.is_none() && (!body.is_empty() || !shape.members.keys().all(bound)) {
            self.body = Json::Object(body).write().into_bytes();
        }
    }

    fn label(&mut self, name: &str, text: &str) {
        self.target = self.target.replace(&format!("{{{name}}}"), &encoded(text));
    }

    /// Adds a header; what would end it is left out.
    pub fn header(&mut self, name: &str, value: impl Into<String>) {
        let value =
            value.into().bytes().map(|byte| if byte < b' ' || byte == 0x7F { b'_' } else { byte }).collect();
        self.headers.push((name.to_owned(), value));
    }

    /// Knows a request that HTTP itself may refuse.
    pub fn settled(mut self) -> Self {
        let visible = self.target.bytes().all(|byte| byte.is_ascii_graphic());
        let head = self.target.len()
            + self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        if head > HEAD || !visible || !self.target.starts_with('/') {
            self.kind = Kind::Broken;
        }
        self
    }

    /// All of it, as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(name.bytes().chain(*b": ").chain(value.iter().copied()).chain(*b"\r\n"));
        }
        let length = self.declared.clone().unwrap_or_else(|| format!("Content-Length: {}", self.body.len()));
        bytes.extend(length.bytes().chain(*b"\r\n\r\n"));
        bytes.extend(&self.body);
        bytes.truncate(self.cut.unwrap_or(bytes.len()));
        bytes
    }
}

fn pair(name: &str, value: &Json) -> String {
    format!("{}={}", encoded(name), encoded(&value.plain()))
}

/// With everything escaped but what never needs it.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
