use base::arn::Qualifier;
use expect_test::{Expect, expect};

use super::*;
use crate::rules::tests::{a_new, code, note, step};
use crate::rules::{Numbering, aliases, create, fail, finish, update_code, update_configuration};
use crate::{CodeUpdate, ConfigurationUpdate, NewAlias, NewFunction, SnapStart};

/// Plays `script` on a new function; one line tells what each step made of it.
fn check(at_once: bool, script: &str, expected: Expect) {
    play(NewFunction { publish: at_once, ..a_new("f") }, script, expected);
}

/// The same for a function with SnapStart.
fn check_snapped(at_once: bool, script: &str, expected: Expect) {
    let mut new = NewFunction { publish: at_once, ..a_new("f") };
    new.configuration.snap_start = SnapStart::PublishedVersions;
    play(new, script, expected);
}

fn play(new: NewFunction, script: &str, expected: Expect) {
    let mut function = create(new, Numbering::default(), step(1));
    let mut told = format!("create: {}\n", tell(&function));
    for (n, line) in script.split(';').map(str::trim).enumerate() {
        let at = step(n as u128 + 2);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let generation = || argument.parse().unwrap();
        let to_code = |publish| CodeUpdate {
            expected: None,
            code: code(argument.parse().unwrap()),
            architecture: None,
            publish,
        };
        let publish_as =
            |asked: Publication| publish(&function, &asked, at).map_err(|error| error.to_string());
        let next = match verb {
            "code" => update_code(&function, to_code(false), at).map_err(|error| error.to_string()),
            "release" => update_code(&function, to_code(true), at).map_err(|error| error.to_string()),
            "touch" => update_configuration(&function, ConfigurationUpdate::default(), at)
                .map_err(|error| error.to_string()),
            "finish" => finish(&function, generation(), at).map_err(|error| error.to_string()),
            "fail" => {
                let reason = Reason { code: "Broken".into(), text: "It broke.".into() };
                fail(&function, generation(), reason, at).map_err(|error| error.to_string())
            }
            "publish" => publish_as(Publication::default()),
            "describe" => {
                publish_as(Publication { description: Some(argument.into()), ..Publication::default() })
            }
            "expecting" => {
                let revision = RevisionId(uuid::Uuid::from_u128(argument.parse().unwrap()));
                publish_as(Publication { expected: Some(revision), ..Publication::default() })
            }
            "meaning" => {
                let sha256 = code(argument.parse().unwrap()).sha256();
                publish_as(Publication { code_sha256: Some(sha256.into()), ..Publication::default() })
            }
            "initialized" => initialized(&function, generation(), at).map_err(|error| error.to_string()),
            "uninitialized" => {
                let reason = Reason { code: "FunctionError".into(), text: "It failed.".into() };
                uninitialized(&function, generation(), &reason, at).map_err(|error| error.to_string())
            }
            "waiting" => {
                let waiting: Vec<u64> =
                    to_initialize(&function).filter_map(|version| version.number()).collect();
                Err(format!("{waiting:?}"))
            }
            "delete" => delete(&function, generation()).map_err(|error| error.to_string()),
            "alias" => {
                let new = NewAlias {
                    name: "live".into(),
                    version: Qualifier::parse(argument).unwrap(),
                    routing: None,
                    description: "".into(),
                };
                aliases::create(&function, &new, at).map_err(|error| error.to_string())
            }
            "again" => Ok(create(a_new("f"), Numbering::after(&function), at)),
            other => panic!("{other}"),
        };
        note(&mut told, line, &mut function, next, tell);
    }
    expected.assert_eq(&told);
}

fn tell(function: &Function) -> String {
    let mut told = format!("{}, runs g{}", one(&function.latest), function.live.generation);
    for version in function.versions.values() {
        told.push_str(&format!("; {}", one(version)));
    }
    told
}

fn one(version: &Version) -> String {
    let Version { qualifier, state, last_update, revision, generation, code, configuration, .. } = version;
    let update = last_update.as_ref().map_or("-", LastUpdate::as_str);
    let description = &configuration.description;
    let said = if description.is_empty() { String::new() } else { format!(" {description:?}") };
    format!(
        "{qualifier} {} {update} r{} g{generation} code {}{said}",
        state.as_str(),
        revision.0.as_u128(),
        code.digest.0[0]
    )
}

