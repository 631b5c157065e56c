use expect_test::{Expect, expect};

use super::*;
use crate::rules::tests::{code, step};

fn key() -> LayerKey {
    "arn:aws:lambda:us-east-1:000000000000:layer:tools".parse().unwrap()
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
    match words[0] {
        "publish" => Ok(publish(layer, &key(), package(1), &LayerAbout::default(), step)),
        "import" => import(layer, &key(), number(1), package(2), words.len() > 3, step),
        "delete" => Ok(delete(layer.unwrap(), number(1))),
        other => panic!("{other}"),
    }
}

fn shown(layer: &Layer) -> String {
    let versions = layer.versions.iter().map(|(number, version)| {
        let policy = version.policy.as_ref().map(|policy| {
            format!(
                " r{} {}",
                policy.revision.0.as_u128(),
                policy.statements[0].sid.as_deref().unwrap_or_default()
            )
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
fn an_import_takes_its_number_and_replaces_only_when_told() {
    check(
        "import 12 1; import 12 1; import 12 2; import 12 2 replace; publish 3; import 4 4",
        expect![[r#"
            import 12 1: [12=code 1 r1001 samovar-import] next 13
            import 12 1: [12=code 1 r1001 samovar-import] next 13
            import 12 2: refused, the layer version holds another package
            import 12 2 replace: [12=code 2 r1004 samovar-import] next 13
            publish 3: [12=code 2 r1004 samovar-import, 13=code 3] next 14
            import 4 4: [4=code 4 r1006 samovar-import, 12=code 2 r1004 samovar-import, 13=code 3] next 14
        "#]],
    );
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
