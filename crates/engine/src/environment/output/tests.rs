//! What comes out of a pipe, and in which order.

use base::arn::FunctionArn;
use base::clock::Timestamp;
use base::random::Dice;
use expect_test::expect;
use record::Logs;
use record::logs::EventQuery;
use store::memory::MemoryStore;

use super::*;
use crate::outcome::Exit;
use crate::testing::{invocation, scope, version};

struct Bench {
    logs: Logs,
    stdout: OwnedFd,
    output: Output,
}

async fn bench(format: Format, application: Level, system: SystemLevel) -> Bench {
    let clock = Clock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    let logs = Logs::open(Arc::new(MemoryStore::new(clock)), clock, Dice::seeded(1)).await.expect("no logs");
    let (pipe, stdout) = rustix::pipe::pipe().expect("a pipe");
    let plan = LogPlan {
        writer: logs.writer(&scope(), "group", "stream"),
        stream: "stream".into(),
        format,
        application,
        system,
        function: FunctionArn::new(scope(), "f".parse().expect("a name")),
        version: Qualifier::Latest,
        memory: Mib(128),
        runtime: Some(("fake:1.v1".into(), "arn:fake".into())),
        made_for: InitializationType::OnDemand,
        notice: Some("it rains".into()),
    };
    let output = Output::new(pipe, plan, clock).expect("a pipe");
    Bench { logs, stdout, output }
}

impl Bench {
    fn print(&self, text: &str) {
        rustix::io::write(&self.stdout, text.as_bytes()).expect("room");
    }

    /// Everything that was logged.
    async fn log(&mut self) -> String {
        self.output.flush().await;
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        let events = self.logs.filter_events(&scope(), "group", &query).await.expect("a group").events;
        let lines: Vec<String> =
            events.iter().map(|event| String::from_utf8_lossy(&event.message).replace('\t', " ")).collect();
        lines.concat().replace("00000000-0000-0000-0000-", "")
    }
}

fn spent(init: Option<Duration>, status: Status) -> Spent {
    Spent { took: Duration::from_millis(5), init, status, extensions: None }
}

/// One life: an init, an invoke that answers, and one that crashes.
async fn live(bench: &mut Bench) -> (Bytes, Bytes) {
    let version = version("f", 1);
    bench.output.init_start(InitPhase::Init);
    bench.print("importing\n");
    bench.output.init_runtime_done(InitPhase::Init, &Status::Success);
    bench.output.init_report(InitPhase::Init, Duration::from_millis(100), &Status::Success);
    let first = invocation(&version, 1, "{}");
    bench.output.start(&first);
    bench.print("{\"level\":\"DEBUG\",\"message\":\"working\"}\nunfinished");
    bench.output.drain().await;
    let good = spent(Some(Duration::from_millis(100)), Status::Success);
    bench.output.runtime_done(
        first.id,
        good.took,
        &good.status,
        &Produced { bytes: Some(2), ..Produced::default() },
    );
    bench.output.end(first.id, &Figures { spent: &good, used: Mib(36) });
    let tail = bench.output.cut_tail();
    let mut second = invocation(&version, 2, "{}");
    second.tail = false;
    bench.output.start(&second);
    bench.print(" line");
    bench.output.finish().await;
    let fault = Fault::Exit(Exit::Status(1));
    bench.output.fault(second.id, &fault);
    let bad = spent(None, Status::Error(fault.error_type().into()));
    bench.output.runtime_done(
        second.id,
        bad.took,
        &bad.status,
        &Produced { bytes: Some(2), ..Produced::default() },
    );
    bench.output.end(second.id, &Figures { spent: &bad, used: Mib(36) });
    (tail, bench.output.cut_tail())
}

