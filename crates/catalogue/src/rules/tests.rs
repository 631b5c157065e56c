use std::collections::{BTreeMap, HashSet};

use base::id::Digest;
use base::random::Dice;
use expect_test::{Expect, expect};

use super::*;
use crate::{CodeRef, Configuration};

pub(crate) fn a_key(name: &str) -> FunctionKey {
    let scope =
        base::arn::Scope { account: "000000000000".parse().unwrap(), region: "us-east-1".parse().unwrap() };
    FunctionKey::new(scope, name.parse().unwrap())
}

pub(crate) fn code(id: u8) -> CodeRef {
    CodeRef { digest: Digest([id; 32]), size: 100, unzipped: 200 }
}

pub(crate) fn a_new(name: &str) -> NewFunction {
    let role = "arn:aws:iam::000000000000:role/r";
    let configuration = Configuration::zip(name, "python3.13", "app.handler", role);
    NewFunction {
        key: a_key(name),
        configuration,
        code: code(1),
        code_signing: None,
        tags: BTreeMap::new(),
        publish: false,
    }
}

pub(crate) fn a_function(name: &str) -> Function {
    create(a_new(name), Numbering::default(), step(1))
}

pub(crate) fn step(n: u128) -> Step {
    let now = Timestamp::from_millis(i64::try_from(n).unwrap());
    let revision = |n| RevisionId(uuid::Uuid::from_u128(n));
    Step { now, revision: revision(n), part: revision(1000 + n) }
}

fn to_code(id: u8) -> CodeUpdate {
    CodeUpdate { expected: None, code: code(id), architecture: None, publish: false }
}

/// Plays `script` on a new function; one line tells what each step made of it.
fn check(script: &str, expected: Expect) {
    let mut function = a_function("f");
    let mut told = format!("create: {}\n", tell(&function));
    for (n, line) in script.split(';').map(str::trim).enumerate() {
        let at = step(n as u128 + 2);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let generation = || argument.parse().unwrap();
        let next = match verb {
            "code" => update_code(&function, to_code(argument.parse().unwrap()), at),
            "describe" => {
                let update = ConfigurationUpdate {
                    description: Some(argument.into()),
                    ..ConfigurationUpdate::default()
                };
                update_configuration(&function, update, at)
            }
            "expecting" => {
                let revision = uuid::Uuid::from_u128(argument.parse().unwrap());
                update_code(&function, CodeUpdate { expected: Some(RevisionId(revision)), ..to_code(9) }, at)
            }
            "finish" => finish(&function, generation(), at),
            "fail" => {
                let reason = Reason { code: "Broken".into(), text: "It broke.".into() };
                fail(&function, generation(), reason, at)
            }
            other => panic!("{other}"),
        };
        note(&mut told, line, &mut function, next, tell);
    }
    expected.assert_eq(&told);
}

/// Takes over what a step made of a function, and adds a line that tells of it.
pub(crate) fn note<E: std::fmt::Display>(
    told: &mut String,
    line: &str,
    function: &mut Function,
    next: Result<Function, E>,
    tell: impl Fn(&Function) -> String,
) {
    let outcome = match next {
        Ok(next) => {
            *function = next;
            tell(function)
        }
        Err(error) => format!("refused, {error}"),
    };
    told.push_str(&format!("{line}: {outcome}\n"));
}

fn tell(function: &Function) -> String {
    let Version { state, last_update, revision, generation, code, configuration, .. } = &*function.latest;
    let update = last_update.as_ref().map_or("-", LastUpdate::as_str);
    let reasons = [state.reason(), last_update.as_ref().and_then(LastUpdate::reason)];
    let reasons: Vec<&str> = reasons.into_iter().flatten().map(|reason| &*reason.code).collect();
    format!(
        "{} {update} {reasons:?} r{} g{generation} code {} {:?}, runs g{} code {}",
        state.as_str(),
        revision.0.as_u128(),
        code.digest.0[0],
        configuration.description,
        function.live.generation,
        function.live.code.digest.0[0],
    )
}

