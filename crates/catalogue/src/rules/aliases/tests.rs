use base::arn::Qualifier;
use expect_test::{Expect, expect};

use super::*;
use crate::rules::tests::{a_new, note, step};
use crate::rules::versions::{Publication, publish};
use crate::rules::{Numbering, create as create_function, finish, update_configuration};
use crate::{ConfigurationUpdate, Weight};

/// A function with the versions 1, 2, 3 (another role) and 4 (another dead-letter queue).
fn a_function() -> Function {
    let mut function = create_function(a_new("f"), Numbering::default(), step(1));
    let role = |role: &str| ConfigurationUpdate { role: Some(role.into()), ..ConfigurationUpdate::default() };
    let updates = [
        ConfigurationUpdate::default(),
        role("arn:aws:iam::000000000000:role/other"),
        ConfigurationUpdate {
            dead_letter: Some(Some("queue".into())),
            ..role("arn:aws:iam::000000000000:role/r")
        },
    ];
    let mut generation = 1;
    for update in std::iter::once(None).chain(updates.into_iter().map(Some)) {
        if let Some(update) = update {
            function = update_configuration(&function, update, step(2)).unwrap();
            generation += 1;
        }
        function = finish(&function, generation, step(2)).unwrap();
        function = publish(&function, &Publication::default(), step(2)).unwrap();
    }
    function
}

/// Plays `script` on that function: `make NAME TARGET [SECOND=WEIGHT]`, `set NAME [to TARGET] [share SECOND=WEIGHT]
/// [alone] [saying WORD] [expecting N]`, `delete NAME`.
fn check(script: &str, expected: Expect) {
    let mut function = a_function();
    let mut told = String::new();
    for (n, line) in script.split(';').map(str::trim).enumerate() {
        let at = step(n as u128 + 10);
        let words: Vec<&str> = line.split(' ').collect();
        let next = match words[..] {
            ["make", name, version] => create(&function, &new(name, version, None), at),
            ["make", name, version, second] => create(&function, &new(name, version, Some(second)), at),
            ["set", name, ref changes @ ..] => update(&function, name, &changed(changes), at),
            ["delete", name] => Ok(delete(&function, name)),
            ref other => panic!("{other:?}"),
        };
        note(&mut told, line, &mut function, next, |function| {
            let aliases: Vec<String> = function.aliases.values().map(|alias| tell(alias)).collect();
            if aliases.is_empty() { "none".into() } else { aliases.join("; ") }
        });
    }
    expected.assert_eq(&told);
}

fn new(name: &str, version: &str, second: Option<&str>) -> NewAlias {
    NewAlias {
        name: name.into(),
        version: Qualifier::parse(version).unwrap(),
        routing: second.map(routing),
        description: "".into(),
    }
}

fn routing(text: &str) -> Routing {
    let (version, weight) = text.split_once('=').unwrap();
    Routing { version: version.parse().unwrap(), weight: Weight::new(weight.parse().unwrap()).unwrap() }
}

fn changed(words: &[&str]) -> AliasUpdate {
    let mut update = AliasUpdate::default();
    let mut words = words.iter();
    while let Some(verb) = words.next() {
        let mut argument = || *words.next().unwrap();
        match *verb {
            "to" => update.version = Some(Qualifier::parse(argument()).unwrap()),
            "share" => update.routing = Some(Some(routing(argument()))),
            "alone" => update.routing = Some(None),
            "saying" => update.description = Some(argument().into()),
            "expecting" => {
                let revision = uuid::Uuid::from_u128(argument().parse().unwrap());
                update.expected = Some(base::id::RevisionId(revision));
            }
            other => panic!("{other}"),
        }
    }
    update
}

fn tell(alias: &Alias) -> String {
    let Alias { name, version, routing, description, revision } = alias;
    let shared = routing.map(|routing| format!(" and {} {}", routing.version, routing.weight.get()));
    format!("{name} is {version}{} {description:?} r{}", shared.unwrap_or_default(), revision.0.as_u128())
}

#[test]
fn an_alias_leads_to_versions_that_are_there() {
    check(
        "make a 1; make b $LATEST; make c 7; make c 1 7=0.5; make a 2; make a 7; make c b",
        expect![[r#"
            make a 1: a is 1 "" r10
            make b $LATEST: a is 1 "" r10; b is $LATEST "" r11
            make c 7: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:7
            make c 1 7=0.5: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:7
            make a 2: refused, alias arn:aws:lambda:us-east-1:000000000000:function:f:a exists
            make a 7: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:7
            make c b: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:b
        "#]],
    );
}

#[test]
fn an_alias_shares_between_two_published_versions_alike() {
    check(
        "make a 1 2=0.25; make b 1 1=0.5; make b $LATEST 1=0.5; make b 1 3=0.5; make b 1 4=0; set a to 2; set a to \
         $LATEST; set a to 3; set a to 2 alone; set a share 1=1; set a alone",
        expect![[r#"
            make a 1 2=0.25: a is 1 and 2 0.25 "" r10
            make b 1 1=0.5: refused, version 1 has a part of its own
            make b $LATEST 1=0.5: refused, $LATEST shares invocations with no other version
            make b 1 3=0.5: refused, two versions have different execution roles
            make b 1 4=0: refused, two versions have different dead-letter queues
            set a to 2: refused, version 2 has a part of its own
            set a to $LATEST: refused, $LATEST shares invocations with no other version
            set a to 3: refused, two versions have different execution roles
            set a to 2 alone: a is 2 "" r18
            set a share 1=1: a is 2 and 1 1 "" r19
            set a alone: a is 2 "" r20
        "#]],
    );
}

#[test]
fn an_update_changes_what_it_names_and_always_the_revision() {
    check(
        "make a 1 2=0.25; set a; set a saying hello; set a expecting 10; set a expecting 12 to 2 share 1=0.5; set b",
        expect![[r#"
            make a 1 2=0.25: a is 1 and 2 0.25 "" r10
            set a: a is 1 and 2 0.25 "" r11
            set a saying hello: a is 1 and 2 0.25 "hello" r12
            set a expecting 10: refused, the function has another revision
            set a expecting 12 to 2 share 1=0.5: a is 2 and 1 0.5 "hello" r14
            set b: refused, there is no alias arn:aws:lambda:us-east-1:000000000000:function:f:b
        "#]],
    );
}

#[test]
fn deleting_an_alias_forgives() {
    check(
        "make a 1; delete b; delete a; delete a; make a 2",
        expect![[r#"
        make a 1: a is 1 "" r10
        delete b: a is 1 "" r10
        delete a: none
        delete a: none
        make a 2: a is 2 "" r14
    "#]],
    );
}

#[test]
fn an_alias_moves_neither_the_function_nor_its_versions() {
    let before = a_function();
    let after = create(&before, &new("a", "1", None), step(50)).unwrap();
    assert_eq!(after.latest, before.latest);
    assert_eq!(after.versions, before.versions);
}
