use base::clock::Timestamp;
use base::id::RevisionId;
use expect_test::{Expect, expect};

use super::*;
use crate::rules::tests::{a_new, step};
use crate::rules::versions::{Publication, publish};
use crate::rules::{Numbering, create, finish, update_configuration};
use crate::{Alias, ConfigurationUpdate, Routing, Shares, Weight};

fn alias(version: Qualifier, second: Option<(u64, f64)>) -> Arc<Alias> {
    let routing = second.map(|(version, weight)| Routing { version, weight: Weight::new(weight).unwrap() });
    Arc::new(Alias {
        name: "any".into(),
        version,
        routing,
        description: "".into(),
        revision: RevisionId(uuid::Uuid::nil()),
    })
}

/// A function with the versions 1 and 2, and the aliases `live` and `same` of 1, `both` of 1 and 2, `new` of `$LATEST`.
fn a_function() -> Function {
    let publish = |function, generation| {
        let function = finish(&function, generation, step(2)).unwrap();
        publish(&function, &Publication::default(), step(2)).unwrap()
    };
    let function = publish(create(a_new("f"), Numbering::default(), step(1)), 1);
    let function = update_configuration(&function, ConfigurationUpdate::default(), step(2)).unwrap();
    let mut function = publish(function, 2);
    for (name, alias) in [
        ("live", alias(Qualifier::Version(1), None)),
        ("same", alias(Qualifier::Version(1), None)),
        ("both", alias(Qualifier::Version(1), Some((2, 0.25)))),
        ("new", alias(Qualifier::Latest, None)),
    ] {
        function.aliases.insert(name.into(), alias);
    }
    function
}

/// Plays `script` on that function, in an account with a limit of which others have `others` for themselves:
/// `reserve N`, `unreserve`, `provision QUALIFIER N`, `unprovision QUALIFIER`, `move ALIAS VERSION [SECOND]`. Tells of
/// each step what the function then has for itself, or why not.
#[track_caller]
fn check(limit: u32, others: u64, script: &str, expected: Expect) {
    let mut function = a_function();
    let mut told = String::new();
    for line in script.split(';').map(str::trim) {
        let claimed = function.shares().claimed() + others;
        let pool = Pool::around(&function, Concurrency(limit), Usage { claimed, ..Usage::default() });
        match play(&function, line, pool) {
            Ok(next) => function = next,
            Err(error) => {
                told.push_str(&format!("{line}: {error}\n"));
                continue;
            }
        }
        let Shares { reserved, provisioned } = function.shares();
        let reserved = reserved.map_or_else(|| "-".to_owned(), |reserved| reserved.to_string());
        let provisioned: Vec<String> =
            provisioned.iter().map(|(version, count)| format!(" {version}={count}")).collect();
        told.push_str(&format!("{line}: {reserved}{}\n", provisioned.concat()));
    }
    expected.assert_eq(&told);
}

