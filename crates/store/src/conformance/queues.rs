//! Queues: claims, leases, tokens and counts.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;

use super::{NOW, Subject, bytes, commit, enqueue, get, key, put, requiring, settle};
use crate::{Claimed, Commit, Enqueue, LeaseToken, Require, Store, StoreError};

const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

async fn claim(store: &Arc<dyn Store>, max: usize, now: Timestamp) -> Vec<Claimed> {
    store.claim("q", max, LEASE, now).await.expect("the store claims")
}

async fn bodies(store: &Arc<dyn Store>, max: usize, now: Timestamp) -> Vec<String> {
    let claimed = claim(store, max, now).await;
    claimed.iter().map(|claimed| String::from_utf8_lossy(&claimed.body).into_owned()).collect()
}

async fn depth(store: &Arc<dyn Store>, queue: &str) -> u64 {
    store.queue_depth(queue).await.expect("the store reads")
}

async fn lost(store: &Arc<dyn Store>, token: LeaseToken) {
    let answers = [
        store.commit(settle(token)).await.map(|_| ()),
        store.release(token, NOW).await,
        store.extend(token, NOW).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::LeaseLost)), "{answer:?}");
    }
}

/// The step from one queue to the next, a document and its count change at once.
pub async fn put_delete_enqueue_and_settle_happen_together(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, Commit { enqueue: enqueue("q", "event", NOW).enqueue, ..put("old", "1") }).await;
    let held = claim(&store, 1, NOW).await;
    let step = Commit {
        put: vec![(key("new"), bytes("2"))],
        delete: vec![key("old")],
        enqueue: vec![
            Enqueue { queue: "destination".into(), body: bytes("done"), not_before: NOW },
            Enqueue { queue: "q".into(), body: bytes("again"), not_before: NOW + SECOND },
        ],
        settle: vec![held[0].token],
        ..Commit::default()
    };
    let revision = commit(&store, step).await;
    assert_eq!(get(&store, "new").await.map(|found| found.revision), Some(revision));
    assert_eq!(get(&store, "old").await, None);
    assert_eq!((depth(&store, "q").await, depth(&store, "destination").await), (1, 1));
    assert_eq!(bodies(&store, 9, NOW + LEASE + LEASE).await, ["again"]);
}

/// A commit with a stale token changes nothing at all, and neither does one with a failed requirement.
pub async fn a_lost_lease_stops_the_whole_commit(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, Commit { enqueue: enqueue("q", "event", NOW).enqueue, ..put("old", "1") }).await;
    let stale = claim(&store, 1, NOW).await[0].token;
    let current = claim(&store, 1, NOW + LEASE).await[0].token;
    let step = |settle: Vec<LeaseToken>| Commit {
        put: vec![(key("new"), bytes("2"))],
        delete: vec![key("old")],
        enqueue: enqueue("destination", "done", NOW).enqueue,
        settle,
        ..Commit::default()
    };
    for settle in [vec![stale], vec![current, stale], vec![current, current]] {
        let answer = store.commit(step(settle)).await;
        assert!(matches!(answer, Err(StoreError::LeaseLost)), "{answer:?}");
    }
    let conflict = store.commit(requiring(step(vec![current]), Require::Absent(key("old")))).await;
    assert!(matches!(conflict, Err(StoreError::Conflict(_))), "{conflict:?}");
    assert!(get(&store, "old").await.is_some() && get(&store, "new").await.is_none());
    assert_eq!((depth(&store, "q").await, depth(&store, "destination").await), (1, 0));
    commit(&store, step(vec![current])).await;
    assert_eq!((depth(&store, "q").await, depth(&store, "destination").await), (0, 1));
}

/// Nobody gets a message before its time, nor while another holds it.
pub async fn a_message_is_claimed_when_it_is_due_and_by_one(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW + SECOND)).await;
    assert!(claim(&store, 9, NOW).await.is_empty());
    let held = claim(&store, 9, NOW + SECOND).await;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].attempt, held[0].deadline), (1, NOW + SECOND + LEASE));
    assert_eq!(held[0].body, bytes("m"));
    assert!(claim(&store, 9, NOW + SECOND).await.is_empty());
    let mut rivals = tokio::task::JoinSet::new();
    for _ in 0..100 {
        commit(&store, enqueue("q", "x", NOW)).await;
    }
    for _ in 0..10 {
        let store = store.clone();
        rivals.spawn(async move { claim(&store, 20, NOW + SECOND).await });
    }
    let mut tokens: Vec<_> = rivals.join_all().await.into_iter().flatten().map(|held| held.token).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 100);
}

