//! What goes with time and for want of room, and what leaves the memory.

use base::limits::{LOG_BLOCK_BYTES, LOG_INDEX_IDLE, LOG_LOADED_GROUPS};
use store::Disk;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn big(millis: i64) -> LogEvent {
    event(millis, vec![b'x'; LOG_BLOCK_BYTES as usize])
}

async fn retain(world: &World, days: u32) {
    let days = Some(days);
    world.logs.change_group(&mine(), "g", |settings| settings.retention_days = days).await.unwrap();
}

async fn bounded(space: u64) -> World {
    let World { store, clock, .. } = World::new().await;
    let limits = LogLimits { space: Some(space), retention_days: Some(3) };
    let logs = Logs::open_within(store.clone(), clock, Dice::seeded(1), limits).await.unwrap();
    World { store, clock, logs }
}

async fn stored_bytes(world: &World, group: &str) -> u64 {
    let query = GroupQuery { named: Named::Prefix(group.into()), limit: 1, token: None };
    world.logs.describe_groups(&mine(), &query).await.unwrap().items[0].stored_bytes
}

#[tokio::test(start_paused = true)]
async fn expired_events_are_not_shown_and_go_with_their_streams() {
    let world = World::new().await;
    world.write("old", vec![big(0), big(1)]).await;
    world.write("both", vec![big(2)]).await;
    retain(&world, 1).await;
    tokio::time::advance(DAY - Duration::from_secs(1500)).await;
    let now = world.clock.now();
    world
        .logs
        .writer(&mine(), "g", "both")
        .write(vec![LogEvent { timestamp: now, message: "new".into() }])
        .await
        .unwrap();
    assert_eq!(world.filter_all(&Streams::All, 10).await.0.len(), 4);
    assert_eq!(world.logs.keep().await.unwrap().expired, 0);

    tokio::time::advance(Duration::from_secs(1500)).await;
    assert_eq!(text(&world.filter_all(&Streams::All, 10).await.0), "new", "before anything is removed");
    assert_eq!(text(&world.page("both", 10, true, None).await.events), "new");
    assert!(world.logs.keep().await.unwrap().expired > 3 * LOG_BLOCK_BYTES);
    let streams = world.streams(&StreamQuery { limit: 9, ..StreamQuery::default() }).await.items;
    assert_eq!(streams.iter().map(|stream| &*stream.name).collect::<Vec<_>>(), ["both"]);
    assert_eq!(stored_bytes(&world, "g").await, 29);
    for world in [&world, &world.restarted().await] {
        assert_eq!(text(&world.filter_all(&Streams::All, 10).await.0), "new");
        assert_eq!(world.streams(&StreamQuery { limit: 9, ..StreamQuery::default() }).await.items.len(), 1);
    }
    world.write("old", vec![LogEvent { timestamp: now, message: "again".into() }]).await;
    world.logs.settle().await;
    assert_eq!(text(&world.restarted().await.page("old", 10, true, None).await.events), "again");
}

#[tokio::test(start_paused = true)]
async fn groups_that_nobody_uses_expire_too() {
    let world = World::new().await;
    world.write("s", vec![big(0)]).await;
    retain(&world, 1).await;
    world.logs.close().await.unwrap();
    let again = world.restarted().await;
    assert_eq!(again.logs.keep().await.unwrap().expired, 0);
    tokio::time::advance(2 * DAY).await;
    assert!(again.logs.keep().await.unwrap().expired > 0);
    assert_eq!(again.store.log_space().await.unwrap().logs, 0);
    assert_eq!(again.streams(&StreamQuery { limit: 9, ..StreamQuery::default() }).await.items, []);
}

#[tokio::test]
async fn the_oldest_events_over_all_groups_go_first() {
    let world = bounded(5 * LOG_BLOCK_BYTES).await;
    for (group, millis) in [("g", 0), ("h", 10), ("g", 20), ("h", 30), ("g", 40), ("h", 50), ("i", 60)] {
        world.logs.writer(&mine(), group, "s").write(vec![big(millis)]).await.unwrap();
    }
    world.logs.settle().await;
    assert!(world.logs.keep().await.unwrap().crowded_out >= 2 * LOG_BLOCK_BYTES);
    assert!(world.store.log_space().await.unwrap().logs <= 5 * LOG_BLOCK_BYTES);
    let mut left = Vec::new();
    for group in ["g", "h", "i"] {
        let query = EventQuery { limit: 9, ..EventQuery::default() };
        let events = world.logs.filter_events(&mine(), group, &query).await.unwrap().events;
        left.extend(events.into_iter().map(|event| event.timestamp.as_millis() - EPOCH));
    }
    assert_eq!(left, [40, 30, 50, 60]);
    assert_eq!(world.logs.keep().await.unwrap(), Kept::default());
    assert_eq!(world.logs.group_settings(&mine(), "i").unwrap().retention_days, Some(3), "the default");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_group_does_not_keep_the_others_from_their_limits() {
    for space in [u64::MAX, 2 * LOG_BLOCK_BYTES] {
        let world = bounded(space).await;
        for group in ["a", "g"] {
            world.logs.writer(&mine(), group, "s").write(vec![big(0), big(1)]).await.unwrap();
        }
        world.logs.settle().await;
        let damaged = world.logs.shared.group(&GroupKey::new(&mine(), "a")).unwrap();
        world.store.damage(damaged.log.clone());
        if space == u64::MAX {
            tokio::time::advance(4 * DAY).await;
        }
        let kept = world.logs.keep().await.unwrap();
        assert!(kept.expired + kept.crowded_out >= 2 * LOG_BLOCK_BYTES, "{kept:?}");
        assert_eq!(stored_bytes(&world, "g").await, 0);
        assert!(stored_bytes(&world, "a").await > 0);
    }
}

#[tokio::test]
async fn logs_make_room_on_a_full_disk_and_take_no_more_when_that_does_not_help() {
    let world = World::new().await;
    world.write("s", vec![big(0)]).await;
    world.logs.settle().await;
    let total = 1 << 30;
    world.store.set_disk(Disk { free: total / 30, total });
    assert!(world.logs.keep().await.unwrap().crowded_out > 0);
    world.write("s", vec![event(1, "still taken")]).await;
    world.store.set_disk(Disk { free: total / 50, total });
    world.logs.settle().await;
    world.logs.keep().await.unwrap();
    world.write("t", vec![event(2, "dropped")]).await;
    world.logs.create_stream(&mine(), "g", "p").await.unwrap();
    let owner = mine();
    let put = |millis| world.logs.put_events(&owner, "g", "p", vec![event(millis, "put")]);
    assert!(matches!(put(3).await, Err(LogError::Full)));
    world.store.set_disk(Disk { free: total / 2, total });
    world.logs.keep().await.unwrap();
    put(4).await.unwrap();
    world.write("t", vec![event(5, "taken again")]).await;
    assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "put taken again");
}

