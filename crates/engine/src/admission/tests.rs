use std::collections::BTreeMap;
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use base::id::Digest;
use base::random::Dice;
use catalogue::rules::ShareError;
use catalogue::rules::concurrency::{Pool, reserve, unreserve};
use catalogue::{CatalogueError, CodeRef, Configuration, Function, NewFunction};
use store::memory::MemoryStore;

use super::*;
use crate::testing::scope;

const LIMIT: Concurrency = Concurrency(200);

async fn a_catalogue() -> Catalogue {
    let clock = Clock::starting_at(Timestamp::from_millis(0));
    let catalogue = Catalogue::open(Arc::new(MemoryStore::new(clock)), clock, Dice::seeded(1)).await;
    catalogue.expect("an empty store")
}

async fn made(catalogue: &Catalogue, name: &str) -> Arc<Version> {
    let key = FunctionKey::new(scope(), name.parse().expect("name"));
    let configuration = Configuration::zip(name, "provided.al2023", "h", "arn:aws:iam::000000000000:role/r");
    let code = CodeRef { digest: Digest([0; 32]), size: 1, unzipped: 1 };
    let new =
        NewFunction { key, configuration, code, tags: BTreeMap::new(), publish: false, code_signing: None };
    Arc::clone(&catalogue.create(new).await.expect("a free name").latest)
}

async fn reserved(catalogue: &Catalogue, version: &Version, amount: Option<u32>) {
    let change = |function: &Function, usage, _| match amount {
        Some(amount) => reserve(function, Concurrency(amount), Pool::around(function, LIMIT, usage)),
        None => Ok::<_, ShareError>(unreserve(function)),
    };
    catalogue.change_shares(&version.key(), change).await.expect("room");
}

#[tokio::test]
async fn what_is_reserved_counts_from_the_answer_on() {
    let catalogue = a_catalogue().await;
    let (early, late) = (made(&catalogue, "early").await, made(&catalogue, "late").await);
    reserved(&catalogue, &early, Some(0)).await;
    let admission = Admission::following(LIMIT, catalogue.clone());
    assert!(admission.admit(&early).is_err(), "it was reserved before the ledger was opened");
    for _ in 0..50 {
        reserved(&catalogue, &late, Some(0)).await;
        let refused = admission.admit(&late).expect_err("nothing may run");
        assert_eq!(refused, AdmitError::Reserved { reserved: Concurrency(0) });
        reserved(&catalogue, &late, Some(1)).await;
        let permit = admission.admit(&late).expect("one may run");
        assert!(admission.admit(&late).is_err());
        assert_eq!(admission.in_use(&scope()), Concurrency(1));
        drop(permit);
        reserved(&catalogue, &late, None).await;
        admission.admit(&late).expect("as many as the account may");
    }
}

#[tokio::test]
async fn a_reservation_goes_with_its_function() {
    let catalogue = a_catalogue().await;
    let (gone, other) = (made(&catalogue, "gone").await, made(&catalogue, "other").await);
    let admission = Admission::following(LIMIT, catalogue.clone());
    reserved(&catalogue, &gone, Some(100)).await;
    let permits: Vec<Permit> = std::iter::from_fn(|| admission.admit(&other).ok()).collect();
    assert_eq!(permits.len(), 100);
    catalogue.delete(&gone.key()).await.expect("it is there");
    admission.admit(&other).expect("what was reserved is free");
}

#[tokio::test]
async fn a_ledger_that_missed_changes_reads_all_anew() {
    let catalogue = a_catalogue().await;
    let (first, second) = (made(&catalogue, "first").await, made(&catalogue, "second").await);
    let admission = Admission::following(LIMIT, catalogue.clone());
    reserved(&catalogue, &first, Some(0)).await;
    // More changes than the catalogue remembers for one who does not listen.
    for _ in 0..5000 {
        let nothing = |function: &Function, _| Ok::<_, CatalogueError>(function.clone());
        catalogue.change(&second.key(), nothing).await.expect("it is there");
    }
    assert!(admission.admit(&first).is_err());
    admission.admit(&second).expect("nothing is reserved for it");
}

#[tokio::test(start_paused = true)]
async fn who_comes_right_after_an_answer_waits_for_the_end_of_what_was_answered() {
    let clock = Clock::starting_at(Timestamp::from_millis(0));
    let f = made(&a_catalogue().await, "f").await;
    let admission = Admission::new(Concurrency(1));
    let refused = AdmitError::Account { limit: Concurrency(1) };
    for (answered, ends_after, waited, runs) in [
        (false, LEASE_PATIENCE / 2, Duration::ZERO, false),
        (true, LEASE_PATIENCE / 2, LEASE_PATIENCE / 2, true),
        (true, LEASE_PATIENCE * 2, LEASE_PATIENCE, false),
    ] {
        let mut permit = admission.admit(&f).expect("nothing runs");
        if answered {
            permit.answered();
        }
        let began = clock.now();
        let (next, ()) = tokio::join!(
            async {
                let next = admission.admit_patiently(&f, clock).await;
                let took = clock.now().since(began);
                assert!(took >= waited && took < waited + LEASE_PATIENCE / 4, "{took:?} and not {waited:?}");
                next
            },
            async {
                clock.sleep(ends_after).await;
                drop(permit);
            }
        );
        assert_eq!(next.as_ref().err(), (!runs).then_some(&refused));
        drop(next);
        assert_eq!(admission.in_use(&scope()), Concurrency(0));
    }
}
