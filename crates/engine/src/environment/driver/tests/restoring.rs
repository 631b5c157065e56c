//! Environments of versions with SnapStart: initialised when nobody calls, restored for their first call.

use std::sync::Arc;

use super::*;
use crate::environment::rules::restore::RestoreError;
use crate::initialize::InitError;
use crate::invoke::InvokeError;
use crate::starter::StartError;
use crate::testing::{Runtime, snap_starting};

/// Runs `f` restored: an init, a hook, and answers that tell which process gave them.
async fn hooked(mut runtime: Runtime) -> Told {
    runtime.print(&format!("init {}\n", runtime.sandbox));
    runtime.restore().await;
    runtime.print("hook\n");
    loop {
        let task = runtime.next().await;
        runtime.respond(&task.id, &format!("\"{} {}\"", task.payload, runtime.sandbox)).await;
    }
}

async fn settled(house: &House, built: usize, standing: usize) {
    for _ in 0..1000 {
        if house.sandboxes() == (built, standing) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?} and not {:?}", house.sandboxes(), (built, standing));
}

#[tokio::test(start_paused = true)]
async fn the_first_call_continues_from_the_init_that_was_made() {
    let house = House::of(script(hooked), Plan::default()).await;
    let version = snap_starting("f", 1);
    house.engine.initialize(Arc::clone(&version)).await.expect("an init");
    assert_eq!(house.sandboxes(), (1, 1));
    let mut shown = String::new();
    for payload in ["1", "2"] {
        let (answer, tail) = house.run(&version, payload).await;
        shown.push_str(&format!("> {payload}: {answer}\n{tail}"));
    }
    expect![[r#"
        > 1: "1 1"
        hook
        START RequestId: 000000000001 Version: 7
        END RequestId: 000000000001
        REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Restore Duration: 0.00 ms Billed Restore Duration: 0 ms 
        > 2: "2 1"
        START RequestId: 000000000002 Version: 7
        END RequestId: 000000000002
        REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB 
    "#]].assert_eq(&shown.replace("00000000-0000-0000-0000-", ""));
    // Another one stands by for the next call that finds none free.
    settled(&house, 2, 2).await;
    expect![[r#"
        stream-5e5532fb: INIT_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-5e5532fb: init 1
        stream-5e5532fb: INIT_REPORT Init Duration: 0.00 ms
        restored-afec5127: RESTORE_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-52c84d5a: INIT_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-52c84d5a: init 2
        restored-afec5127: hook
        restored-afec5127: RESTORE_REPORT Restore Duration: 0.00 ms
        restored-afec5127: START RequestId: 000000000001 Version: 7
        stream-52c84d5a: INIT_REPORT Init Duration: 0.00 ms
        restored-afec5127: END RequestId: 000000000001
        restored-afec5127: REPORT RequestId: 000000000001 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB Restore Duration: 0.00 ms Billed Restore Duration: 0 ms
        restored-afec5127: START RequestId: 000000000002 Version: 7
        restored-afec5127: END RequestId: 000000000002
        restored-afec5127: REPORT RequestId: 000000000002 Duration: 0.00 ms Billed Duration: 0 ms Memory Size: 128 MB Max Memory Used: 36 MB
    "#]].assert_eq(&house.log("/aws/lambda/f").await.replace("00000000-0000-0000-0000-", ""));
}

#[tokio::test(start_paused = true)]
async fn who_finds_none_waits_for_an_init() {
    let house = House::of(script(hooked), Plan::default()).await;
    let (answer, _) = house.run(&snap_starting("f", 1), "1").await;
    assert_eq!(answer, "\"1 1\"");
    settled(&house, 2, 2).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_is_told() {
    let failing = script(async |mut runtime: Runtime| {
        runtime.init_error("{}").await;
        Told::Exited(64)
    });
    let house = House::of(failing, Plan::default()).await;
    let version = snap_starting("f", 1);
    let told = house.engine.initialize(Arc::clone(&version)).await;
    assert_eq!(told, Err(InitError::Failed("Function.Boom".into())));
    settled(&house, 1, 0).await;
    // Nobody should call it now; who does is told, and not kept waiting.
    let refused = house.invoke(&version, "1").await.expect_err("no init");
    assert_eq!(refused, InvokeError::Restore(RestoreError::Failed));
    settled(&house, 2, 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_has_130_seconds() {
    let house = House::of(script(async |_: Runtime| hang().await), Plan::default()).await;
    let began = tokio::time::Instant::now();
    let told = house.engine.initialize(snap_starting("f", 1)).await;
    assert_eq!((told, began.elapsed().as_secs()), (Err(InitError::TimedOut), 130));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_told_to_the_caller_and_the_log() {
    let failing = script(async |mut runtime: Runtime| {
        runtime.restore().await;
        runtime.restore_error().await;
        Told::Exited(65)
    });
    let house = House::of(failing, Plan::default()).await;
    let version = snap_starting("f", 1);
    house.engine.initialize(Arc::clone(&version)).await.expect("an init");
    let refused = house.invoke(&version, "1").await.expect_err("no restore");
    assert_eq!(refused, InvokeError::Restore(RestoreError::Failed));
    settled(&house, 2, 1).await;
    expect![[r#"
        stream-5e5532fb: INIT_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-5e5532fb: INIT_REPORT Init Duration: 0.00 ms
        restored-afec5127: RESTORE_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-52c84d5a: INIT_START Runtime Version: fake:1.v1 Runtime Version ARN: arn:fake
        stream-52c84d5a: INIT_REPORT Init Duration: 0.00 ms
        restored-afec5127: RESTORE_REPORT Restore Duration: 0.00 ms Status: error Error Type: Function.Boom
    "#]]
    .assert_eq(&house.log("/aws/lambda/f").await);
}

#[tokio::test(start_paused = true)]
async fn a_hook_has_ten_seconds() {
    let slow = script(async |mut runtime: Runtime| {
        runtime.restore().await;
        hang().await
    });
    let house = House::of(slow, Plan::default()).await;
    let version = snap_starting("f", 1);
    house.engine.initialize(Arc::clone(&version)).await.expect("an init");
    let began = tokio::time::Instant::now();
    let refused = house.invoke(&version, "1").await.expect_err("no restore");
    assert_eq!((refused, began.elapsed().as_secs()), (InvokeError::Restore(RestoreError::TimedOut), 10));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_never_called_waits_for_an_hour() {
    let house = House::of(script(hooked), Plan::default()).await;
    house.engine.initialize(snap_starting("f", 1)).await.expect("an init");
    tokio::time::sleep(Duration::from_secs(59 * 60)).await;
    assert_eq!(house.sandboxes(), (1, 1));
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    settled(&house, 1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_init_of_a_version_that_is_gone_is_given_up() {
    let house = House::of(script(async |_: Runtime| hang().await), Plan::default()).await;
    let version = snap_starting("f", 1);
    let init = tokio::spawn({
        let engine = house.engine.clone();
        async move { engine.initialize(version).await }
    });
    settled(&house, 1, 1).await;
    house.engine.pools.retire(|_| true);
    let told = init.await.expect("it ends");
    assert_eq!(told, Err(InitError::Hindered(StartError::Closed.into())));
    settled(&house, 1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_while_it_waits_is_not_called() {
    let mortal = script(async |mut runtime: Runtime| {
        if runtime.sandbox == 1 {
            tokio::select! {
                () = runtime.restore() => {}
                () = tokio::time::sleep(Duration::from_secs(60)) => return Told::Killed(11),
            }
        }
        hooked(runtime).await
    });
    let house = House::of(mortal, Plan::default()).await;
    let version = snap_starting("f", 1);
    house.engine.initialize(Arc::clone(&version)).await.expect("an init");
    tokio::time::sleep(Duration::from_secs(61)).await;
    settled(&house, 1, 0).await;
    assert_eq!(house.run(&version, "1").await.0, "\"1 2\"");
}
