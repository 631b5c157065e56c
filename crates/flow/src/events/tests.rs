//! The life of events on a clock that the tests drive, with a script in the engine's place.

use std::collections::BTreeMap;
use std::sync::Mutex;

use access::Principal;
use base::arn::{FunctionArn, Qualifier};
use base::clock::Timestamp;
use base::id::{Digest, RequestId};
use base::limits::FUNCTION_EVENTS_AT_ONCE;
use base::units::Concurrency;
use bytes::Bytes;
use catalogue::{
    CatalogueError, CodeRef, Configuration, EventInvokeConfig, Function, FunctionKey, NewFunction,
};
use engine::admission::AdmitError;
use engine::{FunctionError, TraceHeader};
use store::memory::MemoryStore;
use tokio::sync::oneshot;

use super::stored::queue_of;
use super::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What a function does with an event.
#[derive(Debug, Clone)]
enum Do {
    Answer(&'static str),
    Fail,
    Throttle,
    /// The sandbox goes while it runs.
    Break,
    ShutDown,
    /// Answers after so many seconds.
    Take(u64),
}

/// Stands in for the engine: does what it is told, the last of it again and again, and notes what it was asked.
struct Script {
    clock: Clock,
    acts: Mutex<BTreeMap<String, Vec<Do>>>,
    seen: Mutex<Vec<(Timestamp, Invocation, Principal)>>,
    running: Mutex<BTreeMap<String, usize>>,
}

impl Script {
    fn act(&self, name: &str) -> Do {
        let mut acts = self.acts.lock().unwrap();
        let acts = acts.get_mut(name).expect("a function of the script");
        if acts.len() > 1 { acts.remove(0) } else { acts[0].clone() }
    }

