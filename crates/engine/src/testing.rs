//! A house of fakes: sandboxes that are tasks of the test, each running a scripted runtime over a real socket.

mod sandboxes;

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{Authorized, FunctionIdentity, Gate, Principal};
use async_trait::async_trait;
use base::arn::{FunctionArn, Qualifier, Scope};
use base::clock::{Clock, Timestamp};
use base::id::{Digest, RequestId, RevisionId};
use base::random::Dice;
use base::units::{Concurrency, Mib};
use bytes::Bytes;
use catalogue::{CodeRef, Configuration, State, Version};
use record::level::{Format, Level, SystemLevel};
use record::logs::EventQuery;
use record::report::InitializationType;
use record::{Logs, Metrics};
use store::memory::MemoryStore;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Engine;
use crate::admission::Admission;
use crate::admission::budget::Budget;
use crate::environment::output::LogPlan;
use crate::environment::recipe::{Kit, Recipe, Recipes, SnapStart};
use crate::flow::Flow;
use crate::host::dns::NameServer;
use crate::images::Images;
use crate::invoke::{Invocation, InvokeError, Reply};
use crate::starter::{Command, Told};
use crate::trace::TraceHeader;
use sandboxes::{FakeMemory, FakeStarter, Frosts};

/// The account and region of every test.
pub fn scope() -> Scope {
    Scope { account: "000000000000".parse().expect("account"), region: "us-east-1".parse().expect("region") }
}

/// A version of the function `name` at a generation.
pub fn version(name: &str, generation: u64) -> Arc<Version> {
    Arc::new(Version {
        arn: FunctionArn::new(scope(), name.parse().expect("name")),
        qualifier: Qualifier::Latest,
        configuration: Arc::new(Configuration::zip(
            name,
            "provided.al2023",
            "h",
            "arn:aws:iam::000000000000:role/r",
        )),
        code: CodeRef { digest: Digest([0; 32]), size: 1, unzipped: 1 },
        state: State::Active,
        last_update: None,
        revision: RevisionId::fresh(&Dice::seeded(generation)),
        last_modified: Timestamp::from_millis(0),
        generation,
    })
}

/// A published version of the function `name` that is restored for its calls.
pub fn snap_starting(name: &str, generation: u64) -> Arc<Version> {
    let mut version = Arc::unwrap_or_clone(version(name, generation));
    version.qualifier = Qualifier::Version(7);
    Arc::make_mut(&mut version.configuration).snap_start = catalogue::SnapStart::PublishedVersions;
    Arc::new(version)
}

/// One invocation.
pub fn invocation(version: &Arc<Version>, id: u128, payload: &str) -> Invocation {
    let now = Timestamp::from_millis(1_700_000_000_000);
    Invocation {
        id: RequestId(uuid::Uuid::from_u128(id)),
        version: Arc::clone(version),
        requested: version.arn.clone(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        trace: TraceHeader::of_invoke(None, &version.arn, now, &Dice::seeded(1)),
        client_context: None,
        cognito_identity: None,
        tail: true,
    }
}

/// The invocation with its caller's right to make it.
pub fn authorized(invocation: Invocation) -> Authorized<Invocation> {
    let account = scope().account;
    let gate = Gate::open(account.clone());
    gate.authorize(&Principal::Account(account), invocation).expect("its own account")
}

/// How a scripted runtime's process ends.
pub type Ending = Told;

type Running = Pin<Box<dyn Future<Output = Ending> + Send>>;

/// What runs in the fake sandboxes.
pub type Script = Arc<dyn Fn(Runtime) -> Running + Send + Sync>;

/// A script from an async function.
pub fn script<F: Future<Output = Ending> + Send + 'static>(
    run: impl Fn(Runtime) -> F + Send + Sync + 'static,
) -> Script {
    Arc::new(move |runtime| Box::pin(run(runtime)))
}

/// One started process: its Runtime API and its output.
pub struct Runtime {
    /// How often this sandbox has started a process, this one included.
    pub start: usize,
    /// Which sandbox it is in, from one.
    pub sandbox: usize,
    address: SocketAddr,
    stdout: Arc<OwnedFd>,
    memory: Arc<FakeMemory>,
    connection: Option<BufReader<TcpStream>>,
}

/// One event that a scripted runtime got.
pub struct Task {
    /// The request's id.
    pub id: String,
    /// The event.
    pub payload: String,
}

impl Runtime {
    /// Writes to standard output.
    pub fn print(&self, text: &str) {
        rustix::io::write(&self.stdout, text.as_bytes()).expect("room in the pipe");
    }

    /// Takes memory and gives it back, for itself or for files, before its init looks.
    pub fn hold(&self, size: Mib, for_itself: bool) {
        self.memory.mark.store(size.bytes(), Ordering::SeqCst);
        self.memory.is_own.store(for_itself, Ordering::SeqCst);
    }

    /// Ends as a process does that held too much memory.
    pub fn out_of_memory(self) -> Ending {
        Told::OutOfMemory
    }