/// The order is that of due times; of equal ones, that of arrival.
pub async fn messages_come_longest_due_first_and_no_more_than_asked(subject: &mut dyn Subject) {
    let store = subject.open().await;
    for (body, due) in [("c", NOW + SECOND), ("a", NOW), ("b", NOW), ("d", NOW + SECOND + SECOND)] {
        commit(&store, enqueue("q", body, due)).await;
    }
    let later = NOW + LEASE;
    assert_eq!(bodies(&store, 0, later).await, [""; 0]);
    assert_eq!(bodies(&store, 2, later).await, ["a", "b"]);
    assert_eq!(bodies(&store, 2, later).await, ["c", "d"]);
    assert_eq!(bodies(&store, 2, later).await, [""; 0]);
    assert_eq!(bodies(&store, usize::MAX, later + LEASE).await, ["c", "a", "b", "d"]);
}

/// Who was too slow cannot settle what another has claimed since.
pub async fn a_lease_that_ran_out_makes_its_token_stale(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW)).await;
    let slow = claim(&store, 1, NOW).await;
    assert!(claim(&store, 1, NOW + LEASE / 2).await.is_empty());
    let second = claim(&store, 1, NOW + LEASE).await;
    assert_eq!((second[0].attempt, second[0].token.message), (2, slow[0].token.message));
    lost(&store, slow[0].token).await;
    assert_eq!(depth(&store, "q").await, 1);
    commit(&store, settle(second[0].token)).await;
    assert_eq!(depth(&store, "q").await, 0);
}

/// A late settlement still counts when nobody has claimed the message since: no work is done twice for nothing.
pub async fn a_lease_that_ran_out_is_good_until_somebody_claims(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW)).await;
    let held = claim(&store, 1, NOW).await;
    store.extend(held[0].token, NOW).await.expect("the token is current");
    commit(&store, settle(held[0].token)).await;
    assert!(claim(&store, 1, NOW + LEASE).await.is_empty());
}

/// A token is good for one settlement, and for nothing afterwards; made-up ones are good for nothing.
pub async fn a_token_settles_once(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW)).await;
    commit(&store, enqueue("q", "never claimed", NOW + LEASE)).await;
    let token = claim(&store, 1, NOW).await[0].token;
    commit(&store, settle(token)).await;
    lost(&store, token).await;
    for message in 0..5 {
        lost(&store, LeaseToken { message, fence: 0 }).await;
    }
    lost(&store, LeaseToken { message: u64::MAX, fence: u64::MAX }).await;
    assert_eq!(depth(&store, "q").await, 1);
}

/// Giving back counts as an attempt, and makes the token stale at once.
pub async fn a_released_message_comes_back_under_a_new_token(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW)).await;
    let first = claim(&store, 1, NOW).await[0].token;
    store.release(first, NOW + SECOND).await.expect("the token is current");
    lost(&store, first).await;
    assert!(claim(&store, 1, NOW).await.is_empty());
    let second = claim(&store, 1, NOW + SECOND).await;
    assert_eq!((second[0].attempt, depth(&store, "q").await), (2, 1));
    assert!(second[0].token > first);
    commit(&store, settle(second[0].token)).await;
}

/// An extension moves the deadline, either way.
pub async fn an_extended_lease_keeps_its_token(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "m", NOW)).await;
    let token = claim(&store, 1, NOW).await[0].token;
    store.extend(token, NOW + LEASE + LEASE).await.expect("the token is current");
    assert!(claim(&store, 1, NOW + LEASE).await.is_empty());
    store.extend(token, NOW + SECOND).await.expect("the token is current");
    let second = claim(&store, 1, NOW + SECOND).await;
    assert_eq!(second.len(), 1);
    lost(&store, token).await;
}

