//! The control plane through the wire: requests as SDKs send them, answers whole.

mod invoking;
mod life;
mod refusals;
mod snap_start;
mod streaming;

use std::io::Write;
use std::sync::{Arc, Mutex};

use access::{Authorized, Caller, Gate, Vault};
use artifact::{Artifacts, InProcess};
use async_trait::async_trait;
use base::arn::Scope;
use base::clock::{Clock, Timestamp};
use base::id::RequestId;
use base::random::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use catalogue::{Catalogue, FunctionKey, Version};
use engine::{Ended, Flow, FunctionError, InitError, Invocation, InvokeError, Reply, Standing};
use flow::{Events, EventsSetup, Invoker};
use serde_json::{Value, json};
use store::Blobs;
use store::memory::MemoryStore;
use tempfile::TempDir;
use tokio::sync::oneshot;
use wire::http::{Head, Response};
use wire::{codec, request, route};

use super::{Lambda, LambdaSetup, Runner};
use crate::Context;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// A Lambda on a store in memory, without an engine.
struct Bench {
    lambda: Lambda,
    runner: Arc<Script>,
    catalogue: Catalogue,
    artifacts: Artifacts,
    dice: Dice,
    _directory: TempDir,
}

/// Stands in for the engine: notes what it is asked to run and answers as told.
#[derive(Default)]
struct Script {
    seen: Mutex<Vec<Invocation>>,
    answer: Mutex<Option<Result<Ran, InvokeError>>>,
    /// What comes of the next init; it succeeds unless told otherwise.
    init: Mutex<Option<Result<(), InitError>>>,
    /// How provisioned concurrency of every version stands.
    standing: Mutex<Standing>,
}

/// What a function answered, and whether it failed.
type Ran = (Bytes, Option<FunctionError>);

#[async_trait]
impl Invoker for Script {
    async fn invoke(&self, invocation: Authorized<Invocation>) -> Result<Reply, InvokeError> {
        let invocation = invocation.into_inner();
        let told = self.answer.lock().unwrap().take();
        let (payload, function_error) = told.unwrap_or_else(|| Ok((invocation.payload.clone(), None)))?;
        let (end, ended) = oneshot::channel();
        end.send(Ended { tail: Bytes::from_static(b"START\nEND\n") }).unwrap();
        let trace = invocation.trace.to_string();
        let executed_version = invocation.version.qualifier.clone();
        self.seen.lock().unwrap().push(invocation);
        Ok(Reply { executed_version, function_error, broken: false, payload, trace, end: ended })
    }
}

#[async_trait]
impl Runner for Script {
    async fn initialize(&self, _version: Arc<Version>) -> Result<(), InitError> {
        let told = self.init.lock().unwrap().take();
        told.unwrap_or(Ok(()))
    }

    async fn stream(&self, invocation: Authorized<Invocation>) -> Result<Reply<Flow>, InvokeError> {
        let Reply { executed_version, function_error, broken, payload, trace, end } =
            self.invoke(invocation).await?;
        let payload = Flow::whole(http::HeaderValue::from_static("text/tea"), payload);
        Ok(Reply { executed_version, function_error, broken, payload, trace, end })
    }