    /// Asks for work.
    pub async fn next(&mut self) -> Task {
        let (head, payload) = self.call("GET", "invocation/next", "").await;
        let id = head.lines().find_map(|line| line.strip_prefix("Lambda-Runtime-Aws-Request-Id: "));
        Task { id: id.expect("an id").to_owned(), payload }
    }

    /// Asks for work over a connection of its own, for as long as that is held, and does not listen.
    pub async fn ask(&mut self) -> impl Sized + use<> {
        self.send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n").await;
        self.connection.take()
    }

    /// Answers.
    pub async fn respond(&mut self, id: &str, body: &str) -> String {
        self.call("POST", &format!("invocation/{id}/response"), body).await.0
    }

    /// Answers with an error.
    pub async fn fail(&mut self, id: &str, body: &str) {
        self.call("POST", &format!("invocation/{id}/error"), body).await;
    }

    /// Begins to stream a response.
    pub async fn begin(&mut self, id: &str, content_type: &str) {
        let path = format!("invocation/{id}/response");
        let headers = format!(
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\n"
        );
        self.send(&format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
    }

    /// Sends a piece of it.
    pub async fn stream(&mut self, piece: &str) {
        self.send(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }

    /// Ends it, with these trailers.
    pub async fn end(&mut self, trailers: &str) -> String {
        self.send(&format!("0\r\n{trailers}\r\n")).await;
        self.hear().await.0
    }

    /// Is initialised, and waits to be restored.
    pub async fn restore(&mut self) {
        self.call("GET", "restore/next", "").await;
    }

    /// Reports that it could not be restored.
    pub async fn restore_error(&mut self) {
        self.call("POST", "restore/error", "{}").await;
    }

    /// Reports that it cannot initialise.
    pub async fn init_error(&mut self, body: &str) {
        self.call("POST", "init/error", body).await;
    }

    /// Forgets its connection, as one does that broke.
    pub fn reconnect(&mut self) {
        self.connection = None;
    }

    /// Answers every event with itself.
    pub async fn echo(mut self) -> Ending {
        loop {
            let task = self.next().await;
            self.respond(&task.id, &task.payload).await;
        }
    }

    async fn call(&mut self, method: &str, path: &str, body: &str) -> (String, String) {
        let kind = "Lambda-Runtime-Function-Error-Type: Function.Boom\r\n";
        let head = format!(
            "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(&head).await;
        self.hear().await
    }

    async fn send(&mut self, text: &str) {
        if self.connection.is_none() {
            let stream = TcpStream::connect(self.address).await.expect("a listener");
            // A piece that waited for the last one's acknowledgement would come after a driven clock has moved on.
            stream.set_nodelay(true).expect("a socket");
            self.connection = Some(BufReader::new(stream));
        }
        let connection = self.connection.as_mut().expect("it is there now");
        connection.get_mut().write_all(text.as_bytes()).await.expect("a server");
    }

    async fn hear(&mut self) -> (String, String) {
        let connection = self.connection.as_mut().expect("something was sent");
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).await.expect("an answer");
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(line.trim_end());
            head.push('\n');
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.expect("a body");
        (head, String::from_utf8(body).expect("text"))
    }
}

/// Recipes without code, interpreters or secrets.
struct FakeRecipes {
    logs: Logs,
    dice: Dice,
}

#[async_trait]
impl Recipes for FakeRecipes {
    async fn recipe(&self, version: &Version, made_for: InitializationType) -> Result<Recipe, InvokeError> {
        let Configuration { memory, ephemeral, logging, role, .. } = &*version.configuration;
        let stream = format!("stream-{}", self.dice.hex::<4>());
        let identity = FunctionIdentity {
            scope: version.arn.scope.clone(),
            function: version.arn.clone(),
            role: Arc::clone(role),
            session: version.arn.name.as_str().into(),
        };
        let command = |argv: &str| Command { argv: vec![argv.into()], env: vec![], cwd: "/var/task".into() };
        Ok(Recipe {
            commands: ["/var/task/bootstrap", "/opt/bootstrap"].map(command).into(),
            wrapped: false,
            code: "code".into(),
            _held: Vec::new(),
            layers: vec![],
            interpreter: None,
            memory: *memory,
            tmp: *ephemeral,
            keys: Arc::new(Gate::open(version.arn.scope.account.clone()).issue(identity, &self.dice)),
            log: LogPlan {
                writer: self.logs.writer(&version.arn.scope, &logging.group, &stream),
                stream: stream.as_str().into(),
                format: Format::Text,
                application: Level::Trace,
                system: SystemLevel::Debug,
                function: version.arn.clone(),
                version: version.qualifier.clone(),
                memory: *memory,
                runtime: Some(("fake:1.v1".into(), "arn:fake".into())),
                made_for,
                notice: None,
            },
            snap_start: version.snap_starts().then(|| {
                let stream = format!("restored-{}", self.dice.hex::<4>());
                SnapStart {
                    writer: self.logs.writer(&version.arn.scope, &logging.group, &stream),
                    stream: stream.into(),
                    authorization: "sesame".into(),
                }
            }),
        })
    }
}

/// An engine on fakes.
pub struct House {
    /// The engine.
    pub engine: Engine,
    /// What it counts.
    pub metrics: Metrics,
    /// Sandboxes that were built.
    pub built: Arc<AtomicUsize>,
    /// Sandboxes that stand.
    pub standing: Arc<AtomicUsize>,
    /// Whether the next sandbox cannot be built.
    pub broken: Arc<AtomicBool>,
    logs: Logs,
    /// What the freezers were told.
    frosts: Frosts,
    ids: Mutex<u128>,
}

/// What a house may be asked to be.
pub struct Plan {
    /// Environments the machine carries.
    pub budget: usize,
    /// Concurrency of the account.
    pub account: u32,
    /// Time that building a sandbox takes.
    pub build_time: Duration,
    /// Age at which an environment takes no further call.
    pub max_age: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        let max_age = Duration::from_secs(7_200);
        Self { budget: 100, account: 100, build_time: Duration::ZERO, max_age }
    }
}

impl House {
    /// A house in which every process runs `script`.
    pub async fn of(script: Script, plan: Plan) -> Self {
        let clock = Clock::starting_at(Timestamp::from_millis(1_700_000_000_000));
        let dice = Dice::seeded(1);
        let store = Arc::new(MemoryStore::new(clock));
        let logs = Logs::open(store, clock, dice.clone()).await.expect("empty logs");
        let starter = FakeStarter {
            script,
            built: Arc::default(),
            standing: Arc::default(),
            broken: Arc::default(),
            build_time: plan.build_time,
            frosts: Arc::default(),
        };
        let frosts = Arc::clone(&starter.frosts);
        let starter = Arc::new(starter);
        let (built, standing) = (Arc::clone(&starter.built), Arc::clone(&starter.standing));
        let broken = Arc::clone(&starter.broken);
        let kit = Kit {
            starter,
            recipes: Arc::new(FakeRecipes { logs: logs.clone(), dice: dice.clone() }),
            connections: crate::host::runtime::further_connections(),
            endpoint: None,
            names: NameServer::new(Dice::seeded(53)),
            images: Images::new(0),
            clock,
            dice: dice.clone(),
            idle_expiry: Duration::from_secs(300),
            max_age: plan.max_age,
        };
        let metrics = Metrics::new(clock);
        let engine = {
            let admission = Admission::new(Concurrency(plan.account));
            Engine::of(kit, admission, metrics.clone(), Budget::new(plan.budget), dice)
        };
        Self { engine, metrics, built, standing, broken, logs, frosts, ids: Mutex::new(0) }
    }