#[tokio::test(start_paused = true)]
async fn indexes_that_are_not_used_leave_the_memory_and_come_back() {
    let world = World::new().await;
    let writer = world.logs.writer(&mine(), "g", "s");
    writer.write(vec![event(1, "one")]).await.unwrap();
    world.logs.settle().await;
    assert_eq!(world.logs.keep().await.unwrap().unloaded, 0);
    tokio::time::advance(LOG_INDEX_IDLE).await;
    assert_eq!(world.logs.keep().await.unwrap().unloaded, 1);
    assert_eq!(stored_bytes(&world, "g").await, 29);
    writer.write(vec![event(2, "two")]).await.unwrap();
    assert_eq!(text(&world.page("s", 9, true, None).await.events), "one two");
    tokio::time::advance(LOG_INDEX_IDLE).await;
    assert_eq!(world.logs.keep().await.unwrap().unloaded, 1);
    assert_eq!(text(&world.page("s", 9, true, None).await.events), "one two");
    for number in 0..LOG_LOADED_GROUPS + 50 {
        let writer = world.logs.writer(&mine(), &format!("many{number}"), "s");
        writer.write(vec![event(1, "x")]).await.unwrap();
    }
    world.logs.settle().await;
    assert_eq!(world.logs.keep().await.unwrap().unloaded, 51);
    let scan = world.logs.scan(&mine(), "g", at(0), at(9), false).await.unwrap();
    tokio::time::advance(LOG_INDEX_IDLE).await;
    drop(scan);
    let written = world.filter_all(&Streams::All, 9).await.0;
    assert_eq!(text(&written), "one two");
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_gone_and_another_may_have_its_name() {
    let world = World::new().await;
    let logs = &world.logs;
    world.write("s", vec![event(1, "old")]).await;
    world.write("t", vec![event(2, "stays")]).await;
    assert!(matches!(logs.create_stream(&mine(), "g", "s").await, Err(LogError::StreamExists(_))));
    assert!(matches!(logs.create_stream(&mine(), "h", "s").await, Err(LogError::NoGroup(_))));
    assert!(matches!(logs.delete_stream(&mine(), "g", "u").await, Err(LogError::NoStream(_))));
    logs.delete_stream(&mine(), "g", "s").await.unwrap();
    assert!(matches!(logs.delete_stream(&mine(), "g", "s").await, Err(LogError::NoStream(_))));
    for world in [&world, &world.restarted().await] {
        assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "stays");
        let names = world.streams(&StreamQuery { limit: 9, ..StreamQuery::default() }).await.items;
        assert_eq!(names.iter().map(|stream| &*stream.name).collect::<Vec<_>>(), ["t"]);
    }
    logs.create_stream(&mine(), "g", "s").await.unwrap();
    assert_eq!(world.page("s", 9, true, None).await.events, []);
    world.write("s", vec![event(3, "new")]).await;
    logs.close().await.unwrap();
    for world in [&world, &world.restarted().await] {
        assert_eq!(text(&world.filter_all(&Streams::All, 9).await.0), "stays new");
        assert_eq!(text(&world.page("s", 9, true, None).await.events), "new");
    }
}

#[tokio::test]
async fn what_is_set_of_a_group_is_kept() {
    let world = World::new().await;
    let tags = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    let settings = GroupSettings { kms_key: Some("arn:key".into()), tags, retention_days: None };
    world.logs.create_group(&mine(), "g", settings.clone()).await.unwrap();
    world.write("s", vec![event(1, "x")]).await;
    retain(&world, 7).await;
    let expected = GroupSettings { retention_days: Some(7), ..settings };
    for world in [&world, &world.restarted().await] {
        assert_eq!(world.logs.group_settings(&mine(), "g").unwrap(), expected);
        let group =
            world.logs.describe_groups(&mine(), &GroupQuery::default()).await.unwrap().items.remove(0);
        assert_eq!((group.retention_days, group.kms_key.as_deref()), (Some(7), Some("arn:key")));
        assert!(matches!(world.logs.group_settings(&mine(), "h"), Err(LogError::NoGroup(_))));
    }
    let change = world.logs.change_group(&mine(), "h", |_| {}).await;
    assert!(matches!(change, Err(LogError::NoGroup(_))));
}
