//! Events that come through the API, who follows them, and who reads them all.

use base::limits::{LOG_FOLLOW_BYTES, LOG_GROUP_ROOM_BYTES, LOG_ROOM_BYTES};

use super::*;
use crate::pattern::Pattern;

const HOUR: i64 = 60 * 60 * 1000;

async fn with_stream() -> World {
    let world = World::new().await;
    world.logs.create_group(&mine(), "g", GroupSettings::default()).await.unwrap();
    world.logs.create_stream(&mine(), "g", "s").await.unwrap();
    world
}

#[tokio::test]
async fn events_are_put_unless_they_are_too_old_or_too_new() {
    let world = with_stream().await;
    let since = NOW - EPOCH;
    let times = [-15 * 24, -14 * 24 - 1, -8 * 24, -1, 1, 3, 4].map(|hours| since + hours * HOUR);
    let events: Vec<_> = times.iter().map(|millis| event(*millis, millis.to_string())).collect();
    let put = world.logs.put_events(&mine(), "g", "s", events.clone()).await.unwrap();
    assert_eq!(put, Rejected { too_old_end: Some(2), expired_end: None, too_new_start: Some(5) });
    let expected: Vec<_> = times[2..5].iter().map(i64::to_string).collect();
    assert_eq!(text(&world.restarted().await.page("s", 9, true, None).await.events), expected.join(" "));

    world.logs.change_group(&mine(), "g", |settings| settings.retention_days = Some(7)).await.unwrap();
    let put = world.logs.put_events(&mine(), "g", "s", events).await.unwrap();
    assert_eq!(put, Rejected { too_old_end: Some(2), expired_end: Some(3), too_new_start: Some(5) });
    assert_eq!(world.page("s", 9, true, None).await.events.len(), 4);
    let all_old = world.logs.put_events(&mine(), "g", "s", vec![event(times[0], "x")]).await.unwrap();
    assert_eq!(all_old, Rejected { too_old_end: Some(1), expired_end: Some(1), too_new_start: None });
    let missing = world.logs.put_events(&mine(), "g", "t", vec![event(0, "x")]).await;
    assert!(matches!(missing, Err(LogError::NoStream(name)) if name == "t"));
    let missing = world.logs.put_events(&mine(), "h", "s", vec![event(0, "x")]).await;
    assert!(matches!(missing, Err(LogError::NoGroup(name)) if name == "h"));
}

#[tokio::test]
async fn a_put_that_fails_says_so() {
    let world = with_stream().await;
    world.store.fail_next(flaky::Failure::Before);
    let failed = world.logs.put_events(&mine(), "g", "s", vec![event(1, "lost")]).await;
    assert!(matches!(failed, Err(LogError::Store(_))), "{failed:?}");
    world.logs.put_events(&mine(), "g", "s", vec![event(2, "kept")]).await.unwrap();
    assert_eq!(text(&world.page("s", 9, true, None).await.events), "kept");
    assert_eq!(world.store.synced(), 2, "creating the stream and putting are durable when they answer");
}

