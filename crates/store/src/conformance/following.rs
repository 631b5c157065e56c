//! Following changes, and clearing the store.

use std::sync::Arc;
use std::time::Duration;

use base::limits::STORE_HISTORY_CHANGES;
use bytes::Bytes;

use super::{NOW, Subject, bytes, commit, delete, enqueue, key, put, requiring, settle};
use crate::{
    Change, Commit, LogName, LogPosition, LogRecord, Require, Revision, Store, StoreError, Sync, Watch,
};

async fn next(watch: &mut Watch) -> Change {
    watch.next().await.expect("the store is open and the history kept")
}

fn change(revision: Revision, name: &str, body: Option<&str>, last: bool) -> Change {
    Change { revision, key: key(name), body: body.map(bytes), last }
}

/// Every change comes once, in the order of commits, with its content then, and tells where a commit ends.
pub async fn a_follower_sees_every_change_in_order(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let mut watch = store.watch(Revision(0)).await.expect("the history is kept");
    let one = commit(&store, put("b", "1")).await;
    let two = commit(
        &store,
        Commit {
            put: vec![(key("c"), bytes("2")), (key("a"), bytes("2"))],
            delete: vec![key("b"), key("never there")],
            ..Commit::default()
        },
    )
    .await;
    let three = commit(&store, put("a", "3")).await;
    assert_eq!(next(&mut watch).await, change(one, "b", Some("1"), true));
    let mut of_two = [next(&mut watch).await, next(&mut watch).await, next(&mut watch).await];
    assert_eq!(of_two.each_ref().map(|change| change.last), [false, false, true]);
    of_two.sort_by(|a, b| a.key.cmp(&b.key));
    for ((seen, name), body) in of_two.iter().zip(["a", "b", "c"]).zip([Some("2"), None, Some("2")]) {
        assert_eq!(*seen, change(two, name, body, seen.last));
    }
    assert_eq!(next(&mut watch).await, change(three, "a", Some("3"), true));
    let mut late = store.watch(two).await.expect("the history is kept");
    assert_eq!(next(&mut late).await, change(three, "a", Some("3"), true));
}

/// A revision remembered by a follower is good after a restart.
pub async fn a_follower_resumes_where_it_was_after_a_restart(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let one = commit(&store, put("a", "1")).await;
    let two = commit(&store, delete("a")).await;
    drop(store);
    let store = subject.open().await;
    let mut watch = store.watch(one).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, change(two, "a", None, true));
    let three = commit(&store, put("a", "3")).await;
    assert_eq!(next(&mut watch).await, change(three, "a", Some("3"), true));
}

/// A waiting follower is woken by a commit that changes a document, and by nothing else.
pub async fn a_follower_waits_and_is_woken_by_documents_only(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let mut watch = store.watch(Revision(0)).await.expect("the history is kept");
    let waiting = tokio::spawn(async move { watch.next().await });
    commit(&store, enqueue("q", "m", NOW)).await;
    commit(&store, delete("never there")).await;
    let conflict = store.commit(requiring(put("b", "1"), Require::At(key("b"), Revision(7)))).await;
    assert!(matches!(conflict, Err(StoreError::Conflict(_))));
    let one = commit(&store, put("a", "1")).await;
    let seen = waiting.await.expect("the follower does not panic");
    assert_eq!(seen, Some(change(one, "a", Some("1"), true)));
}

/// History is bounded, and a follower that missed some is told so: at the start and on its way.
pub async fn a_follower_too_far_behind_must_load_again(subject: &mut dyn Subject) {
    const AT_ONCE: u64 = 1000;
    let store = subject.open().await;
    let one = commit(&store, put("a", "1")).await;
    let mut idle = store.watch(Revision(0)).await.expect("the history is kept");
    let mut newest = one;
    for _ in 0..2 * STORE_HISTORY_CHANGES / AT_ONCE {
        let put = (0..AT_ONCE).map(|number| (key(&number.to_string()), Bytes::new())).collect();
        newest = commit(&store, Commit { put, ..Commit::default() }).await;
    }
    let Err(StoreError::Gone { from, oldest }) = store.watch(Revision(0)).await else {
        panic!("the whole history is kept");
    };
    assert_eq!(from, Revision(0));
    assert!(oldest > Revision(0) && oldest < newest);
    assert_eq!(idle.next().await, None);
    let mut watch = store.watch(oldest).await.expect("as the error says");
    for revision in oldest.0 + 1..=newest.0 {
        while !{
            let change = next(&mut watch).await;
            assert_eq!(change.revision, Revision(revision));
            change.last
        } {}
    }
}

/// A follower of a store that was put back to an earlier state is told to load again.
pub async fn a_follower_of_the_future_must_load_again(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let one = commit(&store, put("a", "1")).await;
    store.watch(one).await.expect("the present can be watched");
    let answer = store.watch(Revision(one.0 + 1)).await;
    assert!(matches!(answer, Err(StoreError::Gone { .. })), "{answer:?}");
}

/// After `clear` there are no documents, messages or logs; revisions and tokens are not used again.
pub async fn clear_leaves_nothing_and_followers_see_it(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let log = LogName::new("l");
    commit(&store, put("a", "1")).await;
    let before = commit(&store, put("b", "1")).await;
    let mut watch = store.watch(before).await.expect("the history is kept");
    commit(&store, enqueue("q", "m", NOW)).await;
    let held = store.claim("q", 1, Duration::from_secs(1), NOW).await.expect("the store claims");
    let record = LogRecord { timestamp: NOW, bytes: bytes("r") };
    store.append(&log, vec![record], Sync::Now).await.expect("the store appends");

    store.clear().await.expect("the store clears");
    let gone = [next(&mut watch).await, next(&mut watch).await];
    let [a, b] = gone.map(|change| (change.key.to_string(), change.body, change.revision > before));
    assert_eq!([a, b], [("a".into(), None, true), ("b".into(), None, true)]);
    nothing_is_left(&store, &log).await;
    drop((store, watch));
    let store = subject.open().await;
    nothing_is_left(&store, &log).await;

    commit(&store, enqueue("q", "m", NOW)).await;
    let lost = store.commit(settle(held[0].token)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    assert!(commit(&store, put("a", "1")).await > before);
}

async fn nothing_is_left(store: &Arc<dyn Store>, log: &LogName) {
    assert!(store.scan("", None, 10).await.expect("the store reads").is_empty());
    assert_eq!(store.queue_depth("q").await.expect("the store reads"), 0);
    let claimed = store.claim("q", 1, Duration::from_secs(1), NOW + Duration::from_secs(9)).await;
    assert!(claimed.expect("the store claims").is_empty());
    assert_eq!(store.log_end(log).await.expect("the store reads"), LogPosition::START);
    assert!(store.read(log, LogPosition::START, 100).await.expect("the store reads").entries.is_empty());
}