#[test]
fn a_function_is_pending_then_active_and_keeps_running_the_old_while_it_is_updated() {
    check(
        "code 2; finish 1; code 2; code 3; describe x; finish 2; describe hello; finish 3; code 2; finish 4",
        expect![[r#"
            create: Pending - ["Creating"] r1 g1 code 1 "", runs g1 code 1
            code 2: refused, arn:aws:lambda:us-east-1:000000000000:function:f is being created
            finish 1: Active Successful [] r3 g1 code 1 "", runs g1 code 1
            code 2: Active InProgress ["Creating"] r4 g2 code 2 "", runs g1 code 1
            code 3: refused, arn:aws:lambda:us-east-1:000000000000:function:f is being updated
            describe x: refused, arn:aws:lambda:us-east-1:000000000000:function:f is being updated
            finish 2: Active Successful [] r7 g2 code 2 "", runs g2 code 2
            describe hello: Active InProgress ["Creating"] r8 g3 code 2 "hello", runs g2 code 2
            finish 3: Active Successful [] r9 g3 code 2 "hello", runs g3 code 2
            code 2: Active InProgress ["Creating"] r10 g4 code 2 "hello", runs g3 code 2
            finish 4: Active Successful [] r11 g4 code 2 "hello", runs g4 code 2
        "#]],
    );
}

#[test]
fn a_change_is_finished_once_and_only_its_own_generation() {
    check(
        "finish 2; finish 1; finish 1; fail 1; code 2; finish 1; finish 2",
        expect![[r#"
            create: Pending - ["Creating"] r1 g1 code 1 "", runs g1 code 1
            finish 2: refused, generation 2 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            finish 1: Active Successful [] r3 g1 code 1 "", runs g1 code 1
            finish 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            fail 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            code 2: Active InProgress ["Creating"] r6 g2 code 2 "", runs g1 code 1
            finish 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            finish 2: Active Successful [] r8 g2 code 2 "", runs g2 code 2
        "#]],
    );
}

#[test]
fn a_failed_update_leaves_the_old_running_and_the_next_one_builds_on_what_is_shown() {
    check(
        "finish 1; describe two; fail 2; code 3; finish 3",
        expect![[r#"
            create: Pending - ["Creating"] r1 g1 code 1 "", runs g1 code 1
            finish 1: Active Successful [] r2 g1 code 1 "", runs g1 code 1
            describe two: Active InProgress ["Creating"] r3 g2 code 1 "two", runs g1 code 1
            fail 2: Active Failed ["Broken"] r4 g2 code 1 "two", runs g1 code 1
            code 3: Active InProgress ["Creating"] r5 g3 code 3 "two", runs g1 code 1
            finish 3: Active Successful [] r6 g3 code 3 "two", runs g3 code 3
        "#]],
    );
}

#[test]
fn a_function_that_could_not_be_made_is_mended_by_an_update() {
    check(
        "fail 1; code 2; finish 2",
        expect![[r#"
            create: Pending - ["Creating"] r1 g1 code 1 "", runs g1 code 1
            fail 1: Failed - ["Broken"] r2 g1 code 1 "", runs g1 code 1
            code 2: Failed InProgress ["Broken", "Creating"] r3 g2 code 2 "", runs g1 code 1
            finish 2: Active Successful [] r4 g2 code 2 "", runs g2 code 2
        "#]],
    );
}

#[test]
fn an_update_for_another_revision_is_refused() {
    check(
        "finish 1; expecting 1; expecting 2",
        expect![[r#"
            create: Pending - ["Creating"] r1 g1 code 1 "", runs g1 code 1
            finish 1: Active Successful [] r2 g1 code 1 "", runs g1 code 1
            expecting 1: refused, the function has another revision
            expecting 2: Active InProgress ["Creating"] r4 g2 code 9 "", runs g1 code 1
        "#]],
    );
}

#[test]
fn a_configuration_update_changes_what_it_names_and_nothing_else() {
    let old = Configuration {
        kms_key: Some("key".into()),
        dead_letter: Some("queue".into()),
        layers: vec![crate::LayerUse { arn: "layer".into(), code: code(7) }],
        ..a_new("f").configuration
    };
    assert_eq!(ConfigurationUpdate::default().applied_to(&old), old);
    let update = ConfigurationUpdate {
        memory: Some(base::units::Mib(256)),
        kms_key: Some(None),
        layers: Some(Vec::new()),
        ..ConfigurationUpdate::default()
    };
    let new =
        Configuration { memory: base::units::Mib(256), kms_key: None, layers: Vec::new(), ..old.clone() };
    assert_eq!(update.applied_to(&old), new);
}

#[test]
fn numbers_go_on_after_a_function_was_deleted() {
    let mut function = a_function("f");
    function.next_version = 4;
    let function = finish(&function, 1, step(2)).unwrap();
    let function = update_code(&function, to_code(2), step(3)).unwrap();
    let again = create(a_new("f"), Numbering::after(&function), step(4));
    assert_eq!((again.next_version, again.latest.generation), (4, 3));
}

/// Whatever happens in whatever order, what runs was once finished (or is the first), every accepted step has a
/// new revision, and no generation stands for two things.
#[test]
fn random_lives_keep_the_rules() {
    for seed in 0..200 {
        let dice = Dice::seeded(seed);
        let mut function = a_function("f");
        let mut runs = code(1);
        let mut generations = HashSet::from([1]);
        for n in 2..60 {
            let [verb, id] = dice.bytes::<2>();
            let generation = function.latest.generation - u64::from(id.is_multiple_of(4));
            let (before, busy_before) = (function.clone(), busy(&function));
            let changing = verb % 4 < 2;
            let reason = Reason { code: "X".into(), text: "x".into() };
            let next = match verb % 4 {
                0 => update_code(&function, to_code(id), step(n)),
                1 => update_configuration(&function, ConfigurationUpdate::default(), step(n)),
                2 => finish(&function, generation, step(n)),
                _ => fail(&function, generation, reason, step(n)),
            };
            let Ok(next) = next else {
                let stale = generation != function.latest.generation;
                assert!(if changing { busy_before.is_some() } else { busy_before.is_none() || stale });
                continue;
            };
            function = next;
            assert_eq!(function.latest.revision, step(n).revision);
            if changing {
                assert!(generations.insert(function.latest.generation), "seed {seed}");
                assert_eq!(busy(&function), Some(Busy::Updating));
                assert_eq!(function.live, before.live);
            } else {
                assert_eq!(busy(&function), None);
            }
            if verb % 4 == 2 {
                runs = function.latest.code;
                assert_eq!(function.latest.state, State::Active);
            }
            assert_eq!(function.live.code, runs, "seed {seed}");
        }
    }
}
