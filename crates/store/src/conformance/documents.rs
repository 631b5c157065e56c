//! Documents and commits.

use base::limits::{STORE_BODY_BYTES, STORE_KEY_BYTES};
use bytes::Bytes;

use super::{NOW, Subject, bytes, commit, delete, enqueue, get, key, put, requiring};
use crate::{Commit, Document, Require, Revision, StoreError};

/// Keys, bodies and revisions come back unchanged, whatever bytes they hold.
pub async fn a_document_is_read_as_it_was_written(subject: &mut dyn Subject) {
    let store = subject.open().await;
    assert_eq!(get(&store, "a").await, None);
    let all_bytes: Bytes = (0..=255).collect();
    let put = vec![(key("päth/\u{10ffff}/x"), all_bytes.clone()), (key("empty"), Bytes::new())];
    let revision = commit(&store, Commit { put, ..Commit::default() }).await;
    let document = get(&store, "päth/\u{10ffff}/x").await.expect("it was put");
    assert_eq!(document, Document { key: key("päth/\u{10ffff}/x"), revision, body: all_bytes });
    assert_eq!(get(&store, "empty").await.expect("it was put").body, Bytes::new());
}

/// Nothing of a commit happens when a requirement does not hold.
pub async fn a_commit_whose_requirement_fails_changes_nothing(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let first = commit(&store, put("a", "1")).await;
    let second = commit(&store, requiring(put("a", "2"), Require::At(key("a"), first))).await;
    let refusals = [
        (Require::At(key("a"), first), "a"),
        (Require::Absent(key("a")), "a"),
        (Require::At(key("b"), first), "b"),
        (Require::At(key("a"), Revision(0)), "a"),
    ];
    for (require, refused) in refusals {
        let mut wanted = requiring(put("c", "3"), require);
        wanted.delete.push(key("a"));
        wanted.enqueue = enqueue("q", "m", NOW).enqueue;
        match store.commit(wanted).await {
            Err(StoreError::Conflict(key)) => assert_eq!(key.as_str(), refused),
            other => panic!("{other:?} instead of a conflict"),
        }
    }
    assert_eq!(get(&store, "a").await.map(|found| (found.revision, found.body)), Some((second, bytes("2"))));
    assert_eq!(get(&store, "c").await, None);
    assert_eq!(store.queue_depth("q").await.expect("the store reads"), 0);
    assert_eq!(store.revision().await.expect("the store reads"), second);
}

/// A commit does not see its own puts and deletes when its requirements are checked.
pub async fn a_requirement_is_checked_against_the_state_before_the_commit(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let first = commit(&store, requiring(put("a", "1"), Require::Absent(key("a")))).await;
    commit(&store, requiring(delete("a"), Require::At(key("a"), first))).await;
    commit(&store, requiring(put("a", "2"), Require::Absent(key("a")))).await;
    assert_eq!(get(&store, "a").await.expect("it was put").body, bytes("2"));
}

/// All documents of a commit get its revision; a commit that changes none answers the current one.
pub async fn a_commit_is_one_revision_and_only_documents_move_it(subject: &mut dyn Subject) {
    let store = subject.open().await;
    assert_eq!(store.revision().await.expect("the store reads"), Revision(0));
    let two = Commit { put: vec![(key("a"), bytes("1")), (key("b"), bytes("2"))], ..Commit::default() };
    let first = commit(&store, two).await;
    assert!(first > Revision(0));
    assert_eq!(get(&store, "a").await.expect("it was put").revision, first);
    assert_eq!(get(&store, "b").await.expect("it was put").revision, first);
    assert_eq!(commit(&store, enqueue("q", "m", NOW)).await, first);
    assert_eq!(commit(&store, delete("never there")).await, first);
    assert_eq!(commit(&store, Commit::default()).await, first);
    assert_eq!(store.revision().await.expect("the store reads"), first);
    let second = commit(&store, delete("a")).await;
    assert!(second > first);
    assert_eq!(store.revision().await.expect("the store reads"), second);
}

/// Of commits that run at once and require the same, exactly one happens; the others fail alone.
pub async fn of_two_rivals_one_wins(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let mut rivals = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        rivals.spawn(async move {
            let claim = requiring(put("prize", &number.to_string()), Require::Absent(key("prize")));
            let won = store.commit(claim).await.is_ok();
            commit(&store, put(&format!("own/{number}"), "x")).await;
            (number, won)
        });
    }
    let winners: Vec<i32> =
        rivals.join_all().await.into_iter().filter_map(|(number, won)| won.then_some(number)).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(get(&store, "prize").await.expect("somebody won").body, bytes(&winners[0].to_string()));
    assert_eq!(store.scan("own/", None, 100).await.expect("the store reads").len(), 32);
}