#[test]
fn versions_differ_by_the_successful_updates_between_them() {
    check(
        false,
        "publish; finish 1; publish; publish; describe again; touch; publish; finish 2; publish; code 1; finish 3; \
         describe third",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            publish: refused, arn:aws:lambda:us-east-1:000000000000:function:f is being created
            finish 1: $LATEST Active Successful r3 g1 code 1, runs g1
            publish: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Active Successful r1004 g1 code 1
            publish: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Active Successful r1004 g1 code 1
            describe again: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Active Successful r1004 g1 code 1
            touch: $LATEST Active InProgress r7 g2 code 1, runs g1; 1 Active Successful r1004 g1 code 1
            publish: refused, arn:aws:lambda:us-east-1:000000000000:function:f is being updated
            finish 2: $LATEST Active Successful r9 g2 code 1, runs g2; 1 Active Successful r1004 g1 code 1
            publish: $LATEST Active Successful r10 g2 code 1, runs g2; 1 Active Successful r1004 g1 code 1; 2 Active Successful r1010 g2 code 1
            code 1: $LATEST Active InProgress r11 g3 code 1, runs g2; 1 Active Successful r1004 g1 code 1; 2 Active Successful r1010 g2 code 1
            finish 3: $LATEST Active Successful r12 g3 code 1, runs g3; 1 Active Successful r1004 g1 code 1; 2 Active Successful r1010 g2 code 1
            describe third: $LATEST Active Successful r13 g3 code 1, runs g3; 1 Active Successful r1004 g1 code 1; 2 Active Successful r1010 g2 code 1; 3 Active Successful r1013 g3 code 1 "third"
        "#]],
    );
}

#[test]
fn a_version_made_with_a_function_comes_into_force_with_it() {
    check(
        true,
        "finish 1; publish; code 2; finish 2; publish",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        finish 1: $LATEST Active Successful r2 g1 code 1, runs g1; 1 Active Successful r1002 g1 code 1
        publish: $LATEST Active Successful r2 g1 code 1, runs g1; 1 Active Successful r1002 g1 code 1
        code 2: $LATEST Active InProgress r4 g2 code 2, runs g1; 1 Active Successful r1002 g1 code 1
        finish 2: $LATEST Active Successful r5 g2 code 2, runs g2; 1 Active Successful r1002 g1 code 1
        publish: $LATEST Active Successful r6 g2 code 2, runs g2; 1 Active Successful r1002 g1 code 1; 2 Active Successful r1006 g2 code 2
    "#]],
    );
    check(
        true,
        "fail 1; publish; code 2; finish 2; publish",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        fail 1: $LATEST Failed - r2 g1 code 1, runs g1; 1 Failed - r1002 g1 code 1
        publish: refused, the function is Failed
        code 2: $LATEST Failed InProgress r4 g2 code 2, runs g1; 1 Failed - r1002 g1 code 1
        finish 2: $LATEST Active Successful r5 g2 code 2, runs g2; 1 Failed - r1002 g1 code 1
        publish: $LATEST Active Successful r6 g2 code 2, runs g2; 1 Failed - r1002 g1 code 1; 2 Active Successful r1006 g2 code 2
    "#]],
    );
}

#[test]
fn a_version_made_with_an_update_comes_into_force_with_it() {
    check(
        false,
        "finish 1; release 2; finish 2; publish; release 2; finish 3",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1
        finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
        release 2: $LATEST Active InProgress r3 g2 code 2, runs g1; 1 Pending - r1003 g2 code 2
        finish 2: $LATEST Active Successful r4 g2 code 2, runs g2; 1 Active Successful r1004 g2 code 2
        publish: $LATEST Active Successful r4 g2 code 2, runs g2; 1 Active Successful r1004 g2 code 2
        release 2: $LATEST Active InProgress r6 g3 code 2, runs g2; 1 Active Successful r1004 g2 code 2; 2 Pending - r1006 g3 code 2
        finish 3: $LATEST Active Successful r7 g3 code 2, runs g3; 1 Active Successful r1004 g2 code 2; 2 Active Successful r1007 g3 code 2
    "#]],
    );
}

