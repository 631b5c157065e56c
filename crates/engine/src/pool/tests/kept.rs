//! Provisioned concurrency and the machine's memory, on fake sandboxes and a paused clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::limits::{ENVIRONMENT_MEMORY, WARM_RETRY, WARMING_AT_ONCE};

use super::*;
use crate::admission::memory::Reading;
use crate::pool::rules::{Standing, WarmFailure, Wish};

/// The published version 1 of a function.
fn published(name: &str) -> Arc<Version> {
    Arc::new(Version { qualifier: Qualifier::Version(1), ..Version::clone(&version(name, 1)) })
}

fn keep(house: &House, version: &Arc<Version>, count: usize) {
    let wish = Wish { count, said: Timestamp::from_millis(1) };
    let wishes =
        if count == 0 { BTreeMap::new() } else { BTreeMap::from([(1, (Arc::clone(version), wish))]) };
    house.engine.pools.provision(&version.key(), &wishes);
}

/// How many there are, how many of them are ready, and how many run.
fn counts(house: &House, version: &Version) -> (usize, usize, usize) {
    let Standing { allocated, available, in_use, .. } = house.engine.standing(version);
    (allocated, available, in_use)
}

async fn place_of(house: &House, version: &Arc<Version>, millis: u64) -> String {
    let reply = house.invoke(version, &millis.to_string()).await.expect("it runs");
    let _ = reply.end.await;
    String::from_utf8_lossy(&reply.payload).into_owned()
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_ready_is_warmed_before_anybody_calls_and_stays() {
    let house = house(Plan { build_time: Duration::from_millis(100), ..Plan::default() }).await;
    let f = published("f");
    keep(&house, &f, 2);
    pause(10).await;
    assert_eq!(counts(&house, &f), (2, 0, 0));
    pause(200).await;
    assert_eq!(counts(&house, &f), (2, 2, 0));
    pause(1_000_000).await;
    assert_eq!(house.sandboxes(), (2, 2), "they do not idle");
    let places = tokio::join!(
        place_of(&house, &f, 500),
        place_of(&house, &f, 500),
        place_of(&house, &f, 500),
        async {
            pause(50).await;
            counts(&house, &f)
        }
    );
    assert_eq!(places.3, (2, 2, 2));
    assert_eq!(places.2, "3", "the third found none free and ran on demand");
    let Standing { served, spilled, .. } = house.engine.standing(&f);
    assert_eq!((served, spilled), (2, 1));
    pause(400_000).await;
    assert_eq!(house.sandboxes(), (3, 2), "only the one on demand idled too long");
    keep(&house, &f, 0);
    pause(10).await;
    assert_eq!(house.sandboxes(), (3, 0));
    assert_eq!(house.engine.provisioned(), []);
}

#[tokio::test(start_paused = true)]
async fn an_invocation_runs_where_it_is_ready_first_and_its_start_was_none() {
    let house = house(Plan::default()).await;
    let f = published("f");
    assert_eq!(place_of(&house, &f, 1).await, "1");
    keep(&house, &f, 1);
    pause(100).await;
    for _ in 0..3 {
        assert_eq!(place_of(&house, &f, 1).await, "2");
    }
    let (_, log) = house.run(&f, "1").await;
    assert!(log.contains("REPORT") && !log.contains("Init Duration"), "{log}");
    assert_eq!(place_of(&house, &published("g"), 1).await, "3", "another function's");
}

#[tokio::test(start_paused = true)]
async fn only_some_are_warmed_at_once() {
    let house = house(Plan { build_time: Duration::from_secs(1), ..Plan::default() }).await;
    let f = published("f");
    keep(&house, &f, 3 * WARMING_AT_ONCE);
    pause(500).await;
    assert_eq!(counts(&house, &f), (WARMING_AT_ONCE, 0, 0));
    pause(1000).await;
    assert_eq!(counts(&house, &f), (2 * WARMING_AT_ONCE, WARMING_AT_ONCE, 0));
    pause(5000).await;
    assert_eq!(counts(&house, &f), (3 * WARMING_AT_ONCE, 3 * WARMING_AT_ONCE, 0));
}

#[tokio::test(start_paused = true)]
async fn less_is_kept_when_less_is_wanted_and_what_runs_ends_first() {
    let house = house(Plan::default()).await;
    let f = published("f");
    keep(&house, &f, 3);
    pause(100).await;
    let ((), (), place) = tokio::join!(
        async {
            pause(10).await;
            keep(&house, &f, 1);
        },
        async {
            pause(100).await;
            assert_eq!(counts(&house, &f), (1, 1, 1), "idle ones go first");
        },
        place_of(&house, &f, 500)
    );
    assert_eq!(place, "3");
    keep(&house, &f, 0);
    pause(100).await;
    assert_eq!(house.sandboxes(), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_is_told_and_tried_again_less_and_less_often() {
    let (inits, good) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let failing = script({
        let (inits, good) = (Arc::clone(&inits), Arc::clone(&good));
        move |mut runtime| {
            inits.fetch_add(1, Ordering::SeqCst);
            let good = good.load(Ordering::SeqCst);
            async move {
                if good {
                    return runtime.echo().await;
                }
                runtime.init_error("{}").await;
                Told::Exited(1)
            }
        }
    });
    let house = House::of(failing, Plan::default()).await;
    let f = published("f");
    keep(&house, &f, 1);
    pause(500).await;
    let standing = house.engine.standing(&f);
    assert_eq!((standing.available, standing.failure), (0, Some(WarmFailure::Init)));
    pause(20_000).await;
    let tries = inits.load(Ordering::SeqCst);
    assert!((4..=6).contains(&tries), "{tries} in 20 s");
    good.store(true, Ordering::SeqCst);
    pause(60_000).await;
    let standing = house.engine.standing(&f);
    assert_eq!((standing.available, standing.failure), (1, None));
    assert_eq!(house.sandboxes().1, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_is_replaced() {
    let once = Arc::new(AtomicBool::new(true));
    let mortal = script({
        move |mut runtime| {
            let once = Arc::clone(&once);
            async move {
                loop {
                    let task = runtime.next().await;
                    if task.payload == "die" && once.swap(false, Ordering::SeqCst) {
                        return Told::Killed(9);
                    }
                    runtime.respond(&task.id, &runtime.sandbox.to_string()).await;
                }
            }
        }
    });
    let house = House::of(mortal, Plan::default()).await;
    let f = published("f");
    keep(&house, &f, 1);
    pause(5_000).await;
    house.invoke(&f, "die").await.expect("an answer");
    pause(100).await;
    assert_eq!(counts(&house, &f), (1, 1, 0));
    let reply = house.invoke(&f, "1").await.expect("it runs");
    assert_eq!(reply.payload, "2");
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_room_warms_later() {
    let house = house(Plan { budget: 1, ..Plan::default() }).await;
    let (f, g) = (published("f"), published("g"));
    tokio::join!(place_of(&house, &g, 3000), async {
        keep(&house, &f, 1);
        pause(100).await;
        assert_eq!(house.engine.standing(&f).failure, Some(WarmFailure::Place));
    });
    pause(20 * u64::try_from(WARM_RETRY.as_millis()).expect("a second")).await;
    assert_eq!(counts(&house, &f), (1, 1, 0));
    let refused = house.invoke(&g, "1").await.expect_err("what is kept ready is not closed for others");
    assert_eq!(refused, InvokeError::NoPlace { budget: 1 });
}

#[tokio::test(start_paused = true)]
async fn without_memory_idle_ones_go_and_then_callers_wait_and_are_refused() {
    let house = Arc::new(house(Plan::default()).await);
    let memory = house.engine.pools.memory().clone();
    let read = |available| memory.read(Reading { available, held: 0 });
    place(&house, "f", 1).await;
    pause(10).await;
    place(&house, "g", 1).await;
    read(ENVIRONMENT_MEMORY / 2);
    let waiting = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.invoke(&version("h", 1), "1").await }
    });
    pause(100).await;
    assert_eq!(house.sandboxes(), (2, 0), "both were closed for the third");
    let refused = waiting.await.expect("no panic").expect_err("there is no more memory than before");
    assert_eq!(refused, InvokeError::NoMemory { needed: ENVIRONMENT_MEMORY });
    let h = version("h", 1);
    let (waited, ()) = tokio::join!(house.invoke(&h, "1"), async {
        pause(1000).await;
        read(ENVIRONMENT_MEMORY);
        house.engine.pools.wake();
    });
    assert_eq!(waited.expect("it waited for memory").payload, "3");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_runs_out_of_memory_closes_what_idles_longest() {
    let house = house(Plan::default()).await;
    for name in ["f", "g", "h"] {
        place(&house, name, 1).await;
        pause(10).await;
    }
    // Each has told that it holds 36 MB.
    house.engine.pools.relieve(40 << 20);
    pause(10).await;
    assert_eq!(house.sandboxes(), (3, 1));
    assert_eq!(place(&house, "h", 1).await, "3", "the one that was used last is there");
}