    fn standing(&self, _version: &Version) -> Standing {
        *self.standing.lock().unwrap()
    }
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::starting_at(Timestamp::from_millis(1_795_255_200_000));
        let dice = Dice::seeded(1);
        let store = Arc::new(MemoryStore::new(clock));
        let code = directory.path().join("code");
        std::fs::create_dir(&code).unwrap();
        let unpacker = Arc::new(InProcess::new(&code));
        let artifacts = Artifacts::open(store.clone(), Blobs::memory(), unpacker, &code, clock, dice.clone())
            .await
            .unwrap();
        let catalogue = Catalogue::open(store.clone(), clock, dice.clone()).await.unwrap();
        let runner = Arc::new(Script::default());
        let gate = Gate::open("000000000000".parse().unwrap());
        let events = Events::new(EventsSetup {
            store,
            catalogue: catalogue.clone(),
            invoker: runner.clone(),
            gate: gate.clone(),
            metrics: record::Metrics::new(clock),
            clock,
            dice: dice.clone(),
        });
        let lambda = Lambda::new(LambdaSetup {
            catalogue: catalogue.clone(),
            artifacts: artifacts.clone(),
            runner: runner.clone(),
            events,
            vault: Vault::open(&directory.path().join("key"), dice.clone()).unwrap(),
            gate,
            account_concurrency: base::limits::ACCOUNT_CONCURRENCY,
            clock,
            dice: dice.clone(),
        });
        Self { lambda, runner, catalogue, artifacts, dice, _directory: directory }
    }

    /// Sends a request as account 000000000000 in us-east-1.
    async fn send(&self, method: &str, address: &str, headers: &[(&str, &str)], body: Bytes) -> Response {
        self.send_as("000000000000", "us-east-1", method, address, headers, body).await
    }

    async fn send_as(
        &self,
        account: &str,
        region: &str,
        method: &str,
        address: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response {
        let mut request = http::Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = Head::of(&request.body(()).unwrap().into_parts().0);
        let service = route::service(&head, Some("lambda")).unwrap();
        let route = route::operation(service, &head).unwrap();
        let caller = Caller::account(account.parse().unwrap(), region.parse().unwrap());
        let request_id = RequestId::fresh(&self.dice);
        let context = Context {
            scope: caller.scope,
            principal: caller.principal,
            request_id,
            host: "localhost:4566".into(),
            trace: head.header("x-amzn-trace-id").map(str::to_owned),
        };
        let outcome = match request::read(&route, &head, body) {
            Ok(input) => wire::lambda::dispatch(&self.lambda, &context, route.operation, input).await,
            Err(error) => Err(error),
        };
        codec::respond(service.protocol, route.operation, outcome, request_id)
    }

    /// Sends JSON; the answer is status and body, with what differs from run to run masked.
    async fn ask(&self, method: &str, address: &str, body: Value) -> String {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        told(&self.send(method, address, &[], body).await)
    }

    async fn create(&self, name: &str) {
        let answer = self.ask("POST", FUNCTIONS, new(name)).await;
        assert!(answer.starts_with("201"), "{answer}");
        self.settle(name).await;
    }

    /// Waits until a function is neither pending nor being updated.
    async fn settle(&self, name: &str) -> String {
        for _ in 0..10_000 {
            let answer = self.ask("GET", &format!("{FUNCTIONS}/{name}/configuration"), Value::Null).await;
            if !answer.contains("\"Pending\"") && !answer.contains("\"InProgress\"") {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        panic!("{name} does not settle");
    }

    /// The key of a function of the account and region that `send` speaks for.
    fn key(name: &str) -> FunctionKey {
        let scope = Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        FunctionKey::new(scope, name.parse().unwrap())
    }
}

/// A request for a function with everything left to its defaults.
fn new(name: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/test",
        "Code": { "ZipFile": STANDARD.encode(archive("index.py", b"def handler(e, c): return e\n")) },
    })
}

/// `change` over a request for a function.
fn with(name: &str, change: Value) -> Value {
    let mut request = new(name);
    for (member, value) in change.as_object().unwrap() {
        request[member] = value.clone();
    }
    request
}

fn archive(path: &str, content: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(path, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Status and headers of an answer, these in order of their names and without those that no two answers share.
fn head(response: &Response) -> Vec<String> {
    let mut lines: Vec<String> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "x-amzn-requestid" && *name != "x-amzn-trace-id")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.insert(0, response.status().as_u16().to_string());
    lines
}

/// Status, error type and body of an answer.
fn told(response: &Response) -> String {
    let mut text = response.status().as_u16().to_string();
    if let Some(code) = response.headers().get("x-amzn-errortype") {
        text += &format!(" {}", code.to_str().unwrap());
    }
    let body = response.body().whole().unwrap();
    if !body.is_empty() {
        let mut body: Value = serde_json::from_slice(body).unwrap();
        mask(&mut body);
        text += &format!("\n{}", serde_json::to_string_pretty(&body).unwrap());
    }
    text
}

/// Puts stars in the place of what differs from run to run.
fn mask(value: &mut Value) {
    let Value::Object(members) = value else {
        if let Value::Array(items) = value {
            items.iter_mut().for_each(mask);
        }
        return;
    };
    for (name, member) in members {
        match name.as_str() {
            "RevisionId" | "RuntimeVersionArn" | "Location" => *member = json!("*"),
            "LastModified" => {
                let text = member.as_str().unwrap();
                assert!(text.starts_with("2026-11-21T10:00:0") && text.ends_with("+0000"), "{text}");
                *member = json!("*");
            }
            _ => mask(member),
        }
    }
}
