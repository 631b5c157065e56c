use super::*;
use std::path::PathBuf;

fn installed(versions: &[(Family, u32, u32, u32)]) -> Vec<Interpreter> {
    let make = |&(family, major, minor, patch): &(Family, u32, u32, u32)| Interpreter {
        id: format!("{family}{major}.{minor}"),
        family,
        version: (major, minor, patch),
        host: PathBuf::from("/usr/bin/x"),
        executable: PathBuf::from("/usr/bin/x"),
        mounts: vec![],
    };
    versions.iter().map(make).collect()
}

use Family::{Node, Python, Ruby};

fn answer(runtime: &str, native: &[&str], here: &[(Family, u32, u32, u32)], policy: RuntimeMatch) -> String {
    let here = installed(here);
    let native: Vec<_> = native.iter().map(|&tag| tag.to_owned()).collect();
    match choose(runtime, &[Vec::new(), native], &here, policy) {
        Ok(Choice::Provided) => "provided".into(),
        Ok(Choice::Interpreter { interpreter, warning: None }) => interpreter.version_text(),
        Ok(Choice::Interpreter { interpreter, warning: Some(_) }) => {
            format!("{} warned", interpreter.version_text())
        }
        Err(error) => match error {
            RuntimeError::NoClient { .. } => "no client",
            RuntimeError::Unknown { .. } => "unknown",
            RuntimeError::NotInstalled { .. } => "not installed",
            RuntimeError::NotExact { .. } => "not exact",
            RuntimeError::NativeModules { .. } => "native modules",
        }
        .into(),
    }
}

const HERE: &[(Family, u32, u32, u32)] = &[
    (Python, 3, 9, 18),
    (Python, 3, 11, 2),
    (Python, 3, 11, 7),
    (Python, 3, 13, 0),
    (Node, 20, 20, 2),
    (Node, 24, 1, 0),
    (Ruby, 3, 1, 2),
    (Ruby, 3, 4, 1),
];

