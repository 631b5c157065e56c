use base::arn::LayerVersionArn;
use expect_test::{Expect, expect};

use super::*;
use crate::rules::tests::{code, step};

fn key() -> LayerKey {
    "arn:aws:lambda:us-east-1:000000000000:layer:tools".parse().unwrap()
}

fn statement(sid: &str, grantee: Grantee) -> LayerStatement {
    LayerStatement { sid: sid.into(), grantee, organization: None }
}

/// Carries commands out one after another and tells what each made of the layer.
fn check(commands: &str, expected: Expect) {
    let (mut layer, mut told): (Option<Layer>, _) = (None, String::new());
    for (at, command) in commands.split("; ").enumerate() {
        let step = step(at as u128 + 1);
        told += &match act(layer.as_ref(), command, step) {
            Ok(made) => {
                let line = format!("{command}: {}\n", shown(&made));
                layer = Some(made);
                line
            }
            Err(error) => format!("{command}: refused, {error}\n"),
        };
    }
    expected.assert_eq(&told);
}

fn act(layer: Option<&Layer>, command: &str, step: Step) -> Result<Layer, LayerError> {
    let words: Vec<&str> = command.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let package = |at: usize| code(words[at].parse().unwrap());
    let expected = || words.get(3).map(|text| RevisionId(uuid::Uuid::from_u128(text.parse().unwrap())));
    let there = || layer.ok_or(LayerError::NoVersion);
    match words[0] {
        "publish" => Ok(publish(layer, &key(), package(1), &LayerAbout::default(), step)),
        "import" => import(layer, &key(), number(1), package(2), words.len() > 3, step),
        "delete" => Ok(delete(there()?, number(1))),
        "grant" => grant(there()?, number(1), &statement(words[2], Grantee::Everyone), expected(), step),
        "revoke" => revoke(there()?, number(1), words[2], expected(), step),
        other => panic!("{other}"),
    }
}

fn shown(layer: &Layer) -> String {
    let versions = layer.versions.iter().map(|(number, version)| {
        let policy = version.policy.as_ref().map(|policy| {
            let sids: Vec<&str> = policy.statements.iter().map(|statement| &*statement.sid).collect();
            format!(" r{} {}", policy.revision.0.as_u128(), sids.join("+"))
        });
        format!("{number}=code {}{}", version.code.digest.0[0], policy.unwrap_or_default())
    });
    format!("[{}] next {}", versions.collect::<Vec<_>>().join(", "), layer.next_version)
}

#[test]
fn numbers_grow_and_are_never_used_again() {
    check(
        "publish 1; publish 1; delete 2; delete 1; delete 7; publish 1",
        expect![[r#"
            publish 1: [1=code 1] next 2
            publish 1: [1=code 1, 2=code 1] next 3
            delete 2: [1=code 1] next 3
            delete 1: [] next 3
            delete 7: [] next 3
            publish 1: [3=code 1] next 4
        "#]],
    );
}

#[test]
fn a_policy_has_a_revision_of_its_own_and_ends_with_its_last_statement() {
    check(
        "publish 1; revoke 1 a; grant 1 a 9; grant 1 a; grant 1 a 9; grant 1 b 9; grant 1 b 4; revoke 1 c 9; \
         revoke 1 a 9; revoke 1 a 7; revoke 1 b; revoke 1 b; grant 2 a; revoke 2 a",
        expect![[r#"
            publish 1: [1=code 1] next 2
            revoke 1 a: refused, the layer version has no policy
            grant 1 a 9: refused, the policy has another revision
            grant 1 a: [1=code 1 r4 a] next 2
            grant 1 a 9: refused, statement a exists
            grant 1 b 9: refused, the policy has another revision
            grant 1 b 4: [1=code 1 r7 a+b] next 2
            revoke 1 c 9: refused, there is no statement c
            revoke 1 a 9: refused, the policy has another revision
            revoke 1 a 7: [1=code 1 r10 b] next 2
            revoke 1 b: [1=code 1] next 2
            revoke 1 b: refused, the layer version has no policy
            grant 2 a: refused, there is no such layer version
            revoke 2 a: refused, there is no such layer version
        "#]],
    );
}

#[test]
fn an_import_takes_its_number_and_replaces_only_when_told() {
    check(
        "import 12 1; import 12 1; import 12 2; import 12 2 replace; publish 3; import 4 4",
        expect![[r#"
            import 12 1: [12=code 1 r1 samovar-import] next 13
            import 12 1: [12=code 1 r1 samovar-import] next 13
            import 12 2: refused, the layer version holds another package
            import 12 2 replace: [12=code 2 r4 samovar-import] next 13
            publish 3: [12=code 2 r4 samovar-import, 13=code 3] next 14
            import 4 4: [4=code 4 r6 samovar-import, 12=code 2 r4 samovar-import, 13=code 3] next 14
        "#]],
    );
}

#[test]
fn a_version_is_its_owners_and_whom_it_is_granted_to() {
    let owner = "000000000000".parse().unwrap();
    let (other, third) = ("111111111111".parse().unwrap(), "222222222222".parse().unwrap());
    let layer = publish(None, &key(), code(1), &LayerAbout::default(), step(1));
    let admitted = |statement: Option<LayerStatement>| {
        let layer = match statement {
            Some(statement) => grant(&layer, 1, &statement, None, step(2)).unwrap(),
            None => layer.clone(),
        };
        [&owner, &other, &third].map(|account| layer.versions[&1].admits(account))
    };
    assert_eq!(admitted(None), [true, false, false]);
    assert_eq!(admitted(Some(statement("a", Grantee::Everyone))), [true, true, true]);
    assert_eq!(admitted(Some(statement("a", Grantee::Account(other.clone())))), [true, true, false]);
    let members = LayerStatement { organization: Some("o-1".into()), ..statement("a", Grantee::Everyone) };
    assert_eq!(admitted(Some(members)), [true, false, false]);
    let arn: LayerVersionArn = "arn:aws:lambda:us-east-1:000000000000:layer:tools:1".parse().unwrap();
    assert_eq!(layer.versions[&1].arn, arn);
}

#[test]
fn a_function_and_its_layers_end_at_250_mebibytes_together() {
    let sized = |unzipped| CodeRef { unzipped, ..code(1) };
    let layers = [100, 200].map(|unzipped| LayerUse { arn: "l".into(), code: sized(unzipped) });
    assert!(fit(&sized(262_144_000 - 300), &layers).is_ok());
    let error = fit(&sized(262_144_000 - 299), &layers).unwrap_err();
    assert!(matches!(error, CatalogueError::TooLarge { bytes: 262_144_001 }), "{error}");
    assert!(fit(&sized(u64::MAX), &layers).is_err());
}