fn told(followed: Option<Followed>) -> String {
    match followed {
        Some(Followed::Event { group, event }) => {
            format!("{group}/{}: {}", event.stream, String::from_utf8_lossy(&event.message))
        }
        Some(Followed::Lost(count)) => format!("{count} lost"),
        None => "end".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn followers_are_told_before_events_are_in_the_log() {
    let world = with_stream().await;
    let follow = |streams| world.logs.follow(&mine(), &["g".into()], &streams).unwrap();
    assert!(matches!(world.logs.follow(&mine(), &["h".into()], &Streams::All), Err(LogError::NoGroup(_))));
    let mut all = follow(Streams::All);
    let mut some = follow(Streams::Prefixed("s".into()));
    let mut one = follow(Streams::Named(vec!["t".into()]));
    world.store.hold(true);
    world.write("t", vec![event(1, "a"), event(2, "b")]).await;
    world.write("s", vec![event(1, "c")]).await;
    world.logs.writer(&mine(), "other", "s").write(vec![event(1, "not ours")]).await.unwrap();
    for expected in ["g/t: a", "g/t: b", "g/s: c"] {
        assert_eq!(told(all.next().await), expected);
    }
    assert_eq!(told(some.next().await), "g/s: c");
    assert_eq!([told(one.next().await), told(one.next().await)], ["g/t: a", "g/t: b"]);
    world.store.hold(false);
    world.logs.put_events(&mine(), "g", "s", vec![event(3, "d")]).await.unwrap();
    assert_eq!([told(all.next().await), told(some.next().await)], ["g/s: d", "g/s: d"]);
    tokio::time::timeout(Duration::from_secs(1), one.next()).await.expect_err("nothing more");
    drop(some);
    world.logs.delete_group(&mine(), "g").await.unwrap();
    world.write("s", vec![event(4, "anew")]).await;
    assert_eq!(told(all.next().await), "g/s: anew");
    world.logs.stop_following();
    assert_eq!([told(all.next().await), told(one.next().await)], ["end", "end"]);
}

#[tokio::test]
async fn a_slow_follower_loses_events_and_is_told_how_many() {
    let world = with_stream().await;
    let mut follow = world.logs.follow(&mine(), &["g".into()], &Streams::All).unwrap();
    let size = 100_000;
    let count = 2 * LOG_FOLLOW_BYTES / size;
    for number in 0..count {
        world.write("s", vec![event(number as i64, vec![b'x'; size])]).await;
    }
    let mut events = 0;
    let lost = loop {
        match follow.next().await {
            Some(Followed::Event { .. }) => events += 1,
            Some(Followed::Lost(lost)) => break lost,
            None => unreachable!("the logs are open"),
        }
    };
    assert_eq!(events + lost as usize, count);
    assert!((LOG_FOLLOW_BYTES / size - 1..=LOG_FOLLOW_BYTES / size).contains(&events), "{events}");
    world.write("s", vec![event(9999, "next")]).await;
    assert_eq!(told(follow.next().await), "g/s: next");
}

#[tokio::test]
async fn a_scan_gives_all_events_in_order_and_only_those_of_its_time() {
    let world = World::new().await;
    let dice = Dice::seeded(5);
    for number in 0..40 {
        let start = i64::from(dice.bytes::<1>()[0]) * 10;
        let events =
            (0..40).map(|n| event(start + n, format!("{number} {n} {}", "x".repeat(9000)))).collect();
        world.write(&format!("s{number}"), events).await;
    }
    let (mut all, _) = world.filter_all(&Streams::All, 10_000).await;
    all.retain(|event| (at(300)..at(2000)).contains(&event.timestamp));
    assert!(all.len() > 500);
    for latest_first in [false, true] {
        let mut scan = world.logs.scan(&mine(), "g", at(300), at(2000), latest_first).await.unwrap();
        let (mut found, mut parts) = (Vec::new(), 0);
        while let Some(events) = scan.next().await.unwrap() {
            found.extend(events);
            parts += 1;
        }
        assert_eq!(scan.next().await.unwrap(), None);
        assert!(parts > 1, "{parts}");
        assert_eq!(found, all);
        all.reverse();
    }
}

#[tokio::test]
async fn a_pattern_is_applied_while_searching() {
    let world = World::new().await;
    let noise = "x".repeat(1000);
    let line = |n: i64| if n % 1000 == 7 { format!("ERROR {n}") } else { format!("INFO {n} {noise}") };
    for part in 0..10 {
        world.write("s", (part * 500..(part + 1) * 500).map(|n| event(n, line(n))).collect()).await;
    }
    let pattern = Pattern::parse("ERROR").unwrap();
    for latest_first in [false, true] {
        let query = EventQuery { limit: 4, latest_first, pattern: Some(&pattern), ..EventQuery::default() };
        let page = world.filter(query.clone()).await;
        let query = EventQuery { token: page.next.as_deref(), ..query };
        let rest = world.filter(query).await;
        let mut found = [page.events, rest.events].concat();
        if latest_first {
            found.reverse();
        }
        assert_eq!(text(&found), "ERROR 7 ERROR 1007 ERROR 2007 ERROR 3007 ERROR 4007");
        assert_eq!(rest.next, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_with_many_environments_leaves_room_for_others() {
    let world = World::new().await;
    world.write("s", vec![event(0, "x")]).await;
    world.logs.settle().await;
    world.store.hold(true);
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..2 * LOG_ROOM_BYTES / LOG_WRITER_BYTES {
        let writer = world.logs.writer(&mine(), "g", &format!("s{number}"));
        flood.spawn(async move {
            loop {
                writer.write(vec![event(0, vec![b'x'; 100_000])]).await.unwrap();
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.logs.shared.room.available_permits() >= LOG_ROOM_BYTES - LOG_GROUP_ROOM_BYTES);
    let calm = world.logs.writer(&mine(), "calm", "s");
    for number in 0..9 {
        let write = calm.write(vec![event(number, vec![b'y'; 100_000])]);
        tokio::time::timeout(Duration::from_millis(1), write).await.expect("there is room").unwrap();
    }
    flood.shutdown().await;
    world.store.hold(false);
}