#[test]
fn the_exact_version_serves_else_the_nearest_with_a_warning() {
    for (runtime, expected) in [
        ("python3.11", "3.11.2"),
        ("python3.9", "3.9.18"),
        ("python3.8", "3.9.18 warned"),
        // Equally far: the newer one.
        ("python3.12", "3.13.0 warned"),
        ("python3.10", "3.11.2 warned"),
        ("python3.15", "3.13.0 warned"),
        ("nodejs20.x", "20.20.2"),
        ("nodejs22.x", "24.1.0 warned"),
        ("nodejs18.x", "20.20.2 warned"),
        ("ruby3.4", "3.4.1"),
        ("ruby3.2", "3.1.2 warned"),
        // 4.0 came right after 3.4.
        ("ruby4.0", "3.4.1 warned"),
        ("provided.al2023", "provided"),
        ("provided.al2", "provided"),
        ("java21", "no client"),
        ("dotnet8", "no client"),
        ("go1.x", "unknown"),
        ("nodejs", "unknown"),
        ("python3", "unknown"),
        ("pythonx.y", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(answer(runtime, &[], HERE, RuntimeMatch::Nearest), expected, "{runtime}");
    }
}

#[test]
fn exact_matching_refuses_another_version() {
    for (runtime, expected) in [
        ("python3.11", "3.11.2"),
        ("python3.12", "not exact"),
        ("nodejs22.x", "not exact"),
        ("nodejs24.x", "24.1.0"),
        ("provided.al2023", "provided"),
    ] {
        assert_eq!(answer(runtime, &[], HERE, RuntimeMatch::Exact), expected, "{runtime}");
    }
    assert_eq!(answer("ruby3.2", &[], &HERE[..6], RuntimeMatch::Nearest), "not installed");
}

#[test]
fn native_modules_forbid_a_version_that_cannot_load_them() {
    for (runtime, native, expected) in [
        ("python3.12", &["cpython-312"][..], "native modules"),
        ("python3.12", &["cpython-312-x86_64-linux-gnu"], "native modules"),
        ("python3.12", &["cpython-312", "cpython-313-x86_64-linux-gnu"], "3.13.0 warned"),
        ("python3.12", &["abi3"], "3.13.0 warned"),
        ("python3.12", &["node-127"], "3.13.0 warned"),
        // The exact version runs as it would on AWS, whatever was packaged.
        ("python3.11", &["cpython-312"], "3.11.2"),
        ("nodejs22.x", &["node-127"], "native modules"),
        ("nodejs22.x", &["node-137"], "24.1.0 warned"),
    ] {
        assert_eq!(answer(runtime, native, HERE, RuntimeMatch::Nearest), expected, "{runtime} {native:?}");
    }
    // 31 is not 311.
    let old = &[(Python, 3, 1, 0)];
    assert_eq!(answer("python3.2", &["cpython-311"], old, RuntimeMatch::Nearest), "native modules");
}

#[test]
fn errors_say_what_to_do() {
    let here = installed(HERE);
    for (runtime, policy, expected) in [
        (
            "java21",
            RuntimeMatch::Nearest,
            "samovar has no runtime client for java21: package the function with its own bootstrap and use the \
             runtime provided.al2023",
        ),
        (
            "nodejs22.x",
            RuntimeMatch::Exact,
            "nodejs22.x needs Node.js 22, and the nearest here is Node.js 24.1.0: install it, or start samovar with \
             --runtime-match nearest",
        ),
    ] {
        let error = choose(runtime, &[], &here, policy).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn runtimes_start_with_the_client_last_and_the_heap_fitted() {
    let here = installed(&[(Python, 3, 11, 2), (Node, 20, 20, 2)]);
    let python = launch_command("python3.11", &here[0]).for_memory(Mib(128));
    assert_eq!(python.argv, ["/usr/bin/x", "-S", "/var/runtime/bootstrap.py"]);
    let node = launch_command("nodejs22.x", &here[1]).for_memory(Mib(128));
    let flags = ["--expose-gc", "--max-semi-space-size=6", "--max-old-space-size=108"];
    assert_eq!(node.argv, [&["/usr/bin/x"], &flags[..], &["/var/runtime/bootstrap.js"]].concat());
    let node_path = node.env.iter().find(|(name, _)| name == "NODE_PATH").map(|(_, value)| &**value);
    let expected = "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task";
    assert_eq!(node_path, Some(expected));
}

#[test]
fn the_directory_of_an_interpreter_outside_usr_leads_the_search_path() {
    let mut here = installed(&[(Python, 3, 12, 1)]);
    let path = |interpreter: &Interpreter| launch_command("python3.12", interpreter).env[0].1.clone();
    assert_eq!(path(&here[0]), "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin");
    here[0].executable = PathBuf::from("/srv/pythons/3.12.1/bin/python3.12");
    assert_eq!(path(&here[0]), "/srv/pythons/3.12.1/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin");
}

#[test]
fn runtime_versions_are_named_as_logs_name_them() {
    for (runtime, expected) in [
        ("python3.11", "python:3.11.v1"),
        ("nodejs22.x", "nodejs:22.v1"),
        ("ruby3.4", "ruby:3.4.v1"),
        ("provided.al2023", "provided:al2023.v1"),
    ] {
        let version = runtime_version(runtime);
        assert_eq!(version.text, expected);
        assert!(
            version.hash.len() == 64 && version.hash.bytes().all(|b| b.is_ascii_hexdigit()),
            "{}",
            version.hash
        );
    }
    assert_ne!(runtime_version("python3.11").hash, runtime_version("python3.12").hash);
    let arn = runtime_version("python3.11").arn("eu-west-1");
    assert!(arn.starts_with("arn:aws:lambda:eu-west-1::runtime:"), "{arn}");
}
