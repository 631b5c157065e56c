mod shares;
mod versions;

use base::clock::Timestamp;
use store::Key;
use store::memory::MemoryStore;

use super::*;
use crate::follower::Event;
use crate::rules::tests::{a_key, a_new, code};
use crate::{CodeRef, LastUpdate, Layer, LayerAbout, LayerKey, LayerUse, State};

fn a_store() -> MemoryStore {
    MemoryStore::new(Clock::starting_at(Timestamp::from_millis(0)))
}

async fn open(store: &MemoryStore) -> Catalogue {
    let clock = Clock::starting_at(Timestamp::from_millis(1_000));
    Catalogue::open(Arc::new(store.clone()), clock, Dice::system()).await.unwrap()
}

async fn created(catalogue: &Catalogue, new: NewFunction) -> Arc<Version> {
    Arc::clone(&catalogue.create(new).await.unwrap().latest)
}

async fn updated(catalogue: &Catalogue, update: CodeUpdate) -> Arc<Version> {
    Arc::clone(&catalogue.update_code(&a_key("f"), update).await.unwrap().latest)
}

async fn active(catalogue: &Catalogue, name: &str) -> Arc<Version> {
    let made = created(catalogue, a_new(name)).await;
    catalogue.finish(&a_key(name), made.generation).await.unwrap()
}

fn to(code: CodeRef) -> CodeUpdate {
    CodeUpdate { expected: None, code, architecture: None, publish: false }
}

fn listed(catalogue: &Catalogue, scope: &Scope, after: Option<&str>, limit: usize) -> Vec<Arc<Function>> {
    catalogue.list(scope, after, limit, |_| true)
}

fn names(functions: &[Arc<Function>]) -> Vec<&str> {
    functions.iter().map(|function| function.key.name.as_str()).collect()
}

#[tokio::test]
async fn a_write_is_seen_by_the_next_read_and_after_a_restart() {
    let store = a_store();
    let catalogue = open(&store).await;
    let made = created(&catalogue, a_new("f")).await;
    assert_eq!(catalogue.peek(&a_key("f")).unwrap().latest, made);
    let error = catalogue.create(a_new("f")).await.unwrap_err();
    assert!(matches!(error, CatalogueError::AlreadyExists { .. }), "{error}");
    catalogue.finish(&a_key("f"), made.generation).await.unwrap();
    let updated = updated(&catalogue, to(code(2))).await;
    assert!(matches!(updated.last_update, Some(LastUpdate::InProgress(_))));
    assert_eq!(catalogue.resolve(&a_key("f"), None).await.unwrap().code, code(1), "the old one runs");

    let again = open(&store).await;
    let unfinished = again.unfinished();
    assert_eq!(unfinished, [Unfinished { version: Arc::clone(&updated), busy: Busy::Updating }]);
    assert_eq!(again.resolve(&a_key("f"), None).await.unwrap().code, code(1));
    again.finish(&a_key("f"), updated.generation).await.unwrap();
    assert_eq!(again.resolve(&a_key("f"), Some(&Qualifier::Latest)).await.unwrap().code, code(2));
    assert_eq!(again.unfinished(), []);
}

#[tokio::test]
async fn what_is_not_there_is_named_as_it_was_asked_for() {
    let catalogue = open(&a_store()).await;
    active(&catalogue, "f").await;
    let arn = |error| match error {
        CatalogueError::NotFound { arn } => arn.to_string(),
        other => panic!("{other}"),
    };
    let f = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let one = Qualifier::Version(1);
    assert_eq!(arn(catalogue.resolve(&a_key("f"), Some(&one)).await.unwrap_err()), format!("{f}:1"));
    assert_eq!(arn(catalogue.resolve(&a_key("f2"), Some(&one)).await.unwrap_err()), format!("{f}2:1"));
    assert_eq!(arn(catalogue.get(&a_key("f2")).await.unwrap_err()), format!("{f}2"));
    assert_eq!(arn(catalogue.delete(&a_key("f2")).await.unwrap_err()), format!("{f}2"));
    assert_eq!(arn(catalogue.update_code(&a_key("f2"), to(code(2))).await.unwrap_err()), format!("{f}2"));
}