    fn running(&self, name: &str) -> usize {
        self.running.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Invoker for Script {
    async fn invoke(&self, invocation: Authorized<Invocation>) -> Result<Reply, InvokeError> {
        let principal = invocation.principal().clone();
        let invocation = invocation.into_inner();
        let name = invocation.version.arn.name.to_string();
        let (executed_version, trace) = (invocation.version.qualifier.clone(), invocation.trace.to_string());
        self.seen.lock().unwrap().push((self.clock.now(), invocation, principal));
        let error = (Some(FunctionError::Unhandled), "{\"errorMessage\":\"no\"}");
        let act = self.act(&name);
        let broken = matches!(act, Do::Break);
        let (function_error, payload) = match act {
            Do::Answer(payload) => (None, payload),
            Do::Fail | Do::Break => error,
            Do::Throttle => {
                return Err(AdmitError::Account { limit: Concurrency(1) }.into());
            }
            Do::ShutDown => return Err(InvokeError::ShuttingDown),
            Do::Take(seconds) => {
                *self.running.lock().unwrap().entry(name.clone()).or_default() += 1;
                self.clock.sleep(Duration::from_secs(seconds)).await;
                *self.running.lock().unwrap().get_mut(&name).unwrap() -= 1;
                (None, "null")
            }
        };
        let (_, end) = oneshot::channel();
        Ok(Reply { executed_version, function_error, broken, payload: payload.into(), trace, end })
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    catalogue: Catalogue,
    script: Arc<Script>,
    clock: Clock,
    events: Events,
    sent: Mutex<u128>,
}

impl Bench {
    async fn of(functions: &[(&str, &[Do])]) -> Self {
        let clock = Clock::starting_at(START);
        let store = Arc::new(MemoryStore::new(clock));
        let catalogue = Catalogue::open(store.clone(), clock, Dice::seeded(1)).await.unwrap();
        let acts = functions.iter().map(|(name, acts)| ((*name).to_owned(), acts.to_vec())).collect();
        let script = Arc::new(Script {
            clock,
            acts: Mutex::new(acts),
            seen: Mutex::default(),
            running: Mutex::default(),
        });
        let events = Self::events(&store, &catalogue, &script);
        let bench = Self { store, catalogue, script, clock, events, sent: Mutex::default() };
        for (name, _) in functions {
            bench.create(name).await;
        }
        bench
    }

    fn events(store: &Arc<MemoryStore>, catalogue: &Catalogue, script: &Arc<Script>) -> Events {
        Events::new(EventsSetup {
            store: store.clone(),
            catalogue: catalogue.clone(),
            invoker: script.clone(),
            gate: Gate::open("000000000000".parse().unwrap()),
            metrics: Metrics::new(script.clock),
            clock: script.clock,
            dice: Dice::seeded(2),
        })
    }

    /// Another process on the same store.
    async fn restart(&mut self) {
        self.events = Self::events(&self.store, &self.catalogue, &self.script);
        self.events.resume().await.unwrap();
    }

    async fn create(&self, name: &str) {
        let role = "arn:aws:iam::000000000000:role/r";
        let new = NewFunction {
            key: key(name),
            configuration: Configuration::zip(name, "python3.13", "i.h", role),
            code: CodeRef { digest: Digest([1; 32]), size: 1, unzipped: 1 },
            code_signing: None,
            tags: BTreeMap::new(),
            publish: false,
        };
        let function = self.catalogue.create(new).await.unwrap();
        self.catalogue.finish(&key(name), function.latest.generation).await.unwrap();
    }

    async fn change(&self, name: &str, change: impl Fn(&mut Function) + Send + Sync) {
        let changed = |function: &Function, _| {
            let mut function = function.clone();
            change(&mut function);
            Ok::<_, CatalogueError>(function)
        };
        self.catalogue.change(&key(name), changed).await.unwrap();
    }

    /// Sets what `$LATEST` does with its events; whoever is told is named by a function's name or an ARN.
    async fn configure(&self, name: &str, retries: u8, success: &str, failure: &str) {
        let arn = |name: &str| match name {
            "" => None,
            arn if arn.starts_with("arn:") => Some(arn.into()),
            name => Some(key(name).to_string().into()),
        };
        let config = EventInvokeConfig {
            last_modified: START,
            maximum_retry_attempts: Some(retries),
            maximum_event_age: None,
            on_success: arn(success),
            on_failure: arn(failure),
        };
        let config = Arc::new(config);
        self.change(name, |function| drop(function.event_invoke.insert(Qualifier::Latest, config.clone())))
            .await;
    }

    /// Sends an event: a name, or a name and a qualifier.
    async fn send(&self, target: &str, payload: &'static str) {
        let id = {
            let mut sent = self.sent.lock().unwrap();
            *sent += 1;
            RequestId(uuid::Uuid::from_u128(*sent))
        };
        let requested = arn(target);
        let found = FunctionKey::new(requested.scope.clone(), requested.name.clone());
        let version = self.catalogue.resolve(&found, requested.qualifier.as_ref()).await.unwrap();
        let principal = Principal::Account(requested.scope.account.clone());
        let invocation = Invocation {
            id,
            version,
            trace: TraceHeader::of_invoke(None, &requested, self.clock.now(), &Dice::seeded(3)),
            requested,
            payload: Bytes::from_static(payload.as_bytes()),
            client_context: None,
            cognito_identity: None,
            tail: false,
        };
        let gate = Gate::open("000000000000".parse().unwrap());
        self.events.accept(gate.authorize(&principal, invocation).unwrap()).await.unwrap();
    }

    /// Lets the time go on until this second.
    async fn until(&self, second: u64) {
        let moment = START + Duration::from_secs(second) + Duration::from_millis(500);
        self.clock.sleep(moment.since(self.clock.now())).await;
    }

    /// What was run so far: second, function, and the last digit of the request's id.
    fn seen(&self) -> String {
        let seen = self.script.seen.lock().unwrap();
        let told = seen.iter().map(|(at, invocation, _)| {
            let id = invocation.id.0.as_u128();
            let id = if id < 10 { id.to_string() } else { "new".to_owned() };
            format!("{}s {} {id}", at.since(START).as_secs(), invocation.requested.name)
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// What the function that is told was sent, without what no two records share.
    fn told(&self, name: &str) -> Vec<String> {
        let seen = self.script.seen.lock().unwrap();
        let mine = seen.iter().filter(|(_, invocation, _)| invocation.requested.name.as_str() == name);
        let text = |payload: &Bytes| String::from_utf8(payload.to_vec()).unwrap();
        mine.map(|(_, invocation, _)| {
            let record = text(&invocation.payload);
            record.split_once("\"condition\":").unwrap().1.to_owned()
        })
        .collect()
    }

    async fn depth(&self, name: &str) -> u64 {
        self.store.queue_depth(&queue_of(&key(name))).await.unwrap()
    }
}

fn arn(target: &str) -> FunctionArn {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{target}").parse().unwrap()
}

fn key(name: &str) -> FunctionKey {
    let FunctionArn { scope, name, .. } = arn(name);
    FunctionKey::new(scope, name)
}

#[tokio::test(start_paused = true)]
async fn an_event_is_run_until_it_is_done_under_one_id() {
    for (acts, expected) in [
        (&[Do::Answer("1")][..], "0s f 1"),
        (&[Do::Fail], "0s f 1; 60s f 1; 180s f 1"),
        (&[Do::Fail, Do::Answer("1")], "0s f 1; 60s f 1"),
        (&[Do::Throttle, Do::Throttle, Do::Throttle, Do::Answer("1")], "0s f 1; 1s f 1; 3s f 1; 7s f 1"),
        (&[Do::Break, Do::Break, Do::Answer("1")], "0s f 1; 1s f 1; 3s f 1"),
    ] {
        let bench = Bench::of(&[("f", acts)]).await;
        bench.send("f", "{}").await;
        bench.until(30_000).await;
        assert_eq!(bench.seen(), expected);
        assert_eq!(bench.depth("f").await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_counted_as_they_come_run_and_end() {
    use record::metrics::Sample;
    let counted = [
        Count::AsyncEventsReceived,
        Count::AsyncEventsDropped,
        Count::DeadLetterErrors,
        Count::DestinationDeliveryFailures,
    ];
    for (acts, failure, expected, ages) in [
        (&[Do::Answer("1")][..], "", [1, 0, 0, 0], (1, 0)),
        (&[Do::Fail], "", [1, 1, 0, 0], (3, 240)),
        (&[Do::Fail, Do::Answer("1")], "arn:aws:sqs:us-east-1:000000000000:q", [1, 0, 0, 0], (2, 60)),
        (&[Do::Fail], "arn:aws:sqs:us-east-1:000000000000:q", [1, 1, 0, 1], (3, 240)),
        (&[Do::Throttle, Do::Throttle, Do::Answer("1")], "", [1, 0, 0, 0], (3, 4)),
    ] {
        let bench = Bench::of(&[("f", acts)]).await;
        bench.configure("f", 2, "", failure).await;
        bench.send("f", "{}").await;
        bench.until(30_000).await;
        let figures = bench.events.lines.house().metrics.functions();
        let series = &figures[0].series;
        assert_eq!(counted.map(|count| series.count(count)), expected, "{acts:?} {failure}");
        let shown = series.distribution(Sample::AsyncEventAge);
        assert_eq!((shown.count(), shown.sum.as_secs()), ages, "{acts:?} {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_done_by_the_next_process() {
    let mut bench = Bench::of(&[("f", &[Do::Fail]), ("g", &[Do::Answer("1")])]).await;
    bench.send("f", "{}").await;
    bench.until(10).await;
    bench.events.drain(Duration::from_secs(1)).await;
    bench.send("g", "{}").await;
    bench.until(100).await;
    assert_eq!(bench.seen(), "0s f 1", "one that ends starts nothing");
    assert_eq!((bench.depth("f").await, bench.depth("g").await), (1, 1));
    bench.restart().await;
    bench.until(1_000).await;
    assert_eq!(bench.seen(), "0s f 1; 100s f 1; 100s g 2; 220s f 1");
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_held_comes_back_when_its_lease_has_run_out() {
    let mut bench = Bench::of(&[("f", &[Do::Answer("1")])]).await;
    bench.events.drain(Duration::ZERO).await;
    bench.send("f", "{}").await;
    let held = bench.store.claim(&queue_of(&key("f")), 1, attempt::LEASE, bench.clock.now()).await.unwrap();
    assert_eq!(held.len(), 1);
    bench.restart().await;
    bench.until(100).await;
    assert_eq!(bench.seen(), "30s f 1");
    assert_eq!(bench.depth("f").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_run_keeps_its_event_to_itself() {
    let bench = Bench::of(&[("f", &[Do::Take(900)])]).await;
    bench.send("f", "{}").await;
    bench.until(2_000).await;
    assert_eq!(bench.seen(), "0s f 1");
    assert_eq!(bench.depth("f").await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_slow_function_holds_up_no_other() {
    let bench = Bench::of(&[("f", &[Do::Take(60)]), ("g", &[Do::Answer("1")])]).await;
    for _ in 0..100 {
        bench.send("f", "{}").await;
    }
    bench.send("g", "{}").await;
    bench.until(1).await;
    assert_eq!(bench.script.running("f"), FUNCTION_EVENTS_AT_ONCE);
    assert!(bench.seen().ends_with("0s g new"), "{}", bench.seen());
    bench.until(61).await;
    assert_eq!(bench.script.running("f"), FUNCTION_EVENTS_AT_ONCE);
    bench.until(250).await;
    assert_eq!((bench.script.running("f"), bench.depth("f").await), (0, 0));
    assert_eq!(bench.script.seen.lock().unwrap().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_are_reserved_and_in_their_order() {
    let bench = Bench::of(&[("f", &[Do::Take(2)])]).await;
    bench.change("f", |function| function.reserved = Some(Concurrency(1))).await;
    for _ in 0..4 {
        bench.send("f", "{}").await;
    }
    bench.until(60).await;
    assert_eq!(bench.seen(), "0s f 1; 2s f 2; 4s f 3; 6s f 4");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_gives_back_what_it_could_not_run() {
    let mut bench = Bench::of(&[("f", &[Do::ShutDown, Do::Take(10)])]).await;
    bench.send("f", "{}").await;
    bench.until(1).await;
    bench.send("f", "{}").await;
    bench.events.drain(Duration::from_secs(60)).await;
    bench.restart().await;
    bench.until(100).await;
    let seen = bench.seen();
    assert!(seen.starts_with("0s f 1; 0s f 1"), "it is not counted and need not wait: {seen}");
    assert_eq!(bench.depth("f").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_was_made_again_takes_over_and_settings_count_at_every_step() {
    let bench = Bench::of(&[("f", &[Do::Fail])]).await;
    bench.send("f", "{}").await;
    bench.until(10).await;
    bench.catalogue.delete(&key("f")).await.unwrap();
    bench.create("f").await;
    bench.configure("f", 1, "", "").await;
    bench.until(1_000).await;
    assert_eq!(bench.seen(), "0s f 1; 60s f 1");
    assert_eq!(bench.depth("f").await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_function_is_gone_ends_as_was_configured_last() {
    let bench = Bench::of(&[("f", &[Do::Fail]), ("g", &[Do::Answer("1")])]).await;
    bench.configure("f", 1, "", "g").await;
    bench.send("f", "{}").await;
    bench.until(10).await;
    bench.catalogue.delete(&key("f")).await.unwrap();
    bench.until(1_000).await;
    assert_eq!(bench.seen(), "0s f 1; 60s g new");
    let expected = r#""RetriesExhausted","approximateInvokeCount":2},"requestPayload":{},"responseContext":{"statusCode":404}}"#;
    assert_eq!(bench.told("g"), [expected]);
}

#[tokio::test(start_paused = true)]
async fn functions_are_told_of_both_ends() {
    let acts = &[Do::Answer("7"), Do::Fail][..];
    let bench = Bench::of(&[("f", acts), ("won", &[Do::Answer("1")]), ("lost", &[Do::Answer("1")])]).await;
    bench.configure("f", 0, "won", "lost").await;
    bench.send("f", "{}").await;
    bench.until(1).await;
    bench.send("f", "{}").await;
    bench.until(2).await;
    assert_eq!(
        bench.told("won"),
        [
            r#""Success","approximateInvokeCount":1},"requestPayload":{},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":7}"#
        ]
    );
    assert_eq!(
        bench.told("lost"),
        [
            r#""RetriesExhausted","approximateInvokeCount":1},"requestPayload":{},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no"}}"#
        ]
    );
    let seen = bench.script.seen.lock().unwrap();
    let (_, told, teller) = &seen[1];
    assert_eq!(teller.to_string(), "arn:aws:sts::000000000000:assumed-role/r/f");
    let lineage = |header: String| header.split("Lineage=").nth(1).unwrap().split('|').count();
    assert_eq!((lineage(seen[0].1.trace.to_string()), lineage(told.trace.to_string())), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_although_nobody_can_be_told() {
    let large = Box::leak(format!("\"{}\"", "x".repeat(1 << 20)).into_boxed_str());
    for (destination, answer) in [
        ("", "1"),
        ("missing", "1"),
        ("arn:aws:sqs:us-east-1:000000000000:q", "1"),
        ("arn:aws:lambda:us-east-1:111111111111:function:g", "1"),
        ("g", large),
    ] {
        let bench = Bench::of(&[("f", &[Do::Answer(answer)]), ("g", &[Do::Answer("1")])]).await;
        bench.configure("f", 0, destination, destination).await;
        bench.send("f", "{}").await;
        bench.until(1_000).await;
        assert_eq!(bench.seen(), "0s f 1", "{destination}");
        assert_eq!((bench.depth("f").await, bench.depth("g").await), (0, 0), "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_run_events_end_untried() {
    let bench = Bench::of(&[("f", &[Do::Fail]), ("g", &[Do::Answer("1")])]).await;
    bench.configure("f", 2, "", "g").await;
    bench.change("f", |function| function.reserved = Some(Concurrency(0))).await;
    bench.send("f", "{}").await;
    bench.until(1).await;
    assert_eq!(bench.seen(), "0s g new");
    let expected = r#""ZeroReservedConcurrency","approximateInvokeCount":0},"requestPayload":{}}"#;
    assert_eq!(bench.told("g"), [expected]);
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_has_no_events_left_to_retry() {
    let bench = Bench::of(&[("f", &[Do::Take(5), Do::Fail])]).await;
    bench.configure("f", 2, "f", "f").await;
    bench.send("f", "{}").await;
    bench.until(1).await;
    bench.store.clear().await.unwrap();
    bench.until(1_000).await;
    assert_eq!(bench.seen(), "0s f 1");
    assert_eq!(bench.depth("f").await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_stays_and_holds_up_no_other() {
    let bench = Bench::of(&[("f", &[Do::Answer("1")])]).await;
    let message = Enqueue { queue: queue_of(&key("f")), body: "{\"version\":9}\n".into(), not_before: START };
    bench.store.commit(Commit { enqueue: vec![message], ..Commit::default() }).await.unwrap();
    bench.send("f", "{}").await;
    bench.until(1_000).await;
    assert_eq!(bench.seen(), "0s f 1");
    assert_eq!(bench.depth("f").await, 1);
}
