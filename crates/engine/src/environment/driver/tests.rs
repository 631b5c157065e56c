//! Environments with scripted runtimes: what callers get, and what stands in the log.

mod life;
mod memory;
mod restoring;
mod streaming;

use std::time::Duration;

use base::units::Mib;
use expect_test::{Expect, expect};

use crate::starter::Told;
use crate::testing::{House, Plan, Script, script, version};

/// Ends a script that must not end by itself.
async fn hang() -> Told {
    std::future::pending().await
}

/// Invokes once for each payload, and shows answers and log tails with times and ids cut out.
async fn check(script: Script, payloads: &[&str], expected: Expect) {
    let house = House::of(script, Plan::default()).await;
    let version = version("f", 1);
    let mut shown = String::new();
    for payload in payloads {
        let (answer, tail) = house.run(&version, payload).await;
        shown.push_str(&format!("> {payload}: {answer}\n{tail}"));
    }
    let (built, standing) = house.sandboxes();
    shown.push_str(&format!("built {built}, standing {standing}\n"));
    expected.assert_eq(&shown.replace("00000000-0000-0000-0000-", ""));
}

#[tokio::test(start_paused = true)]
async fn a_cold_and_a_warm_invoke() {
    let runtime = script(async |mut runtime| {
        runtime.print("import\n");
        loop {
            let task = runtime.next().await;
            runtime.print(&format!("handling {}\nno newline", task.payload));
            runtime.respond(&task.id, &format!("\"{} {}\"", task.payload, runtime.start)).await;
        }
    });
    check(runtime, &["1", "2"], expect![[r#"
        > 1: "1 1"
        import
        START RequestId: 000000000001 Version: $LATEST
        handling 1
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
        > 2: "2 1"
        START RequestId: 000000000002 Version: $LATEST
        no newlinehandling 2
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_function_are_relayed() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            runtime.fail(&task.id, r#"{"errorMessage":"m"}"#).await;
        }
    });
    check(runtime, &["1", "2"], expect![[r#"
        > 1: Unhandled {"errorMessage":"m"}
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
        > 2: Unhandled {"errorMessage":"m"}
        START RequestId: 000000000002 Version: $LATEST
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_resets_the_environment_and_keeps_the_sandbox() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            if task.payload == "\"slow\"" {
                runtime.print("sleeping\n");
                return hang().await;
            }
            runtime.respond(&task.id, &runtime.start.to_string()).await;
        }
    });
    check(runtime, &["1", "\"slow\"", "2"], expect![[r#"
        > 1: 1
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms 
        > "slow": Unhandled {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 000000000002 Error: Task timed out after 3.00 seconds"}
        START RequestId: 000000000002 Version: $LATEST
        sleeping
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 3000.00 ms Billed Duration: 3000 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: timeout
        > 2: 2
        START RequestId: 000000000003 Version: $LATEST
        END RequestId: 000000000003
        REPORT RequestId: 000000000003 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn exits_signals_and_out_of_memory() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            match task.payload.as_str() {
                "0" => return Told::Exited(0),
                "7" => return Told::Exited(7),
                "11" => return Told::Killed(11),
                _ => runtime.respond(&task.id, "{}").await,
            };
        }
    });
    check(runtime, &["0", "7", "11", "1"], expect![[r#"
        > 0: Unhandled {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 000000000001 Error: Runtime exited without providing a reason"}
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: Runtime exited without providing a reason
        Runtime.ExitError
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: error Error Type: Runtime.ExitError
        > 7: Unhandled {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 000000000002 Error: Runtime exited with error: exit status 7"}
        START RequestId: 000000000002 Version: $LATEST
        RequestId: 000000000002 Error: Runtime exited with error: exit status 7
        Runtime.ExitError
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.ExitError
        > 11: Unhandled {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 000000000003 Error: Runtime exited with error: signal: segmentation fault"}
        START RequestId: 000000000003 Version: $LATEST
        RequestId: 000000000003 Error: Runtime exited with error: signal: segmentation fault
        Runtime.ExitError
        END RequestId: 000000000003
        REPORT RequestId: 000000000003 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.ExitError
        > 1: {}
        START RequestId: 000000000004 Version: $LATEST
        END RequestId: 000000000004
        REPORT RequestId: 000000000004 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_for_want_of_memory_is_told_from_other_kills() {
    let runtime = script(async |mut runtime| {
        if runtime.next().await.payload == "\"fill\"" {
            return runtime.out_of_memory();
        }
        Told::Killed(9)
    });
    check(runtime, &["1", "\"fill\"", "2"], expect![[r#"
        > 1: Unhandled {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 000000000001 Error: Runtime exited with error: signal: killed"}
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: Runtime exited with error: signal: killed
        Runtime.ExitError
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: error Error Type: Runtime.ExitError
        > "fill": Unhandled {"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: 000000000002 Error: Runtime exited with error: signal: killed"}
        START RequestId: 000000000002 Version: $LATEST
        RequestId: 000000000002 Error: Runtime exited with error: signal: killed
        Runtime.OutOfMemory
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 128 MB Status: error Error Type: Runtime.OutOfMemory
        > 2: Unhandled {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 000000000003 Error: Runtime exited with error: signal: killed"}
        START RequestId: 000000000003 Version: $LATEST
        RequestId: 000000000003 Error: Runtime exited with error: signal: killed
        Runtime.ExitError
        END RequestId: 000000000003
        REPORT RequestId: 000000000003 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.ExitError
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_twice_gives_its_own_error() {
    let runtime = script(async |mut runtime| {
        runtime.print(&format!("import {}\n", runtime.start));
        runtime.init_error(r#"{"errorMessage":"no module"}"#).await;
        Told::Exited(1)
    });
    check(runtime, &["1", "2"], expect![[r#"
        > 1: Unhandled {"errorMessage":"no module"}
        import 1
        import 2
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Function.Boom
        > 2: Unhandled {"errorMessage":"no module"}
        import 1
        import 2
        START RequestId: 000000000002 Version: $LATEST
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Function.Boom
        built 2, standing 0
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_once_is_made_again_inside_the_invoke() {
    let runtime = script(async |runtime| {
        if runtime.start == 1 {
            return Told::Exited(3);
        }
        runtime.echo().await
    });
    check(runtime, &["1"], expect![[r#"
        > 1: 1
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_that_is_too_slow_ends_with_the_functions_timeout() {
    check(script(async |_| hang().await), &["1"], expect![[r#"
        > 1: Unhandled {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 000000000001 Error: Task timed out after 3.00 seconds"}
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 3000.00 ms Billed Duration: 3000 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: timeout
        built 1, standing 1
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_without_bootstrap_says_where_it_was_looked_for() {
    check(script(async |_| Told::StartFailed(2)), &["1"], expect![[r#"
        > 1: Unhandled {"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 000000000001 Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]
        Runtime.InvalidEntrypoint
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.InvalidEntrypoint
        built 1, standing 0
    "#]]).await;
    check(script(async |_| Told::StartFailed(8)), &["1"], expect![[r#"
        > 1: Unhandled {"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 000000000001 Error: fork/exec /var/task/bootstrap: exec format error"}
        START RequestId: 000000000001 Version: $LATEST
        RequestId: 000000000001 Error: fork/exec /var/task/bootstrap: exec format error
        Runtime.InvalidEntrypoint
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Status: error Error Type: Runtime.InvalidEntrypoint
        built 1, standing 0
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_breaks_answers_its_caller() {
    let runtime = script(async |mut runtime| {
        runtime.next().await;
        Told::Lost
    });
    check(runtime, &["1"], expect![[r#"
        > 1: Unhandled {"errorType":"Sandbox.Failure","errorMessage":"RequestId: 000000000001 Error: the sandbox ended unexpectedly"}
        START RequestId: 000000000001 Version: $LATEST
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Init Duration: 0.00 ms Status: error Error Type: Sandbox.Failure
        built 1, standing 0
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_changes_nothing() {
    let house = House::of(
        script(async |mut runtime| {
            loop {
                let task = runtime.next().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                runtime.respond(&task.id, &runtime.start.to_string()).await;
            }
        }),
        Plan::default(),
    )
    .await;
    let version = version("f", 1);
    let impatient = tokio::time::timeout(Duration::from_millis(500), house.invoke(&version, "1")).await;
    assert!(impatient.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.run(&version, "2").await.0, "1");
    assert_eq!(house.sandboxes(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_whose_connection_breaks_gets_its_work_again() {
    let runtime = script(async |mut runtime| {
        runtime.next().await;
        runtime.reconnect();
        let task = runtime.next().await;
        runtime.respond(&task.id, &task.payload).await;
        hang().await
    });
    let house = House::of(runtime, Plan::default()).await;
    assert_eq!(house.invoke(&version("f", 1), "5").await.expect("it runs").payload, "5");
}
