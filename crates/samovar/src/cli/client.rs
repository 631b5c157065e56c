//! The commands' own small client of the public API.

use anyhow::{Context, Result, bail};
use base::clock::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use wire::http::Head;
use wire::sigv4::{self, Credentials};

use super::Endpoint;

/// The key that open mode takes when none is set.
const ANY_KEY: &str = "000000000000";
const ANY_SECRET: &str = "any";

/// What the API answered instead of a result.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Such as `ResourceNotFoundException`.
    pub code: String,
    /// In AWS's words.
    pub message: String,
}

/// A finished invocation.
pub struct Answer {
    /// The function's bytes.
    pub payload: Bytes,
    /// Whether the function failed.
    pub failed: bool,
    /// The end of its log, when asked for.
    pub log: Option<Vec<u8>>,
}

/// Speaks to one server.
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    region: String,
    key: String,
    secret: String,
    token: Option<String>,
    clock: Clock,
}

impl Api {
    /// A client for `endpoint`, with the keys of the environment.
    pub fn new(endpoint: &Endpoint) -> Result<Self> {
        let base = endpoint.endpoint.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            bail!("--endpoint {base}: only http:// is spoken");
        }
        let variable =
            |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base,
            region: endpoint.region.clone(),
            key: variable("AWS_ACCESS_KEY_ID", ANY_KEY),
            secret: variable("AWS_SECRET_ACCESS_KEY", ANY_SECRET),
            token: std::env::var("AWS_SESSION_TOKEN").ok(),
            clock: Clock::system(),
        })
    }

    /// One page of ListFunctions.
    pub async fn list_functions(&self, marker: Option<&str>) -> Result<Value> {
        let query = marker.map(|marker| format!("?Marker={}", encode(marker))).unwrap_or_default();
        let request = Request::get(format!("{}/2015-03-31/functions{query}", self.base));
        self.json("lambda", request.body(Bytes::new())?).await
    }

    /// One page of FilterLogEvents, from `since` (milliseconds since the epoch) on.
    pub async fn filter_log_events(&self, group: &str, since: i64, token: Option<&str>) -> Result<Value> {
        let mut input = json!({ "logGroupName": group, "startTime": since });
        if let Some(token) = token {
            input["nextToken"] = token.into();
        }
        let request = Request::post(format!("{}/", self.base))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "Logs_20140328.FilterLogEvents");
        self.json("logs", request.body(input.to_string().into())?).await
    }

    /// Invokes and waits.
    pub async fn invoke(&self, name: &str, payload: Vec<u8>, log: bool) -> Result<Answer> {
        let mut request = Request::builder().method(Method::POST).uri(format!(
            "{}/2015-03-31/functions/{}/invocations",
            self.base,
            encode(name)
        ));
        if log {
            request = request.header("x-amz-log-type", "Tail");
        }
        let answer = self.send("lambda", request.body(payload.into())?).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let log = header("x-amz-log-result").map(|text| STANDARD.decode(text)).transpose()?;
        Ok(Answer { failed: header("x-amz-function-error").is_some(), log, payload: answer.into_body() })
    }

    async fn json(&self, service: &str, request: Request<Bytes>) -> Result<Value> {
        let answer = self.send(service, request).await?;
        serde_json::from_slice(answer.body()).context("the answer is not JSON")
    }

    async fn send(&self, service: &str, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        self.sign(service, &mut parts, &body)?;
        let sent = self.client.request(Request::from_parts(parts, Full::new(body))).await;
        let (parts, body) = sent.with_context(|| format!("no server answers at {}", self.base))?.into_parts();
        let answer = Response::from_parts(parts, body.collect().await?.to_bytes());
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refusal(&answer).into())
    }

    fn sign(&self, service: &str, parts: &mut Parts, body: &[u8]) -> Result<()> {
        let authority = parts.uri.authority().context("the endpoint has a host")?;
        parts.headers.insert(HOST, authority.as_str().parse()?);
        let mut head = Head::of(parts);
        let credentials =
            Credentials { access_key: &self.key, secret: &self.secret, session_token: self.token.as_deref() };
        sigv4::sign(&mut head, body, credentials, &self.region, service, self.clock.now())?;
        parts.headers = head.headers;
        Ok(())
    }
}

fn refusal(answer: &Response<Bytes>) -> ApiError {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let header =
        answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let code = header.or_else(|| text(&body["__type"])).unwrap_or_else(|| answer.status().to_string());
    let message = text(&body["message"]).or_else(|| text(&body["Message"]));
    ApiError { code, message: message.unwrap_or_else(|| String::from_utf8_lossy(answer.body()).into_owned()) }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