    /// Invokes a version.
    pub async fn invoke(&self, version: &Arc<Version>, payload: &str) -> Result<Reply, InvokeError> {
        self.engine.invoke(authorized(invocation(version, self.id(), payload))).await
    }

    /// Invokes a version for a caller that takes its response as it comes.
    pub async fn stream(&self, version: &Arc<Version>, payload: &str) -> Reply<Flow> {
        let invocation = authorized(invocation(version, self.id(), payload));
        self.engine.stream(invocation).await.expect("it runs")
    }

    fn id(&self) -> u128 {
        let mut ids = self.ids.lock().expect("no test panics with it");
        *ids += 1;
        *ids
    }

    /// Invokes a version; its answer and the end of its log.
    pub async fn run(&self, version: &Arc<Version>, payload: &str) -> (String, String) {
        let reply = self.invoke(version, payload).await.expect("it runs");
        let failed = reply.function_error.map(|error| format!("{} ", error.as_str())).unwrap_or_default();
        let answer = format!("{failed}{}", String::from_utf8_lossy(&reply.payload));
        let ended = reply.end.await.expect("it ends");
        (answer, String::from_utf8_lossy(&ended.tail).replace('\t', " "))
    }

    /// What a group holds, each line after its stream's name.
    pub async fn log(&self, group: &str) -> String {
        let query = EventQuery { limit: 1000, ..EventQuery::default() };
        let events = self.logs.filter_events(&scope(), group, &query).await.expect("a group").events;
        let line = |event: record::logs::FoundEvent| {
            let message = String::from_utf8_lossy(&event.message).replace('\t', " ");
            format!("{}: {}\n", event.stream, message.trim_end())
        };
        events.into_iter().map(line).collect()
    }

    /// What the freezers were told since the last look: `*` to freeze, `~` to thaw.
    pub fn frosts(&self) -> String {
        std::mem::take(&mut *self.frosts.lock().expect("no test panics with it"))
    }

    /// How many sandboxes were built and how many stand.
    pub fn sandboxes(&self) -> (usize, usize) {
        (self.built.load(Ordering::SeqCst), self.standing.load(Ordering::SeqCst))
    }
}
