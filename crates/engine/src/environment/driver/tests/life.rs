//! What becomes of an environment between its calls.

use super::*;

async fn wait(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn an_environment_is_frozen_between_calls_that_are_far_apart_and_thawed_for_each() {
    let house = House::of(script(|runtime| runtime.echo()), Plan::default()).await;
    let version = version("f", 1);
    for _ in 0..3 {
        house.run(&version, "1").await;
        wait(40).await;
    }
    assert_eq!(house.frosts(), "", "they came soon enough");
    wait(20).await;
    assert_eq!(house.frosts(), "*");
    assert_eq!(house.run(&version, "2").await.0, "2");
    assert_eq!(house.frosts(), "~");
    wait(60_000).await;
    assert_eq!(house.frosts(), "*", "once is enough");
    wait(300_000).await;
    assert_eq!((house.frosts().as_str(), house.sandboxes()), ("~", (1, 0)), "it is thawed for its end");
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_goes_on_talking_is_frozen_all_the_same() {
    let runtime = script(async |mut runtime| {
        let task = runtime.next().await;
        runtime.respond(&task.id, "1").await;
        let _asking = runtime.ask().await;
        loop {
            // A post to a call that has ended is refused, and an event all the same.
            runtime.respond(&task.id, "again").await;
            wait(20).await;
        }
    });
    let house = House::of(runtime, Plan::default()).await;
    house.run(&version("f", 1), "1").await;
    let mut frosts = String::new();
    for _ in 0..50 {
        wait(10).await;
        frosts += &house.frosts();
    }
    assert_eq!(frosts, "*", "what it says neither puts the frost off nor ends it");
}

#[tokio::test(start_paused = true)]
async fn an_environment_of_age_ends_after_its_call_and_not_within_it() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            wait(task.payload.parse().expect("milliseconds")).await;
            runtime.respond(&task.id, &runtime.sandbox.to_string()).await;
        }
    });
    let plan = Plan { max_age: Duration::from_secs(10), ..Plan::default() };
    let house = House::of(runtime, plan).await;
    let version = version("f", 1);
    assert_eq!(house.run(&version, "1").await.0, "1");
    wait(9_000).await;
    assert_eq!(house.run(&version, "2000").await.0, "1", "its call is not cut");
    wait(1).await;
    assert_eq!(house.sandboxes(), (1, 0));
    assert_eq!(house.run(&version, "1").await.0, "2");
    wait(10_001).await;
    assert_eq!(house.sandboxes(), (2, 0), "an idle one goes too");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_environment_of_age_gets_another() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            wait(1_000).await;
            runtime.respond(&task.id, &runtime.sandbox.to_string()).await;
        }
    });
    let plan = Plan { max_age: Duration::from_millis(500), ..Plan::default() };
    let house = House::of(runtime, plan).await;
    let version = version("f", 1);
    let (first, second) = tokio::join!(house.run(&version, "1"), async {
        wait(1_000).await;
        house.run(&version, "2").await
    });
    assert_eq!((first.0.as_str(), second.0.as_str()), ("1", "2"));
}
