use base::units::Concurrency;

use super::*;
use crate::rules::concurrency::{Pool, ShareError, provision, reserve, unreserve};
use crate::rules::{runtime_management, versions};
use crate::{RecursiveLoop, RuntimeManagement, Shares, Usage};

async fn reserved(catalogue: &Catalogue, name: &str, amount: u32) -> Result<Arc<Function>, ShareError> {
    let reserve = |function: &Function, usage, _| {
        reserve(function, Concurrency(amount), Pool::around(function, Concurrency(1000), usage))
    };
    catalogue.change_shares(&a_key(name), reserve).await
}

#[tokio::test]
async fn many_who_reserve_at_once_leave_a_hundred() {
    let store = a_store();
    let (here, there) = (open(&store).await, open(&store).await);
    for n in 0..50 {
        active(&here, &format!("f{n}")).await;
    }
    there.get(&a_key("f49")).await.unwrap();
    let tasks = (0..50).map(|n| {
        // Two processes on one store.
        let catalogue = if n % 2 == 0 { here.clone() } else { there.clone() };
        tokio::spawn(async move { reserved(&catalogue, &format!("f{n}"), 90).await })
    });
    let mut granted = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(_) => granted += 1,
            Err(error) => assert!(matches!(error, ShareError::ReservesTooMuch { .. }), "{error}"),
        }
    }
    assert_eq!(granted, 10);
    here.get(&a_key("nobody")).await.unwrap_err();
    let usage = here.usage(&a_key("f0").scope);
    assert_eq!((usage.functions, usage.reserved, usage.claimed), (50, 900, 900));
}

#[tokio::test]
async fn settings_are_there_after_a_restart_and_go_with_what_they_are_of() {
    let store = a_store();
    let catalogue = open(&store).await;
    active(&catalogue, "f").await;
    let publish = |function: &Function, step| versions::publish(function, &Default::default(), step);
    catalogue.change(&a_key("f"), publish).await.unwrap();
    reserved(&catalogue, "f", 7).await.unwrap();
    let one = Qualifier::Version(1);
    let set = |function: &Function, usage, step| {
        let pool = Pool::around(function, Concurrency(1000), usage);
        let function = provision(function, &one, Concurrency(3), pool, step)?;
        let manual = RuntimeManagement::Manual("arn".into());
        let function = runtime_management::manage_runtime(&function, &one, manual, step)?;
        Ok::<_, ShareError>(Function { recursion: RecursiveLoop::Allow, ..function })
    };
    let before = catalogue.change_shares(&a_key("f"), set).await.unwrap();
    assert_eq!(before.provisioned.len() + before.runtime_management.len(), 2);

    let again = open(&store).await;
    let function = again.peek(&a_key("f")).unwrap();
    assert_eq!(function.provisioned, before.provisioned);
    assert_eq!(function.runtime_management, before.runtime_management);
    assert_eq!((function.reserved, function.recursion), (Some(Concurrency(7)), RecursiveLoop::Allow));
    let usage = Usage { functions: 1, code: 200, reserved: 7, claimed: 7 };
    assert_eq!(again.usage(&a_key("f").scope), usage);
    assert_eq!(again.shares(), [(a_key("f"), function.shares())]);

    let unreserve = |function: &Function, _| Ok::<_, CatalogueError>(unreserve(function));
    again.change(&a_key("f"), unreserve).await.unwrap();
    assert_eq!(again.usage(&a_key("f").scope), Usage { reserved: 0, claimed: 3, ..usage });
    let delete = |function: &Function, _| versions::delete(function, 1);
    let left = again.change(&a_key("f"), delete).await.unwrap();
    assert_eq!((left.shares(), left.runtime_management.len()), (Shares::default(), 0));
    assert_eq!(again.usage(&a_key("f").scope), Usage { functions: 1, code: 100, ..Usage::default() });
    again.delete(&a_key("f")).await.unwrap();
    assert_eq!(again.usage(&a_key("f").scope), Usage::default());
}

#[tokio::test]
async fn archives_stay_within_the_accounts_limit() {
    let catalogue = open(&a_store()).await.with_code_storage(250);
    let full = |error: &CatalogueError| matches!(error, CatalogueError::CodeStorage { limit: 250 });
    active(&catalogue, "f").await;
    active(&catalogue, "g").await;
    assert!(full(&catalogue.create(a_new("h")).await.unwrap_err()));
    let publish = |function: &Function, step| versions::publish(function, &Default::default(), step);
    let refused = catalogue.change(&a_key("f"), publish).await.unwrap_err();
    assert!(matches!(&refused, versions::VersionError::Catalogue(error) if full(error)), "{refused}");
    let larger = |size| CodeUpdate { code: CodeRef { size, ..code(2) }, ..to(code(2)) };
    assert!(full(&catalogue.update_code(&a_key("f"), larger(151)).await.unwrap_err()));
    catalogue.update_code(&a_key("f"), larger(150)).await.unwrap();
}

#[tokio::test]
async fn who_is_answered_finds_that_others_were_told() {
    let catalogue = open(&a_store()).await;
    active(&catalogue, "f").await;
    let mut changes = catalogue.subscribe();
    assert_eq!(changes.try_next(), None);
    for amount in 0..20 {
        reserved(&catalogue, "f", amount).await.unwrap();
        assert_eq!(changes.try_next(), Some(Event::Changed(a_key("f"))), "{amount}");
        assert_eq!(changes.try_next(), None);
    }
}