/// Later puts of a key win over earlier ones, and its deletion over all.
pub async fn a_deletion_wins_over_a_put_of_the_same_key(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let twice = vec![(key("a"), bytes("1")), (key("a"), bytes("2"))];
    let first = commit(&store, Commit { put: twice.clone(), ..Commit::default() }).await;
    assert_eq!(get(&store, "a").await.expect("it was put").body, bytes("2"));
    let both = Commit { put: twice, delete: vec![key("a"), key("a")], ..Commit::default() };
    let second = commit(&store, both).await;
    assert_eq!(get(&store, "a").await, None);
    let mut watch = store.watch(first).await.expect("the history is kept");
    let change = watch.next().await.expect("there was a change");
    assert_eq!((change.revision, change.body, change.last), (second, None, true));
}

/// Keys are ordered as bytes, and a prefix is bytes, not a pattern.
pub async fn a_scan_is_in_byte_order_and_stays_in_its_prefix(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let names = ["f/b", "f/a", "f/Z", "f/é", "f/\u{10ffff}", "f/%", "f/_", "f", "f0", "e/z", "f/", "F/a"];
    for name in names {
        commit(&store, put(name, name)).await;
    }
    let scan = async |prefix: &str| -> Vec<String> {
        let found = store.scan(prefix, None, 100).await.expect("the store reads");
        found.iter().map(|document| document.key.to_string()).collect()
    };
    assert_eq!(scan("f/").await, ["f/", "f/%", "f/Z", "f/_", "f/a", "f/b", "f/é", "f/\u{10ffff}"]);
    assert_eq!(scan("f/_").await, ["f/_"]);
    assert_eq!(scan("f/\u{10ffff}").await, ["f/\u{10ffff}"]);
    assert_eq!(scan("g").await, [""; 0]);
    assert_eq!(scan("").await.len(), names.len());
}

/// Pages join without gap or overlap, also when the key to go on after is gone.
pub async fn a_scan_goes_on_after_a_key_and_stops_at_its_limit(subject: &mut dyn Subject) {
    let store = subject.open().await;
    for number in 0..10 {
        commit(&store, put(&format!("p/{number}"), "x")).await;
    }
    let scan = async |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(key);
        let found = store.scan("p/", after.as_ref(), limit).await.expect("the store reads");
        found.iter().map(|document| document.key.to_string()).collect()
    };
    assert_eq!(scan(None, 3).await, ["p/0", "p/1", "p/2"]);
    assert_eq!(scan(Some("p/2"), 2).await, ["p/3", "p/4"]);
    assert_eq!(scan(Some("p/2x"), 2).await, ["p/3", "p/4"]);
    assert_eq!(scan(Some("a"), 2).await, ["p/0", "p/1"]);
    assert_eq!(scan(Some("p/9"), 2).await, [""; 0]);
    assert_eq!(scan(Some("q"), 2).await, [""; 0]);
    assert_eq!(scan(None, 0).await, [""; 0]);
}

/// The limits of keys, bodies and commits hold at the door.
pub async fn what_is_too_large_is_refused(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let longest = "k".repeat(STORE_KEY_BYTES);
    let largest = Bytes::from(vec![7; STORE_BODY_BYTES]);
    let one =
        |key: &str, body: &Bytes| Commit { put: vec![(super::key(key), body.clone())], ..Commit::default() };
    commit(&store, one(&longest, &largest)).await;
    assert_eq!(get(&store, &longest).await.expect("it was put").body, largest);
    let more = Bytes::from(vec![7; STORE_BODY_BYTES + 1]);
    let many = (0..5).map(|number| (key(&number.to_string()), largest.clone())).collect();
    let many = Commit { put: many, ..Commit::default() };
    for refused in [one(&format!("{longest}k"), &Bytes::new()), one("b", &more), many] {
        let answer = store.commit(refused).await;
        assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{answer:?}");
    }
}

/// What was answered is there after the store was closed and opened, and revisions go on.
pub async fn documents_and_revisions_outlive_a_restart(subject: &mut dyn Subject) {
    let store = subject.open().await;
    let first = commit(&store, put("a", "1")).await;
    let second = commit(&store, put("b", "2")).await;
    drop(store);
    let store = subject.open().await;
    assert_eq!(store.revision().await.expect("the store reads"), second);
    assert_eq!(get(&store, "a").await.expect("it was put").revision, first);
    assert!(commit(&store, requiring(put("b", "3"), Require::At(key("b"), second))).await > second);
}
