use super::*;
use crate::rules::{aliases, versions};
use crate::{NewAlias, Routing, Weight};

async fn published(catalogue: &Catalogue) -> Arc<Function> {
    let publish = |function: &Function, step| versions::publish(function, &Default::default(), step);
    catalogue.change(&a_key("f"), publish).await.unwrap()
}

async fn aliased(catalogue: &Catalogue, new: NewAlias) -> Arc<Function> {
    let create = |function: &Function, step| aliases::create(function, &new, step);
    catalogue.change(&a_key("f"), create).await.unwrap()
}

fn live(version: u64, second: Option<(u64, f64)>) -> NewAlias {
    let routing = second.map(|(version, weight)| Routing { version, weight: Weight::new(weight).unwrap() });
    NewAlias {
        name: "live".into(),
        version: Qualifier::Version(version),
        routing,
        description: "it's \"live\"".into(),
    }
}

#[tokio::test]
async fn versions_and_aliases_are_there_after_a_restart_and_go_with_their_function() {
    let store = a_store();
    let catalogue = open(&store).await;
    active(&catalogue, "f").await;
    published(&catalogue).await;
    catalogue.finish(&a_key("f"), updated(&catalogue, to(code(2))).await.generation).await.unwrap();
    published(&catalogue).await;
    aliased(&catalogue, live(1, Some((2, 0.1)))).await;
    let before = catalogue.peek(&a_key("f")).unwrap();
    assert_eq!(before.versions.len(), 2);

    let again = open(&store).await;
    assert_eq!(again.peek(&a_key("f")).unwrap(), before);
    again.delete(&a_key("f")).await.unwrap();
    assert_eq!(created(&again, a_new("f")).await.qualifier, Qualifier::Latest);
    let fresh = open(&store).await.peek(&a_key("f")).unwrap();
    assert_eq!((fresh.versions.len(), fresh.aliases.len(), fresh.next_version), (0, 0, 3));
}

#[tokio::test]
async fn versions_share_how_they_are_set_up_also_after_a_restart() {
    let store = a_store();
    let catalogue = open(&store).await;
    active(&catalogue, "f").await;
    for (n, description) in [(1, ""), (2, ""), (3, "other")] {
        let described =
            ConfigurationUpdate { description: Some(description.into()), ..ConfigurationUpdate::default() };
        let changed = catalogue.update_configuration(&a_key("f"), described).await.unwrap();
        catalogue.finish(&a_key("f"), changed.generation).await.unwrap();
        assert_eq!(published(&catalogue).await.published.map(|published| published.version), Some(n));
    }
    for catalogue in [open(&store).await, catalogue] {
        let function = catalogue.peek(&a_key("f")).unwrap();
        let [first, second, third] = [1, 2, 3].map(|n| &function.versions[&n].configuration);
        assert!(Arc::ptr_eq(first, second), "the same whole");
        assert!(Arc::ptr_eq(&second.role, &third.role), "the same in part");
        assert_eq!((&*second.description, &*third.description), ("", "other"));
    }
}

#[tokio::test]
async fn a_version_announced_with_an_update_comes_into_force_after_a_restart() {
    let store = a_store();
    let catalogue = open(&store).await;
    active(&catalogue, "f").await;
    updated(&catalogue, CodeUpdate { publish: true, ..to(code(2)) }).await;

    let again = open(&store).await;
    let first = Qualifier::Version(1);
    let waiting = again.resolve(&a_key("f"), Some(&first)).await.unwrap();
    assert!(matches!(waiting.state, State::Pending(_)));
    for unfinished in again.unfinished() {
        again.finish(&a_key("f"), unfinished.version.generation).await.unwrap();
    }
    let version = again.resolve(&a_key("f"), Some(&first)).await.unwrap();
    assert_eq!((&version.state, version.code), (&State::Active, code(2)));
    let function = published(&again).await;
    assert_eq!(function.published.map(|published| published.version), Some(1), "nothing came after it");
}

#[tokio::test]
async fn a_package_is_held_while_a_version_runs_it() {
    let catalogue = open(&a_store()).await;
    let held = |id| catalogue.holds(&code(id).digest);
    active(&catalogue, "f").await;
    published(&catalogue).await;
    catalogue.finish(&a_key("f"), updated(&catalogue, to(code(2))).await.generation).await.unwrap();
    assert!(held(1) && held(2));
    let delete = |function: &Function, _| versions::delete(function, 1);
    catalogue.change(&a_key("f"), delete).await.unwrap();
    assert!(!held(1) && held(2));
}

#[tokio::test]
async fn an_alias_splits_by_weight_as_the_dice_fall() {
    let split = async |seed| {
        let clock = Clock::starting_at(Timestamp::from_millis(1_000));
        let catalogue = Catalogue::open(Arc::new(a_store()), clock, Dice::seeded(seed)).await.unwrap();
        active(&catalogue, "f").await;
        published(&catalogue).await;
        catalogue.finish(&a_key("f"), updated(&catalogue, to(code(2))).await.generation).await.unwrap();
        published(&catalogue).await;
        aliased(&catalogue, live(1, Some((2, 0.2)))).await;
        let alias = Qualifier::Alias("live".into());
        let mut drawn = Vec::new();
        for _ in 0..1000 {
            drawn.push(catalogue.resolve(&a_key("f"), Some(&alias)).await.unwrap().code.digest.0[0]);
        }
        drawn
    };
    let drawn = split(7).await;
    let second = drawn.iter().filter(|id| **id == 2).count();
    // Four standard deviations around 200.
    assert!((150..=250).contains(&second), "{second} of 1,000");
    assert_eq!(drawn, split(7).await, "the same dice fall the same way");
}

#[tokio::test]
async fn unknown_versions_and_aliases_are_named_as_they_were_asked_for() {
    let catalogue = open(&a_store()).await;
    active(&catalogue, "f").await;
    for (qualifier, text) in [(Qualifier::Version(7), "f:7"), (Qualifier::Alias("live".into()), "f:live")] {
        let error = catalogue.resolve(&a_key("f"), Some(&qualifier)).await.unwrap_err();
        assert!(error.to_string().ends_with(text), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_writers_of_an_alias_at_one_revision_one_wins() {
    let catalogue = open(&a_store()).await;
    active(&catalogue, "f").await;
    published(&catalogue).await;
    let revision = aliased(&catalogue, live(1, None)).await.aliases["live"].revision;
    let writers = (0..50).map(|n| {
        let catalogue = catalogue.clone();
        let update = crate::AliasUpdate {
            expected: Some(revision),
            description: Some(n.to_string().into()),
            ..Default::default()
        };
        tokio::spawn(async move {
            let update = |function: &Function, step| aliases::update(function, "live", &update, step);
            catalogue.change(&a_key("f"), update).await.is_ok()
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        won += usize::from(writer.await.unwrap());
    }
    assert_eq!(won, 1);
}
