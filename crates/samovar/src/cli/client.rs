//! The commands' own small client of the public API.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base::clock::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use wire::http::Head;
use wire::sigv4::{self, Credentials};

use super::Endpoint;

pub mod logs;

/// The key that open mode takes when none is set.
const ANY_KEY: &str = "000000000000";
const ANY_SECRET: &str = "any";
/// How long a server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that is silent so long is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What the API answered instead of a result.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Of the answer.
    pub status: StatusCode,
    /// Such as `ResourceNotFoundException`.
    pub code: String,
    /// In AWS's words.
    pub message: String,
}

impl ApiError {
    /// What was named is not there.
    pub fn is_missing(&self) -> bool {
        self.code == "ResourceNotFoundException"
    }

    /// There are as many of these as there may be.
    pub fn is_limit(&self) -> bool {
        self.code == "LimitExceededException"
    }

    /// The peer does not have this operation.
    pub fn is_unknown_operation(&self) -> bool {
        let unknown = ["UnknownOperationException", "InvalidAction", "NotImplemented"];
        self.status == StatusCode::NOT_IMPLEMENTED
            || self.status == StatusCode::METHOD_NOT_ALLOWED
            || self.status == StatusCode::NOT_FOUND && !self.is_missing()
            || unknown.contains(&self.code.as_str())
    }
}

/// Nobody listens where the server should be.
#[derive(Debug, thiserror::Error)]
#[error(
    "no server answers at {0}: start one with `samovar serve`, or say where it is with --endpoint or SAMOVAR_ENDPOINT"
)]
pub struct NoServer(String);

/// An answer's body as it comes in.
pub struct Body(UnsyncBoxBody<Bytes, std::io::Error>);

impl Body {
    /// The next bytes; `None` at the end.
    pub async fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
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
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_keepalive(Some(KEEPALIVE));
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
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

    /// GetFunctionConfiguration.
    pub async fn function(&self, name: &str) -> Result<Value> {
        let uri = format!("{}/2015-03-31/functions/{}/configuration", self.base, encode(name));
        self.json("lambda", Request::get(uri).body(Bytes::new())?).await
    }

    /// Every layer version that is here.
    pub async fn layers(&self) -> Result<Value> {
        let request = Request::get(format!("{}/_samovar/layers", self.base));
        self.json("lambda", request.body(Bytes::new())?).await
    }

    /// What the server measures, in Prometheus' text form.
    pub async fn metrics(&self) -> Result<String> {
        let request = Request::get(format!("{}/_samovar/metrics", self.base));
        let answer = self.send("lambda", request.body(Bytes::new())?).await?;
        String::from_utf8(answer.into_body().into()).context("the answer is not text")
    }

    /// Publishes an archive under the ARN of a layer version.
    pub async fn import_layer(&self, arn: &str, archive: Vec<u8>, replace: bool) -> Result<Value> {
        let uri = format!("{}/_samovar/layers?arn={}&replace={replace}", self.base, encode(arn));
        self.json("lambda", Request::put(uri).body(archive.into())?).await
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
        let (parts, body) = self.open(service, request).await?.into_parts();
        Ok(Response::from_parts(parts, body.0.collect().await?.to_bytes()))
    }

    /// Gives the body as it comes in, when the answer is a success.
    async fn open(&self, service: &str, request: Request<Bytes>) -> Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        self.sign(service, &mut parts, &body)?;
        let sent = self.client.request(Request::from_parts(parts, Full::new(body))).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => bail!(NoServer(self.base.clone())),
            Err(error) => return Err(error).with_context(|| format!("{} stopped answering", self.base)),
        };
        let (parts, body) = answer.map(|body| body.map_err(std::io::Error::other)).into_parts();
        if parts.status.is_success() {
            return Ok(Response::from_parts(parts, Body(body.boxed_unsync())));
        }
        Err(refusal(&Response::from_parts(parts, body.collect().await?.to_bytes())).into())
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
    let code = header.or_else(|| text(&body["__type"]));
    // `ResourceNotFoundException:http://...`, `com.amazonaws#ResourceNotFoundException`.
    let bare = |code: String| {
        let code = code.split(':').next().unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().to_owned()
    };
    let code = code.map(bare).unwrap_or_else(|| answer.status().to_string());
    let message = text(&body["message"]).or_else(|| text(&body["Message"]));
    let status = answer.status();
    ApiError {
        status,
        code,
        message: message.unwrap_or_else(|| String::from_utf8_lossy(answer.body()).into_owned()),
    }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
