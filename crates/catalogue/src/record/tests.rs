use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::id::RevisionId;
use base::units::{Concurrency, Mib};
use expect_test::expect;

use super::*;
use crate::configuration::*;
use crate::root::Part;
use crate::rules::tests::{a_function, a_key, code};
use crate::{
    Alias, Function, LastUpdate, ProvisionedConcurrency, Published, Reason, RecursiveLoop, Routing,
    RuntimeManagement, State, Version, Weight,
};

/// A function with every member set.
fn full() -> Function {
    let mut function = a_function("f");
    let configuration = Configuration {
        package: PackageType::Image,
        runtime: Some("python3.13".into()),
        handler: Some("app.handler".into()),
        role: "role".into(),
        description: "ä \"quoted\"".into(),
        timeout: Duration::from_secs(900),
        memory: Mib(10_240),
        ephemeral: Mib(1024),
        environment: Some(SealedEnvironment(vec![0, 255, 10].into())),
        kms_key: Some("key".into()),
        layers: [1, 2].map(|n| LayerUse { arn: format!("layer:{n}").into(), code: code(n) }).to_vec(),
        architecture: Architecture::Arm64,
        tracing: TracingMode::Active,
        logging: LoggingConfig {
            format: LogFormat::Json { application: LogLevel::Fatal, system: SystemLogLevel::Warn },
            group: "/g".into(),
        },
        dead_letter: Some("queue".into()),
        vpc: Some(VpcConfig {
            subnets: vec!["s".into()],
            security_groups: vec!["g".into()],
            vpc: "v".into(),
            ipv6: true,
        }),
        file_systems: vec![FileSystem { arn: "fs".into(), mount: "/mnt/x".into() }],
        snap_start: SnapStart::PublishedVersions,
        image: Some(ImageConfig {
            entry_point: Some(vec!["sh".into()]),
            command: Some(Vec::new()),
            working_directory: None,
        }),
    };
    let failed = Reason { code: "Broken".into(), text: "It broke.".into() };
    function.latest = Arc::new(Version {
        configuration,
        state: State::Inactive(Reason::creating()),
        last_update: Some(LastUpdate::Failed(failed)),
        ..Version::clone(&function.latest)
    });
    function.next_version = 7;
    function.published = Some(Published { version: 6, generation: 5 });
    function.code_signing = Some("csc".into());
    function.tags = BTreeMap::from([("k".into(), "v".into())]);
    function
}

#[test]
fn what_is_stored_is_read_back() {
    let key = key_of::<Function>(&a_key("f"));
    for function in [full(), a_function("f")] {
        let body = function.write();
        assert_eq!(Function::read(&key, &a_key("f"), &body).unwrap(), function);
    }
    let numbering = Numbering { next_version: 3, next_generation: 9 };
    assert_eq!(read_numbering(&key, &write_numbering(numbering)).unwrap(), numbering);
}

fn an_alias(routing: Option<Routing>) -> Alias {
    Alias {
        name: "live".into(),
        version: Qualifier::Version(1),
        routing,
        description: "ä".into(),
        revision: RevisionId(uuid::Uuid::from_u128(7)),
    }
}