#[test]
fn a_version_whose_update_failed_stays_failed_and_counts_as_no_publication() {
    check(
        false,
        "finish 1; publish; release 2; fail 2; publish; code 3; finish 3; publish",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
            publish: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Active Successful r1003 g1 code 1
            release 2: $LATEST Active InProgress r4 g2 code 2, runs g1; 1 Active Successful r1003 g1 code 1; 2 Pending - r1004 g2 code 2
            fail 2: $LATEST Active Failed r5 g2 code 2, runs g1; 1 Active Successful r1003 g1 code 1; 2 Failed - r1005 g2 code 2
            publish: $LATEST Active Failed r5 g2 code 2, runs g1; 1 Active Successful r1003 g1 code 1; 2 Failed - r1005 g2 code 2
            code 3: $LATEST Active InProgress r7 g3 code 3, runs g1; 1 Active Successful r1003 g1 code 1; 2 Failed - r1005 g2 code 2
            finish 3: $LATEST Active Successful r8 g3 code 3, runs g3; 1 Active Successful r1003 g1 code 1; 2 Failed - r1005 g2 code 2
            publish: $LATEST Active Successful r9 g3 code 3, runs g3; 1 Active Successful r1003 g1 code 1; 2 Failed - r1005 g2 code 2; 3 Active Successful r1009 g3 code 3
        "#]],
    );
}

#[test]
fn a_publication_names_what_it_means() {
    check(
        false,
        "finish 1; expecting 1; meaning 2; meaning 1; expecting 2; code 2; finish 2; expecting 8",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
            expecting 1: refused, the function has another revision
            meaning 2: refused, the code is AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= and not AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
            meaning 1: $LATEST Active Successful r5 g1 code 1, runs g1; 1 Active Successful r1005 g1 code 1
            expecting 2: refused, the function has another revision
            code 2: $LATEST Active InProgress r7 g2 code 2, runs g1; 1 Active Successful r1005 g1 code 1
            finish 2: $LATEST Active Successful r8 g2 code 2, runs g2; 1 Active Successful r1005 g1 code 1
            expecting 8: $LATEST Active Successful r9 g2 code 2, runs g2; 1 Active Successful r1005 g1 code 1; 2 Active Successful r1009 g2 code 2
        "#]],
    );
}

#[test]
fn what_failed_is_not_published_and_what_runs_is() {
    check(
        false,
        "finish 1; code 2; fail 2; meaning 2; publish",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1
        finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
        code 2: $LATEST Active InProgress r3 g2 code 2, runs g1
        fail 2: $LATEST Active Failed r4 g2 code 2, runs g1
        meaning 2: refused, the code is AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= and not AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
        publish: $LATEST Active Failed r6 g2 code 2, runs g1; 1 Active Successful r1006 g1 code 1
    "#]],
    );
}

#[test]
fn numbers_are_never_used_twice() {
    check(
        true,
        "finish 1; delete 1; publish; delete 2; delete 2; delete 9; publish; again; finish 2; publish",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1; 1 Active Successful r1002 g1 code 1
            delete 1: $LATEST Active Successful r2 g1 code 1, runs g1
            publish: $LATEST Active Successful r4 g1 code 1, runs g1; 2 Active Successful r1004 g1 code 1
            delete 2: $LATEST Active Successful r4 g1 code 1, runs g1
            delete 2: $LATEST Active Successful r4 g1 code 1, runs g1
            delete 9: $LATEST Active Successful r4 g1 code 1, runs g1
            publish: $LATEST Active Successful r8 g1 code 1, runs g1; 3 Active Successful r1008 g1 code 1
            again: $LATEST Pending - r9 g2 code 1, runs g2
            finish 2: $LATEST Active Successful r10 g2 code 1, runs g2
            publish: $LATEST Active Successful r11 g2 code 1, runs g2; 4 Active Successful r1011 g2 code 1
        "#]],
    );
}

#[test]
fn a_version_stays_while_an_alias_leads_to_it() {
    check(
        true,
        "finish 1; alias 1; delete 1",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        finish 1: $LATEST Active Successful r2 g1 code 1, runs g1; 1 Active Successful r1002 g1 code 1
        alias 1: $LATEST Active Successful r2 g1 code 1, runs g1; 1 Active Successful r1002 g1 code 1
        delete 1: refused, aliases ["live"] lead to the version
    "#]],
    );
}

#[test]
fn a_version_may_go_before_it_came_into_force() {
    check(
        true,
        "delete 1; finish 1; publish",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        delete 1: $LATEST Pending - r1 g1 code 1, runs g1
        finish 1: $LATEST Active Successful r3 g1 code 1, runs g1
        publish: $LATEST Active Successful r4 g1 code 1, runs g1; 2 Active Successful r1004 g1 code 1
    "#]],
    );
}

