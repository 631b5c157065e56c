//! Responses that flow: what callers get of them, and when.

use std::sync::Arc;
use std::time::Duration;

use base::limits::STREAM_PIECES;
use bytes::Bytes;
use expect_test::{Expect, expect};
use tokio::sync::Notify;

use super::hang;
use crate::flow::Flow;
use crate::invoke::Reply;
use crate::starter::Told;
use crate::testing::{House, Plan, Runtime, Script, Task, script, version};

/// All pieces to the end of the stream.
async fn rest(reply: &mut Reply<Flow>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while let Some(piece) = reply.payload.next().await {
        pieces.push(piece);
    }
    pieces
}

/// Invokes once, and shows the response, what the runtime says it is, and the log.
async fn check(script: Script, expected: Expect) {
    let house = House::of(script, Plan::default()).await;
    let mut reply = house.stream(&version("f", 1), "1").await;
    let response = rest(&mut reply).await.concat();
    let kind = reply.payload.content_type.to_str().expect("text").to_owned();
    let tail = reply.end.await.expect("it ends").tail;
    let shown = format!("{kind}: {}\n{}", String::from_utf8_lossy(&response), String::from_utf8_lossy(&tail));
    expected.assert_eq(&shown.replace("00000000-0000-0000-0000-", "").replace('\t', " "));
}

/// Lets the environment take what was sent.
async fn taken() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A runtime that begins a response and goes on so.
fn streams<F: Future<Output = Told> + Send + 'static>(
    go_on: impl Fn(Runtime, Task) -> F + Copy + Send + Sync + 'static,
) -> Script {
    script(move |mut runtime| async move {
        let task = runtime.next().await;
        runtime.begin(&task.id, "text/plain").await;
        go_on(runtime, task).await
    })
}

#[tokio::test]
async fn the_first_piece_comes_before_the_function_writes_the_second() {
    let seen = Arc::new(Notify::new());
    let wait = Arc::clone(&seen);
    let runtime = script(move |mut runtime| {
        let wait = Arc::clone(&wait);
        async move {
            loop {
                let task = runtime.next().await;
                runtime.begin(&task.id, "text/plain").await;
                runtime.stream("one").await;
                wait.notified().await;
                runtime.stream("two").await;
                assert!(runtime.end("").await.contains("202"));
            }
        }
    });
    let house = House::of(runtime, Plan::default()).await;
    for _ in 0..2 {
        let mut reply = house.stream(&version("f", 1), "1").await;
        assert_eq!(reply.payload.next().await.expect("a piece"), "one");
        seen.notify_one();
        assert_eq!(rest(&mut reply).await.concat(), b"two");
        reply.end.await.expect("it ends");
    }
    assert_eq!(house.sandboxes(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_first_piece_ends_the_stream_and_says_nothing() {
    let runtime = streams(async |mut runtime, _| {
        runtime.stream("part").await;
        let error = "Lambda-Runtime-Function-Error-Type: Function.Late\r\n\
                     Lambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n";
        runtime.end(error).await;
        runtime.next().await;
        hang().await
    });
    check(runtime, expect![[r#"
        text/plain: part
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_cuts_the_stream() {
    let runtime = streams(async |mut runtime, _| {
        runtime.stream("part").await;
        hang().await
    });
    check(runtime, expect![[r#"
        text/plain: part
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 3000.00 ms Billed Duration: 3000 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: timeout
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_cuts_the_stream() {
    let runtime = streams(async |mut runtime, _| {
        runtime.stream("part").await;
        taken().await;
        Told::Exited(7)
    });
    check(runtime, expect![[r#"
        text/plain: part
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: Runtime exited with error: exit status 7
        Runtime.ExitError
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 1.00 ms Billed Duration: 1 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: error Error Type: Runtime.ExitError
    "#]]).await;
    let runtime = streams(async |runtime, _| {
        taken().await;
        runtime.out_of_memory()
    });
    check(runtime, expect![[r#"
        text/plain: 
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: Runtime exited with error: signal: killed
        Runtime.OutOfMemory
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 1.00 ms Billed Duration: 1 ms Memory Size: 128 MB Max Memory Used: 128 MB Init Duration: 0.00 ms Status: error Error Type: Runtime.OutOfMemory
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_it_streams_is_told_whole() {
    let runtime = script(async |mut runtime| {
        let task = runtime.next().await;
        runtime.fail(&task.id, r#"{"errorMessage":"m"}"#).await;
        runtime.next().await;
        hang().await
    });
    check(runtime, expect![[r#"
        application/json: {"errorMessage":"m"}
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
    "#]]).await;
    check(
        script(async |mut runtime| {
            runtime.next().await;
            hang().await
        }),
        expect![[r#"
            application/json: {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 000000000001 Error: Task timed out after 3.00 seconds"}
            START RequestId: 000000000001 Version: $LATEST
            END RequestId: 000000000001
            REPORT RequestId: 000000000001 Duration: 3000.00 ms Billed Duration: 3000 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: timeout
        "#]],
    )
    .await;
    check(script(async |runtime| runtime.echo().await), expect![[r#"
        application/octet-stream: 1
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_breaks_its_response_off_may_go_on() {
    let runtime = streams(async |mut runtime, _| {
        runtime.stream("part").await;
        runtime.reconnect();
        while runtime.start > 0 {
            let task = runtime.next().await;
            runtime.respond(&task.id, "whole").await;
        }
        hang().await
    });
    check(runtime, expect![[r#"
        text/plain: part
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: error Error Type: Runtime.TruncatedResponse
    "#]]).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_function() {
    let (done, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (finished, gone) = (Arc::clone(&done), Arc::clone(&told));
    let runtime = script(move |mut runtime| {
        let (finished, gone) = (Arc::clone(&finished), Arc::clone(&gone));
        async move {
            loop {
                let task = runtime.next().await;
                runtime.begin(&task.id, "text/plain").await;
                gone.notified().await;
                let piece = "x".repeat(1 << 20);
                for _ in 0..4 * STREAM_PIECES {
                    runtime.stream(&piece).await;
                }
                assert!(runtime.end("").await.contains("202"));
                finished.notify_one();
            }
        }
    });
    let house = House::of(runtime, Plan::default()).await;
    drop(house.stream(&version("f", 1), "1").await);
    told.notify_one();
    done.notified().await;
    // Another takes its time, and gets everything.
    let mut reply = house.stream(&version("f", 1), "1").await;
    told.notify_one();
    assert_eq!(rest(&mut reply).await.concat().len(), (4 * STREAM_PIECES) << 20);
    assert_eq!(house.sandboxes(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_gets_a_streamed_response_whole() {
    let runtime = streams(async |mut runtime, _| {
        runtime.stream("one").await;
        runtime.stream("two").await;
        runtime.end("").await;
        hang().await
    });
    let house = House::of(runtime, Plan::default()).await;
    assert_eq!(house.invoke(&version("f", 1), "1").await.expect("it runs").payload, "onetwo");
}