fn play(function: &Function, line: &str, pool: Pool) -> Result<Function, ShareError> {
    let words: Vec<&str> = line.split(' ').collect();
    let count = |text: &str| Concurrency(text.parse().unwrap());
    let qualifier = |text| Qualifier::parse(text).unwrap();
    match words[..] {
        ["reserve", amount] => reserve(function, count(amount), pool),
        ["unreserve"] => Ok(unreserve(function)),
        ["provision", on, amount] => provision(function, &qualifier(on), count(amount), pool, step(7)),
        ["unprovision", on] => unprovision(function, &qualifier(on)),
        ["move", name, version, ref second @ ..] => {
            let mut moved = function.clone();
            let second = second.first().map(|second| (second.parse().unwrap(), 0.25));
            moved.aliases.insert(name.into(), alias(qualifier(version), second));
            Ok(moved)
        }
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_hundred_stay_for_functions_without_anything_of_their_own() {
    check(
        1000,
        700,
        "reserve 200; reserve 201; reserve 4000000000; reserve 0; unreserve; provision 1 200; provision 2 1",
        expect![[r#"
            reserve 200: 200
            reserve 201: the reservation leaves less than 100 to functions without one
            reserve 4000000000: the reservation leaves less than 100 to functions without one
            reserve 0: 0
            unreserve: -
            provision 1 200: - 1=200
            provision 2 1: what would be provisioned leaves less than 100 to functions without anything of their own
        "#]],
    );
}

#[test]
fn more_than_is_unreserved_is_refused_in_other_words() {
    check(
        1000,
        700,
        "provision 1 300; provision 1 301; provision 2 150; provision 1 151; provision 2 301; provision 2 1",
        expect![[r#"
            provision 1 300: what would be provisioned leaves less than 100 to functions without anything of their own
            provision 1 301: more would be provisioned than the 300 that are unreserved
            provision 2 150: - 2=150
            provision 1 151: more would be provisioned than the 150 that are unreserved
            provision 2 301: more would be provisioned than the 300 that are unreserved
            provision 2 1: - 2=1
        "#]],
    );
}

#[test]
fn a_small_account_reserves_nothing_but_stops_functions_and_gives_back() {
    check(
        10,
        0,
        "reserve 1; reserve 0; unreserve; provision 1 1; provision 1 11",
        expect![[r#"
            reserve 1: the reservation leaves less than 10 to functions without one
            reserve 0: 0
            unreserve: -
            provision 1 1: what would be provisioned leaves less than 10 to functions without anything of their own
            provision 1 11: more would be provisioned than the 10 that are unreserved
        "#]],
    );
}

#[test]
fn who_has_more_than_there_is_may_give_some_back() {
    let rich = Function { reserved: Some(Concurrency(500)), ..a_function() };
    let pool = Pool::around(&rich, Concurrency(200), Usage { claimed: 600, ..Usage::default() });
    for (reserved, may) in [(499, true), (500, true), (501, false), (0, true)] {
        assert_eq!(reserve(&rich, Concurrency(reserved), pool).is_ok(), may, "{reserved}");
    }
}

#[test]
fn what_is_provisioned_is_within_the_reservation() {
    check(
        1000,
        0,
        "reserve 5; provision 1 3; provision 2 3; provision 2 2; reserve 4; reserve 900; unreserve",
        expect![[r#"
            reserve 5: 5
            provision 1 3: 5 1=3
            provision 2 3: more would be provisioned than is reserved for the function
            provision 2 2: 5 1=3 2=2
            reserve 4: the reservation of 4 is less than the 5 that are provisioned
            reserve 900: 900 1=3 2=2
            unreserve: - 1=3 2=2
        "#]],
    );
}

#[test]
fn only_published_versions_and_aliases_of_one_are_kept_ready() {
    check(
        1000,
        0,
        "provision $LATEST 1; provision new 1; provision both 1; provision 3 1; provision nobody 1; \
         unprovision 3; unprovision nobody; unprovision 1; provision live 1; unprovision live",
        expect![[r#"
            provision $LATEST 1: only published versions can be kept ready
            provision new 1: only published versions can be kept ready
            provision both 1: an alias with weights cannot be kept ready
            provision 3 1: there is no arn:aws:lambda:us-east-1:000000000000:function:f:3
            provision nobody 1: there is no arn:aws:lambda:us-east-1:000000000000:function:f:nobody
            unprovision 3: there is no arn:aws:lambda:us-east-1:000000000000:function:f:3
            unprovision nobody: there is no arn:aws:lambda:us-east-1:000000000000:function:f:nobody
            unprovision 1: -
            provision live 1: - 1=1
            unprovision live: -
        "#]],
    );
}

#[test]
fn a_version_is_kept_ready_by_itself_or_under_aliases() {
    check(
        1000,
        0,
        "provision live 2; provision 1 1; provision same 3; provision 2 1; unprovision live; unprovision same; \
         provision 1 1; provision live 1",
        expect![[r#"
            provision live 2: - 1=2
            provision 1 1: the version is kept ready under an alias
            provision same 3: - 1=5
            provision 2 1: - 1=5 2=1
            unprovision live: - 1=3 2=1
            unprovision same: - 2=1
            provision 1 1: - 1=1 2=1
            provision live 1: the alias leads to a version that is kept ready by itself
        "#]],
    );
}

#[test]
fn what_an_alias_keeps_ready_moves_with_it_and_is_split_by_weight() {
    check(
        1000,
        0,
        "provision live 9; move live 2; move live 2 1",
        expect![[r#"
            provision live 9: - 1=9
            move live 2: - 2=9
            move live 2 1: - 1=2 2=7
        "#]],
    );
}

#[test]
fn a_configuration_tells_when_it_was_made() {
    let pool = Pool::around(&a_function(), Concurrency(1000), Usage::default());
    let one = Qualifier::Version(1);
    let function = provision(&a_function(), &one, Concurrency(2), pool, step(7)).unwrap();
    let config =
        ProvisionedConcurrency { requested: Concurrency(2), last_modified: Timestamp::from_millis(7) };
    assert_eq!(*function.provisioned[&one], config);
}