#[tokio::test]
async fn pages_are_sorted_and_scopes_do_not_leak() {
    let catalogue = open(&a_store()).await;
    let mut elsewhere = a_new("b");
    elsewhere.key.scope.region = "eu-west-1".parse().unwrap();
    let mut other = a_new("b");
    other.key.scope.account = "111111111111".parse().unwrap();
    for new in [a_new("c"), a_new("a"), elsewhere.clone(), other, a_new("b")] {
        catalogue.create(new).await.unwrap();
    }
    let scope = a_key("a").scope;
    assert_eq!(names(&listed(&catalogue, &scope, None, 50)), ["a", "b", "c"]);
    assert_eq!(names(&listed(&catalogue, &scope, None, 2)), ["a", "b"]);
    assert_eq!(names(&listed(&catalogue, &scope, Some("b"), 2)), ["c"]);
    assert_eq!(names(&listed(&catalogue, &elsewhere.key.scope, None, 50)), ["b"]);
    catalogue.delete(&elsewhere.key).await.unwrap();
    assert!(listed(&catalogue, &elsewhere.key.scope, None, 50).is_empty());
    assert_eq!(names(&listed(&catalogue, &scope, Some("aa"), 50)), ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_writers_at_one_revision_one_wins() {
    let catalogue = open(&a_store()).await;
    let expected = Some(active(&catalogue, "f").await.revision);
    let writers = (0..50).map(|id| {
        let catalogue = catalogue.clone();
        tokio::spawn(async move {
            catalogue.update_code(&a_key("f"), CodeUpdate { expected, ..to(code(id)) }).await
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut won = Vec::new();
    for writer in writers {
        match writer.await.unwrap() {
            Ok(function) => won.push(function),
            Err(error) => assert!(
                matches!(error, CatalogueError::Busy { .. } | CatalogueError::RevisionMismatch),
                "{error}"
            ),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(catalogue.peek(&a_key("f")).unwrap().latest, won[0].latest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_creators_of_one_name_one_wins_and_none_of_fifty_names_is_lost() {
    let catalogue = open(&a_store()).await;
    let creators = (0..100).map(|n| {
        let catalogue = catalogue.clone();
        let name = if n < 50 { "same".into() } else { format!("f{n}") };
        tokio::spawn(async move { catalogue.create(a_new(&name)).await.is_ok() })
    });
    let mut won = 0;
    for creator in creators.collect::<Vec<_>>() {
        won += usize::from(creator.await.unwrap());
    }
    assert_eq!(won, 51);
    assert_eq!(listed(&catalogue, &a_key("f").scope, None, 100).len(), 51);
}

#[tokio::test]
async fn generations_go_on_after_a_function_was_deleted() {
    let catalogue = open(&a_store()).await;
    let first = active(&catalogue, "f").await;
    catalogue.delete(&a_key("f")).await.unwrap();
    assert_eq!(catalogue.peek(&a_key("f")), None);
    let second = created(&catalogue, a_new("f")).await;
    assert!(second.generation > first.generation);
    assert!(matches!(second.state, State::Pending(_)));
    let error = catalogue.finish(&a_key("f"), first.generation).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Stale { .. }), "{error}");
    catalogue.delete(&a_key("f")).await.unwrap();
    assert!(created(&catalogue, a_new("f")).await.generation > second.generation);
}

#[tokio::test]
async fn a_package_is_held_while_anything_runs_or_shows_it() {
    let catalogue = open(&a_store()).await;
    let held = |id| catalogue.holds(&code(id).digest);
    active(&catalogue, "f").await;
    active(&catalogue, "g").await;
    let updated = updated(&catalogue, to(code(2))).await;
    catalogue.delete(&a_key("g")).await.unwrap();
    assert!(held(1) && held(2), "the old one runs until the update is finished");
    catalogue.finish(&a_key("f"), updated.generation).await.unwrap();
    assert!(!held(1) && held(2));
    catalogue.delete(&a_key("f")).await.unwrap();
    assert!(!held(1) && !held(2));
}

#[tokio::test]
async fn subscribers_hear_of_changes_that_the_snapshot_shows() {
    let store = a_store();
    let catalogue = open(&store).await;
    let mut events = catalogue.subscribe();
    active(&catalogue, "f").await;
    catalogue.delete(&a_key("f")).await.unwrap();
    let changed = || Some(Event::Changed(a_key("f")));
    assert_eq!(events.next().await, changed());
    assert_eq!(events.next().await, changed());
    assert_eq!(events.next().await, Some(Event::Removed(a_key("f"))));
    drop(catalogue);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_slow_subscriber_is_told_that_it_missed_something() {
    let catalogue = open(&a_store()).await;
    let mut events = catalogue.subscribe();
    for n in 0..=crate::follower::EVENTS {
        catalogue.create(a_new(&format!("f{n}"))).await.unwrap();
    }
    assert_eq!(events.next().await, Some(Event::Everything));
    assert!(matches!(events.next().await, Some(Event::Changed(_))));
}

#[tokio::test]
async fn two_catalogues_on_one_store_follow_each_other() {
    let store = a_store();
    let (one, two) = (open(&store).await, open(&store).await);
    let mut events = two.subscribe();
    let made = created(&one, a_new("f")).await;
    // Before the second has followed, it reads through.
    assert_eq!(two.get(&a_key("f")).await.unwrap().latest, made);
    assert_eq!(events.next().await, Some(Event::Changed(a_key("f"))));
    assert_eq!(two.peek(&a_key("f")).unwrap().latest, made);
    two.finish(&a_key("f"), made.generation).await.unwrap();
    let updated = updated(&one, to(code(2))).await;
    assert!(matches!(updated.last_update, Some(LastUpdate::InProgress(_))));
}

#[tokio::test]
async fn a_follower_that_fell_behind_loads_everything_again() {
    let store = a_store();
    let (one, two) = (open(&store).await, open(&store).await);
    let mut events = two.subscribe();
    for n in 0..=base::limits::STORE_HISTORY_CHANGES {
        // Without a pause in which a follower could follow.
        let put = vec![(Key::new("other"), n.to_string().into())];
        store.commit(Commit { put, ..Commit::default() }).await.unwrap();
    }
    assert_eq!(events.next().await, Some(Event::Everything));
    let made = created(&one, a_new("f")).await;
    assert_eq!(events.next().await, Some(Event::Changed(a_key("f"))));
    assert_eq!(two.peek(&a_key("f")).unwrap().latest, made);
    assert!(two.holds(&made.code.digest));
}

#[tokio::test]
async fn a_cleared_store_empties_the_catalogue() {
    let store = a_store();
    let catalogue = open(&store).await;
    active(&catalogue, "f").await;
    let mut events = catalogue.subscribe();
    store.clear().await.unwrap();
    assert_eq!(events.next().await, Some(Event::Removed(a_key("f"))));
    assert_eq!(catalogue.peek(&a_key("f")), None);
    assert_eq!(created(&catalogue, a_new("f")).await.generation, 1);
}

#[tokio::test]
async fn ten_thousand_functions_load_and_page() {
    let store = a_store();
    let catalogue = open(&store).await;
    for n in 0..10_000 {
        catalogue.create(a_new(&format!("f{n:05}"))).await.unwrap();
    }
    let again = open(&store).await;
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = listed(&again, &a_key("f").scope, after.as_deref(), 50);
        seen += page.len();
        let Some(last) = page.last() else { break };
        after = Some(last.key.name.as_str().to_owned());
    }
    assert_eq!(seen, 10_000);
}

#[tokio::test]
async fn a_layers_package_is_held_by_the_layer_and_by_the_functions_that_have_it() {
    let store = a_store();
    let catalogue = open(&store).await;
    let key: LayerKey = "arn:aws:lambda:us-east-1:000000000000:layer:l".parse().unwrap();
    let publish = |id| {
        let (catalogue, key) = (catalogue.clone(), key.clone());
        async move {
            let made = catalogue.upsert(&key, |layer: Option<&Layer>, step| {
                let about = LayerAbout::default();
                Ok::<_, CatalogueError>(rules::layers::publish(layer, &key, code(id), &about, step))
            });
            made.await.unwrap()
        }
    };
    assert_eq!(publish(11).await.next_version, 2);
    let layer = publish(12).await;
    assert_eq!(layer.versions.keys().copied().collect::<Vec<_>>(), [1, 2]);
    let mut new = a_new("f");
    new.configuration.layers = vec![LayerUse { arn: key.version(1).to_string().into(), code: code(11) }];
    catalogue.create(new.clone()).await.unwrap();
    for number in [1, 2] {
        let gone = catalogue
            .change(&key, |layer: &Layer, _| Ok::<_, CatalogueError>(rules::layers::delete(layer, number)));
        gone.await.unwrap();
    }
    for catalogue in [catalogue.clone(), open(&store).await] {
        let layer = catalogue.get(&key).await.unwrap();
        assert_eq!((layer.next_version, layer.versions.len()), (3, 0), "numbers stay");
        assert_eq!([11, 12].map(|id| catalogue.holds(&code(id).digest)), [true, false]);
        let function = catalogue.peek(&a_key("f")).unwrap();
        assert_eq!(function.latest.configuration.layers, new.configuration.layers);
    }
    let other = LayerKey { name: "m".parse().unwrap(), ..key.clone() };
    let error = catalogue.get(&other).await.unwrap_err();
    assert!(matches!(error, CatalogueError::NoLayer { .. }), "{error}");
    catalogue.delete(&a_key("f")).await.unwrap();
    assert!(!catalogue.holds(&code(11).digest));
}