#[tokio::test(start_paused = true)]
async fn a_life_in_text() {
    let mut bench = bench(Format::Text, Level::Trace, SystemLevel::Debug).await;
    let (first, second) = live(&mut bench).await;
    expect![[r#"
        INIT_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        SAMOVAR it rains
        importing
        START RequestId: 000000000001 Version: $LATEST
        {"level":"DEBUG","message":"working"}
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 5.00 ms Billed Duration: 105 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 100.00 ms 
        START RequestId: 000000000002 Version: $LATEST
        unfinished lineRequestId: 000000000002 Error: Runtime exited with error: exit status 1
        Runtime.ExitError
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 5.00 ms Billed Duration: 5 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.ExitError
    "#]].assert_eq(&bench.log().await);
    let first = String::from_utf8_lossy(&first);
    assert!(first.starts_with("importing\nSTART") && first.ends_with("\t\n"), "{first}");
    assert!(second.is_empty(), "nobody asked for it");
}

#[tokio::test(start_paused = true)]
async fn a_life_in_json_at_the_usual_levels() {
    let mut bench = bench(Format::Json, Level::Info, SystemLevel::Info).await;
    let (first, _) = live(&mut bench).await;
    expect![[r#"
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"fake:1.v1","runtimeVersionArn":"arn:fake","functionName":"f","functionVersion":"$LATEST","instanceId":"stream","instanceMaxMemory":134217728}}
        {"level":"WARN","message":"it rains","timestamp":"2023-11-14T22:13:20.000Z"}
        importing
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.start","record":{"requestId":"000000000001","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","version":"$LATEST"}}
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.report","record":{"requestId":"000000000001","metrics":{"durationMs":5.0,"billedDurationMs":105,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":100.0},"status":"success"}}
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.start","record":{"requestId":"000000000002","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","version":"$LATEST"}}
        unfinished line{"time":"2023-11-14T22:13:20.000Z","type":"platform.runtimeDone","record":{"requestId":"000000000002","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":5.0,"producedBytes":2}}}
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.report","record":{"requestId":"000000000002","metrics":{"durationMs":5.0,"billedDurationMs":5,"memorySizeMB":128,"maxMemoryUsedMB":36},"status":"error","errorType":"Runtime.ExitError"}}
    "#]].assert_eq(&bench.log().await);
    let first = String::from_utf8_lossy(&first);
    assert!(
        first.contains("working") && first.contains("runtimeDone"),
        "levels do not concern the tail: {first}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_life_in_json_at_the_highest_levels() {
    let mut bench = bench(Format::Json, Level::Fatal, SystemLevel::Warn).await;
    live(&mut bench).await;
    expect![[r#"
        {"level":"WARN","message":"it rains","timestamp":"2023-11-14T22:13:20.000Z"}
        importing
        unfinished line{"time":"2023-11-14T22:13:20.000Z","type":"platform.runtimeDone","record":{"requestId":"000000000002","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":5.0,"producedBytes":2}}}
        {"time":"2023-11-14T22:13:20.000Z","type":"platform.report","record":{"requestId":"000000000002","metrics":{"durationMs":5.0,"billedDurationMs":5,"memorySizeMB":128,"maxMemoryUsedMB":36},"status":"error","errorType":"Runtime.ExitError"}}
    "#]].assert_eq(&bench.log().await);
}

#[tokio::test]
async fn a_flood_waits_in_its_pipe_and_nothing_of_it_is_lost() {
    let mut bench = bench(Format::Text, Level::Trace, SystemLevel::Debug).await;
    let line = format!("{}\n", "x".repeat(999));
    let count = 20_000;
    let flood = std::thread::spawn({
        let (stdout, line) = (bench.stdout.try_clone().expect("a descriptor"), line.clone());
        move || {
            for _ in 0..count {
                rustix::io::write(&stdout, line.as_bytes()).expect("a reader");
            }
        }
    });
    let mut widest = 0;
    while !flood.is_finished() {
        std::future::poll_fn(|cx| {
            bench.output.poll(cx);
            widest = widest.max(bench.output.queued);
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    bench.output.drain().await;
    bench.output.flush().await;
    assert!(widest < OUTPUT_QUEUE_BYTES + 2 * CHUNK, "{widest} bytes were queued");
    let mut events = 0;
    let mut token = None;
    loop {
        let query = EventQuery { limit: 10_000, token: token.as_deref(), ..EventQuery::default() };
        let page = bench.logs.filter_events(&scope(), "group", &query).await.expect("a group");
        events += page.events.len();
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(events, count);
}

#[tokio::test]
async fn a_pipe_whose_writers_are_gone_is_left_alone() {
    let mut bench = bench(Format::Text, Level::Trace, SystemLevel::Debug).await;
    bench.print("last words");
    drop(std::mem::replace(&mut bench.stdout, rustix::pipe::pipe().expect("a pipe").1));
    for _ in 0..10 {
        std::future::poll_fn(|cx| {
            bench.output.poll(cx);
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    bench.output.finish().await;
    assert_eq!(bench.log().await, "last words");
}
