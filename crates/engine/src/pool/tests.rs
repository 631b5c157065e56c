//! Who runs where, on fake sandboxes and a paused clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::limits::LEASE_PATIENCE;
use base::random::Dice;
use base::units::Concurrency;
use catalogue::Version;

use crate::admission::AdmitError;
use crate::invoke::InvokeError;
use crate::starter::Told;
use crate::testing::{House, Plan, Script, scope, script, version};

mod kept;

/// Sleeps for the event's number of milliseconds, then answers with the number of its sandbox.
fn sleeper() -> Script {
    script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            let millis = task.payload.parse().expect("a number");
            tokio::time::sleep(Duration::from_millis(millis)).await;
            runtime.respond(&task.id, &runtime.sandbox.to_string()).await;
        }
    })
}

async fn house(plan: Plan) -> Arc<House> {
    Arc::new(House::of(sleeper(), plan).await)
}

/// Which sandbox ran it.
async fn place(house: &House, name: &str, millis: u64) -> String {
    let reply = house.invoke(&version(name, 1), &millis.to_string()).await.expect("it runs");
    let _ = reply.end.await;
    String::from_utf8_lossy(&reply.payload).into_owned()
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_idle_environment_is_taken_first() {
    let house = house(Plan::default()).await;
    let places = tokio::join!(place(&house, "f", 100), place(&house, "f", 300), place(&house, "f", 200));
    pause(10).await;
    assert_eq!(place(&house, "f", 1).await, places.1);
    assert_eq!(place(&house, "f", 1).await, places.1);
    let both = tokio::join!(place(&house, "f", 50), place(&house, "f", 50));
    assert_eq!(both, (places.1, places.2));
    assert_eq!(house.sandboxes(), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_takes_what_comes_first_and_the_new_environment_joins() {
    let house = house(Plan { build_time: Duration::from_secs(1), ..Plan::default() }).await;
    assert_eq!(place(&house, "f", 1).await, "1");
    let began = tokio::time::Instant::now();
    let places = tokio::join!(place(&house, "f", 500), async {
        pause(10).await;
        let place = place(&house, "f", 1).await;
        (place, began.elapsed().as_millis())
    });
    assert_eq!(places.0, "1");
    assert!(places.1.0 == "1" && places.1.1 < 600, "{places:?}");
    pause(2000).await;
    assert_eq!(house.sandboxes(), (2, 2));
    assert_eq!(place(&house, "f", 1).await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_comes_back_at_once_causes_no_cold_start() {
    let house = house(Plan::default()).await;
    let version = version("f", 1);
    for _ in 0..200 {
        house.invoke(&version, "1").await.expect("it runs");
    }
    assert_eq!(house.sandboxes(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_works_on_after_its_answer_is_not_waited_for_long() {
    let lingering = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            runtime.respond(&task.id, &runtime.sandbox.to_string()).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    let house = House::of(lingering, Plan::default()).await;
    let version = version("f", 1);
    house.invoke(&version, "1").await.expect("it runs");
    let began = tokio::time::Instant::now();
    assert_eq!(house.invoke(&version, "1").await.expect("it runs").payload, "2");
    let waited = began.elapsed();
    assert!(waited >= LEASE_PATIENCE && waited < 3 * LEASE_PATIENCE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_environments_are_closed_after_their_time() {
    let house = house(Plan::default()).await;
    tokio::join!(place(&house, "f", 100), place(&house, "f", 100));
    for _ in 0..5 {
        pause(200_000).await;
        place(&house, "f", 1).await;
    }
    assert_eq!(house.sandboxes(), (2, 1), "the one that was never used again");
    pause(301_000).await;
    assert_eq!(house.sandboxes(), (2, 0));
    assert_eq!(house.engine.environments(), 0);
    assert_eq!(place(&house, "f", 1).await, "3");
}

#[tokio::test(start_paused = true)]
async fn an_update_closes_what_idles_and_lets_run_what_runs() {
    let house = house(Plan::default()).await;
    tokio::join!(place(&house, "f", 100), place(&house, "f", 100), place(&house, "g", 100));
    let running = tokio::spawn({
        let house = Arc::clone(&house);
        async move { place(&house, "f", 1000).await }
    });
    pause(100).await;
    house.engine.pools.retire(|key| key.version.name.as_str() == "f");
    pause(100).await;
    assert_eq!(house.sandboxes(), (3, 2));
    running.await.expect("it runs");
    pause(100).await;
    assert_eq!(house.sandboxes(), (3, 1));
    assert_eq!(house.engine.environments(), 1);
}

#[tokio::test(start_paused = true)]
async fn generations_do_not_share_environments() {
    let house = house(Plan::default()).await;
    assert_eq!(house.invoke(&version("f", 1), "1").await.expect("it runs").payload, "1");
    assert_eq!(house.invoke(&version("f", 2), "1").await.expect("it runs").payload, "2");
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_built_is_told_to_who_waits_for_it() {
    let house = house(Plan::default()).await;
    house.broken.store(true, Ordering::SeqCst);
    let refused = house.invoke(&version("f", 1), "1").await.expect_err("it cannot run");
    assert!(matches!(refused, InvokeError::Sandbox(_)), "{refused}");
    assert_eq!(house.engine.running(&scope()), Concurrency(0));
    house.broken.store(false, Ordering::SeqCst);
    assert_eq!(place(&house, "f", 1).await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_throttled_at_its_limit() {
    let house = house(Plan { account: 2, ..Plan::default() }).await;
    let (f, g) = (version("f", 1), version("g", 1));
    let (first, second, third) =
        tokio::join!(house.invoke(&f, "100"), house.invoke(&g, "100"), house.invoke(&f, "100"));
    assert!(first.is_ok() && second.is_ok());
    let reason = AdmitError::Account { limit: Concurrency(2) };
    assert_eq!(third.expect_err("beyond the limit"), InvokeError::Throttled { reason });
    pause(100).await;
    assert!(house.invoke(&version("f", 1), "1").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_machine_closes_what_idles_longest_and_else_lets_wait() {
    let house = house(Plan { budget: 2, ..Plan::default() }).await;
    place(&house, "f", 1).await;
    pause(10).await;
    place(&house, "g", 1).await;
    assert_eq!(place(&house, "h", 1).await, "3");
    assert_eq!(place(&house, "g", 1).await, "2", "f idled longest and went");
    let (f, g, h) = (version("f", 1), version("g", 1), version("h", 1));
    let (first, second, third) =
        tokio::join!(house.invoke(&g, "100"), house.invoke(&h, "100"), house.invoke(&f, "1"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(third.expect("it waited for a place").payload, "4");
    let (i, j, k) = (slow("i"), slow("j"), slow("k"));
    let (first, second, third) =
        tokio::join!(house.invoke(&i, "20000"), house.invoke(&j, "20000"), house.invoke(&k, "1"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(third.expect_err("it has waited long enough"), InvokeError::NoPlace { budget: 2 });
    pause(100).await;
    assert_eq!(house.engine.running(&scope()), Concurrency(0));
}

/// A version that may run for a minute.
fn slow(name: &str) -> Arc<Version> {
    let mut version = Version::clone(&version(name, 1));
    Arc::make_mut(&mut version.configuration).timeout = Duration::from_secs(60);
    Arc::new(version)
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_runs_and_takes_no_more() {
    let house = house(Plan::default()).await;
    place(&house, "g", 1).await;
    let running = tokio::spawn({
        let house = Arc::clone(&house);
        async move { place(&house, "f", 1000).await }
    });
    pause(100).await;
    let (late, ()) = tokio::join!(
        async {
            pause(10).await;
            house.invoke(&version("g", 1), "1").await
        },
        house.engine.drain(Duration::from_secs(5)),
    );
    assert_eq!(late.expect_err("it ends"), InvokeError::ShuttingDown);
    assert_eq!(running.await.expect("it was waited for"), "2");
    assert_eq!(house.sandboxes(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_ever() {
    let house = house(Plan::default()).await;
    let running = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.invoke(&version("f", 1), "2000").await }
    });
    pause(100).await;
    house.engine.drain(Duration::from_secs(1)).await;
    let lost = running.await.expect("a task").expect("an answer");
    assert!(String::from_utf8_lossy(&lost.payload).contains("Sandbox.Failure"));
    assert_eq!((house.sandboxes(), house.engine.running(&scope())), ((1, 0), Concurrency(0)));
}

/// Random callers, impatient ones among them, on runtimes that fail in every way.
#[tokio::test(start_paused = true)]
async fn whatever_happens_nothing_is_lost_or_left() {
    for seed in 0..30 {
        let dice = Dice::seeded(seed);
        let fate = Dice::seeded(seed + 1000);
        let unruly = script(move |mut runtime| {
            let fate = fate.clone();
            async move {
                if fate.bytes::<1>()[0] < 25 {
                    return Told::Exited(1);
                }
                loop {
                    let task = runtime.next().await;
                    match fate.bytes::<1>()[0] {
                        0..15 => return Told::Exited(1),
                        15..20 => return Told::Lost,
                        20..30 => std::future::pending().await,
                        30..40 => runtime.fail(&task.id, "{}").await,
                        _ => {
                            tokio::time::sleep(Duration::from_millis(u64::from(fate.bytes::<1>()[0]))).await;
                            runtime.respond(&task.id, &task.payload).await;
                        }
                    }
                }
            }
        });
        let plan = Plan { budget: 12, account: 20, build_time: Duration::from_millis(30), ..Plan::default() };
        let house = Arc::new(House::of(unruly, plan).await);
        let mut callers = Vec::new();
        for caller in 0..60_u64 {
            let [which, wait, patience, update] = dice.bytes::<4>();
            let house = Arc::clone(&house);
            pause(u64::from(wait) / 8).await;
            let version = version(["f", "g", "h"][usize::from(which) % 3], u64::from(update) % 2);
            if update < 8 {
                house.engine.pools.retire(|key| key.generation == u64::from(update) % 2);
            }
            callers.push(tokio::spawn(async move {
                let payload = caller.to_string();
                let call = house.invoke(&version, &payload);
                if patience < 40 {
                    let _ = tokio::time::timeout(Duration::from_millis(u64::from(patience)), call).await;
                } else if let Ok(reply) = call.await {
                    let echo = reply.payload == payload;
                    assert!(echo || reply.function_error.is_some(), "somebody else's answer");
                }
            }));
        }
        for caller in callers {
            caller.await.expect("no caller panics");
        }
        pause(20_000).await;
        assert_eq!(house.engine.running(&scope()), Concurrency(0), "seed {seed}: a permit is lost");
        pause(400_000).await;
        assert_eq!(house.engine.environments(), 0, "seed {seed}: an environment is left");
        assert_eq!(house.sandboxes().1, 0, "seed {seed}: a sandbox is left");
    }
}