#[test]
fn parts_are_read_back_and_their_stored_form_does_not_change() {
    let key = Key::new("catalogue/000000000000/us-east-1/function/f/alias/live");
    let shared = Routing { version: 2, weight: Weight::new(0.1).unwrap() };
    for routing in [None, Some(shared)] {
        let alias = an_alias(routing);
        assert_eq!(Alias::read(&key, &a_key("f"), &alias.name, &alias.write()).unwrap(), alias);
    }
    expect![[r#"{"version":1,"function_version":"1","routing":{"version":2,"weight":0.1},"description":"ä","revision":"00000000-0000-0000-0000-000000000007"}"#]].assert_eq(std::str::from_utf8(&an_alias(Some(shared)).write()).unwrap());
    let version = Version { qualifier: Qualifier::Version(3), ..Version::clone(&full().latest) };
    assert_eq!(Version::read(&key, &a_key("f"), &3, &version.write()).unwrap(), version);
}

#[test]
fn aliases_that_lead_nowhere_are_refused() {
    let key = Key::new("catalogue/000000000000/us-east-1/function/f/alias/live");
    let stored = String::from_utf8(an_alias(None).write().to_vec()).unwrap();
    let shared = r#""routing":{"version":2,"weight":1.5},"description""#;
    for (damaged, reason) in [
        (stored.replace(r#""function_version":"1""#, r#""function_version":"other""#), "leads to no version"),
        (stored.replace(r#""description""#, shared), "a weight is not from 0 to 1"),
    ] {
        let error = Alias::read(&key, &a_key("f"), &"live".into(), damaged.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn the_stored_form_does_not_change() {
    let text = |function: &Function| String::from_utf8(function.write().to_vec()).unwrap();
    expect![[r#"{"version":1,"latest":{"configuration":{"package":"Zip","runtime":"python3.13","handler":"app.handler","role":"arn:aws:iam::000000000000:role/r","description":"","timeout_seconds":3,"memory_mib":128,"ephemeral_mib":512,"architecture":"x86_64","tracing":"PassThrough","logging":{"format":"text","group":"/aws/lambda/f"},"snap_start":"None"},"code":{"digest":"0101010101010101010101010101010101010101010101010101010101010101","size":100,"unzipped":200},"state":{"pending":{"code":"Creating","text":"The function is being created."}},"revision":"00000000-0000-0000-0000-000000000001","last_modified":1000,"generation":1},"next_version":1}"#]]
        .assert_eq(&text(&a_function("f")));
    let full = text(&full());
    assert!(full.contains(r#""environment":"AP8K""#), "{full}");
    assert!(full.contains(r#""next_version":7,"published":{"number":6,"generation":5}"#), "{full}");
    assert!(full.contains(r#""format":{"json":{"application":"FATAL","system":"WARN"}}"#), "{full}");
}

#[test]
fn settings_are_stored_in_a_form_that_does_not_change() {
    let mut function = a_function("f");
    function.reserved = Some(Concurrency(0));
    function.recursion = RecursiveLoop::Allow;
    let text = String::from_utf8(function.write().to_vec()).unwrap();
    assert!(text.ends_with(r#""next_version":1,"reserved":0,"recursion":"Allow"}"#), "{text}");

    let last_modified = Timestamp::from_millis(1);
    let provisioned = ProvisionedConcurrency { requested: Concurrency(3), last_modified };
    part_is(&provisioned, r#"{"version":1,"requested":3,"last_modified":1000}"#);
    part_is(&RuntimeManagement::FunctionUpdate, r#"{"version":1,"update_on":"function_update"}"#);
    part_is(&RuntimeManagement::Manual("arn".into()), r#"{"version":1,"update_on":{"manual":"arn"}}"#);
}

fn part_is<P>(part: &P, stored: &str)
where
    P: Part<Name = Qualifier, Owner = FunctionKey> + PartialEq + std::fmt::Debug,
{
    assert_eq!(String::from_utf8(part.write().to_vec()).unwrap(), stored);
    let read = P::read(&Key::new("any"), &a_key("f"), &Qualifier::Version(1), stored.as_bytes());
    assert_eq!(read.unwrap(), *part);
}

#[test]
fn keys_tell_what_they_are_about() {
    let root = key_of::<Function>(&a_key("f"));
    assert_eq!(root.as_str(), "catalogue/000000000000/us-east-1/function/f");
    let part = Key::new(format!("{root}/version/7"));
    for (key, part) in [(&root, None), (&part, Some(("version", "7")))] {
        let scope = a_key("f").scope;
        let place = Place { document: key, scope, kind: "function", name: "f", part };
        assert_eq!(Place::read(key), Some(place));
    }
    for other in [
        "catalogue/x",
        "artifact/x",
        "catalogue/0/r/function/f",
        "catalogue/000000000000/us-east-1/function",
        "catalogue/000000000000/us-east-1/function/f/version",
        "catalogue/000000000000/us-east-1/function/f/version/7/x",
    ] {
        assert_eq!(Place::read(&Key::new(other)), None, "{other}");
    }
}

#[test]
fn records_of_newer_samovars_and_damaged_ones_are_refused() {
    let key = key_of::<Function>(&a_key("f"));
    for (body, reason) in HashMap::from([
        (&br#"{"version":2,"new":"form"}"#[..], "version 2 is not known to this samovar"),
        (br#"{"version":1}"#, "missing field"),
        (b"junk", "expected"),
    ]) {
        let error = Function::read(&key, &a_key("f"), body).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