/// Waiting, delayed and claimed messages count; settled ones do not.
pub async fn queue_depths_are_kept_for_each_queue(subject: &mut dyn Subject) {
    let store = subject.open().await;
    assert_eq!(depth(&store, "q").await, 0);
    for number in 0..5 {
        commit(&store, enqueue("q", "m", NOW + SECOND * number)).await;
    }
    commit(&store, enqueue("other", "m", NOW)).await;
    let held = claim(&store, 2, NOW + LEASE).await;
    assert_eq!((depth(&store, "q").await, depth(&store, "other").await), (5, 1));
    let both = Commit { settle: held.iter().map(|held| held.token).collect(), ..Commit::default() };
    commit(&store, both).await;
    assert_eq!((depth(&store, "q").await, depth(&store, "other").await), (3, 1));
}

/// A restart neither loses a message nor frees one that is held.
pub async fn messages_and_leases_outlive_a_restart(subject: &mut dyn Subject) {
    let store = subject.open().await;
    commit(&store, enqueue("q", "a", NOW)).await;
    commit(&store, enqueue("q", "b", NOW + SECOND)).await;
    let stale = claim(&store, 1, NOW).await[0].token;
    drop(store);
    let store = subject.open().await;
    assert_eq!(depth(&store, "q").await, 2);
    assert_eq!(bodies(&store, 9, NOW + SECOND).await, ["b"]);
    let again = claim(&store, 9, NOW + LEASE).await;
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    lost(&store, stale).await;
    commit(&store, enqueue("q", "c", NOW)).await;
    let third = claim(&store, 9, NOW).await;
    assert!(third[0].token.message > again[0].token.message, "ids of messages go on");
}

/// Names of queues are any text, and one is not a prefix of another.
pub async fn queues_do_not_mix(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let names = ["q", "q/1", "Q", "%", "é"];
    for name in names {
        commit(&store, enqueue(name, name, NOW)).await;
    }
    for name in names {
        let held = store.claim(name, 9, LEASE, NOW).await.expect("the store claims");
        assert_eq!(held.iter().map(|held| held.body.clone()).collect::<Vec<_>>(), [bytes(name)]);
    }
}

/// A queue is there from its first message to its last, and known by its name after a restart.
pub async fn queues_are_listed_by_prefix_while_they_have_messages(subject: &mut dyn Subject) {
    let store = subject.open().await;
    for name in ["b/2", "a/1", "b/1", "b", "b/1", "c/1"] {
        commit(&store, enqueue(name, "m", NOW)).await;
    }
    drop(store);
    let store = subject.open().await;
    let listed = async |prefix: &str| {
        let names = store.queues(prefix).await.expect("the store lists");
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listed("b/").await, ["b/1", "b/2"]);
    assert_eq!(listed("").await, ["a/1", "b", "b/1", "b/2", "c/1"]);
    let held = store.claim("b/2", 9, LEASE, NOW).await.expect("the store claims");
    assert_eq!(listed("b/").await, ["b/1", "b/2"], "what is claimed is there");
    commit(&store, settle(held[0].token)).await;
    assert_eq!(listed("b/").await, ["b/1"]);
}

/// Who waits for a queue needs to look again at one moment only.
pub async fn the_first_due_time_of_a_queue_moves_with_its_messages(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let due = async || store.queue_due("q").await.expect("the store tells");
    assert_eq!(due().await, None);
    commit(&store, enqueue("q", "later", NOW + SECOND + SECOND)).await;
    commit(&store, enqueue("q", "first", NOW)).await;
    commit(&store, enqueue("other", "m", NOW)).await;
    assert_eq!(due().await, Some(NOW));
    let held = claim(&store, 1, NOW).await;
    assert_eq!(due().await, Some(NOW + SECOND + SECOND));
    store.release(held[0].token, NOW + SECOND).await.expect("the token is current");
    assert_eq!(due().await, Some(NOW + SECOND));
    let held = claim(&store, 9, NOW + SECOND + SECOND).await;
    assert_eq!(due().await, Some(NOW + SECOND + SECOND + LEASE), "the end of the lease");
    let both = Commit { settle: held.iter().map(|held| held.token).collect(), ..Commit::default() };
    commit(&store, both).await;
    assert_eq!(due().await, None);
}