#[test]
fn publishing_ends_no_environment_of_latest() {
    let function = create(a_new("f"), Numbering::default(), step(1));
    let function = finish(&function, 1, step(2)).unwrap();
    let function = publish(&function, &Publication::default(), step(3)).unwrap();
    assert!(function.still_runs(&Qualifier::Latest, 1));
    assert!(function.still_runs(&Qualifier::Version(1), 1));
    let function = update_code(
        &function,
        CodeUpdate { expected: None, code: code(2), architecture: None, publish: false },
        step(4),
    )
    .unwrap();
    let function = finish(&function, 2, step(5)).unwrap();
    assert!(!function.still_runs(&Qualifier::Latest, 1));
    assert!(function.still_runs(&Qualifier::Version(1), 1));
    let function = delete(&function, 1).unwrap();
    assert!(!function.still_runs(&Qualifier::Version(1), 1));
}

#[test]
fn a_version_with_snap_start_is_pending_until_its_init_was_made() {
    check_snapped(
        false,
        "finish 1; publish; waiting; publish; touch; finish 2; initialized 1; initialized 1; waiting; initialized 7",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
            publish: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Pending - r1003 g1 code 1
            waiting: refused, [1]
            publish: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Pending - r1003 g1 code 1
            touch: $LATEST Active InProgress r6 g2 code 1, runs g1; 1 Pending - r1003 g1 code 1
            finish 2: $LATEST Active Successful r7 g2 code 1, runs g2; 1 Pending - r1003 g1 code 1
            initialized 1: $LATEST Active Successful r7 g2 code 1, runs g2; 1 Active Successful r1008 g1 code 1
            initialized 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            waiting: refused, []
            initialized 7: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:7
        "#]],
    );
}

#[test]
fn a_version_whose_init_failed_is_not_found_by_the_next_publication() {
    check_snapped(
        false,
        "finish 1; publish; uninitialized 1; waiting; uninitialized 1; alias 1; publish; delete 2; initialized 2",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
            publish: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Pending - r1003 g1 code 1
            uninitialized 1: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Failed - r1004 g1 code 1
            waiting: refused, []
            uninitialized 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            alias 1: refused, version arn:aws:lambda:us-east-1:000000000000:function:f:1 has failed: FunctionError
            publish: $LATEST Active Successful r8 g1 code 1, runs g1; 1 Failed - r1004 g1 code 1; 2 Pending - r1008 g1 code 1
            delete 2: $LATEST Active Successful r8 g1 code 1, runs g1; 1 Failed - r1004 g1 code 1
            initialized 2: refused, there is no arn:aws:lambda:us-east-1:000000000000:function:f:2
        "#]],
    );
}

#[test]
fn an_announced_version_is_initialised_when_it_has_come_into_force() {
    check_snapped(
        true,
        "waiting; initialized 1; finish 1; waiting; publish; initialized 1",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        waiting: refused, []
        initialized 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
        finish 1: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        waiting: refused, [1]
        publish: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        initialized 1: $LATEST Active Successful r4 g1 code 1, runs g1; 1 Active Successful r1007 g1 code 1
    "#]],
    );
    check_snapped(
        false,
        "finish 1; publish; release 2; waiting; initialized 1; initialized 2; finish 2; waiting; initialized 2",
        expect![[r#"
            create: $LATEST Pending - r1 g1 code 1, runs g1
            finish 1: $LATEST Active Successful r2 g1 code 1, runs g1
            publish: $LATEST Active Successful r3 g1 code 1, runs g1; 1 Pending - r1003 g1 code 1
            release 2: $LATEST Active InProgress r4 g2 code 2, runs g1; 1 Pending - r1003 g1 code 1; 2 Pending - r1004 g2 code 2
            waiting: refused, [1]
            initialized 1: $LATEST Active InProgress r4 g2 code 2, runs g1; 1 Active Successful r1006 g1 code 1; 2 Pending - r1004 g2 code 2
            initialized 2: refused, generation 2 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
            finish 2: $LATEST Active Successful r8 g2 code 2, runs g2; 1 Active Successful r1006 g1 code 1; 2 Pending - r1004 g2 code 2
            waiting: refused, [2]
            initialized 2: $LATEST Active Successful r8 g2 code 2, runs g2; 1 Active Successful r1006 g1 code 1; 2 Active Successful r1010 g2 code 2
        "#]],
    );
    check_snapped(
        true,
        "fail 1; waiting; initialized 1",
        expect![[r#"
        create: $LATEST Pending - r1 g1 code 1, runs g1; 1 Pending - r1001 g1 code 1
        fail 1: $LATEST Failed - r2 g1 code 1, runs g1; 1 Failed - r1002 g1 code 1
        waiting: refused, []
        initialized 1: refused, generation 1 of arn:aws:lambda:us-east-1:000000000000:function:f is not being brought about
    "#]],
    );
}
