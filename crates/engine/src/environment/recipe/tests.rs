//! Recipes from real archives, sealed variables and a list of interpreters.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use artifact::InProcess;
use base::random::Dice;
use catalogue::{CodeRef, LayerUse};
use expect_test::expect;
use sandbox::interpreters::Family;
use store::Blobs;
use store::memory::MemoryStore;
use tempfile::TempDir;

use super::*;
use crate::testing;

struct Bench {
    pantry: Pantry,
    _directory: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let clock = Clock::starting_at(Timestamp::from_millis(1_795_260_000_000));
        let dice = Dice::seeded(1);
        let store = Arc::new(MemoryStore::new(clock));
        let code = directory.path().join("code");
        std::fs::create_dir(&code).expect("a directory");
        let unpacker = Arc::new(InProcess::new(&code));
        let artifacts = Artifacts::open(store.clone(), Blobs::memory(), unpacker, &code, clock, dice.clone());
        let python = Interpreter {
            id: "python3.11".into(),
            family: Family::Python,
            version: (3, 11, 2),
            host: PathBuf::from("/usr/bin/python3.11"),
            executable: PathBuf::from("/usr/bin/python3.11"),
            mounts: vec![],
        };
        let pantry = Pantry {
            images: Images::new(0),
            artifacts: artifacts.await.expect("no packages"),
            logs: Logs::open(store, clock, dice.clone()).await.expect("no logs"),
            vault: Vault::open(&directory.path().join("key"), dice.clone()).expect("a key"),
            gate: Gate::open(testing::scope().account),
            interpreters: [python].into(),
            runtime_match: RuntimeMatch::Nearest,
            endpoint: true,
            clock,
            dice,
        };
        Self { pantry, _directory: directory }
    }

    /// A version whose package holds one file.
    async fn version(&self, runtime: &str, file: &str) -> Version {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file(file, zip::write::SimpleFileOptions::default()).expect("a file");
        archive.write_all(b"#!/bin/sh\n").expect("memory");
        let bytes = archive.finish().expect("an archive").into_inner();
        let package = self.pantry.artifacts.ingest(bytes.into()).await.expect("a good archive");
        let mut version = (*testing::version("f", 1)).clone();
        Arc::make_mut(&mut version.configuration).runtime = Some(runtime.into());
        version.code.digest = package.digest;
        version
    }

    /// The same version with a layer of one file.
    async fn with_layer(&self, version: Version, file: &str) -> Version {
        let code = self.version("provided.al2023", file).await.code;
        let mut layered = version;
        Arc::make_mut(&mut layered.configuration).layers.push(LayerUse { arn: file.into(), code });
        layered
    }

    fn seal(&self, version: &mut Version, variables: &[(&str, &str)]) {
        let variables = variables.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let sealed = self.pantry.vault.seal_environment(&version.key(), &variables);
        Arc::make_mut(&mut version.configuration).environment = Some(sealed);
    }
}

fn variable<'a>(recipe: &'a Recipe, name: &str) -> &'a str {
    let found = recipe.commands[0].env.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value)
}

#[tokio::test]
async fn a_runtime_of_the_customers_own_is_looked_for_in_two_places() {
    let bench = Bench::new().await;
    let mut version = bench.version("provided.al2023", "bootstrap").await;
    bench.seal(&mut version, &[("COLOUR", "blue"), (EXEC_WRAPPER, "/opt/wrapper")]);
    let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
    let programs: Vec<&[String]> = recipe.commands.iter().map(|command| command.argv.as_slice()).collect();
    assert_eq!(programs, [["/var/task/bootstrap"], ["/opt/bootstrap"]]);
    assert_eq!((recipe.wrapped, recipe.interpreter.as_deref()), (false, None));
    assert_eq!(variable(&recipe, "COLOUR"), "blue");
    assert_eq!(variable(&recipe, "AWS_ENDPOINT_URL"), "http://169.254.100.1:4566");
    assert_eq!(variable(&recipe, "AWS_ACCESS_KEY_ID"), &*recipe.keys.access_key);
    assert_eq!(recipe.keys.identity.to_string(), "arn:aws:sts::000000000000:assumed-role/r/f");
    assert!(matches!(recipe.start_fault(1, 2, true), Fault::NoBootstrap(_)));
    let broken = recipe.start_fault(0, 8, false);
    assert_eq!(broken.cause(), "fork/exec /var/task/bootstrap: exec format error");
}

#[tokio::test]
async fn a_managed_runtime_starts_behind_the_customers_wrapper() {
    let bench = Bench::new().await;
    let mut version = bench.version("python3.11", "app.py").await;
    bench.seal(&mut version, &[(EXEC_WRAPPER, "/opt/wrapper")]);
    let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
    assert_eq!(
        recipe.commands[0].argv,
        ["/opt/wrapper", "/usr/bin/python3.11", "-S", "/var/runtime/bootstrap.py"]
    );
    assert_eq!(recipe.interpreter.as_deref(), Some("python3.11"));
    assert_eq!(variable(&recipe, "PYTHONPATH"), "/var/runtime");
    assert_eq!(recipe.log.notice, None);
    assert_eq!(recipe.start_fault(0, 2, true), Fault::Exit(Exit::Status(127)));
    assert_eq!(recipe.start_fault(0, 13, true), Fault::Exit(Exit::Status(126)));
}

#[tokio::test]
async fn a_runtime_waits_for_functions_that_do_not_matter_to_its_start() {
    let bench = Bench::new().await;
    let python: &[&str] = &["/usr/bin/python3.11", "-S", "/var/runtime/bootstrap.py"];
    for (runtime, variables, waits) in [
        ("python3.11", &[("COLOUR", "blue")][..], Some(python)),
        ("python3.11", &[(EXEC_WRAPPER, "/opt/wrapper")], None),
        ("python3.11", &[("PYTHONHASHSEED", "0")], None),
        ("provided.al2023", &[], None),
    ] {
        let mut version = bench.version(runtime, "app.py").await;
        bench.seal(&mut version, variables);
        let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
        let waiting = recipe.waiting();
        let expected = waits.map(|argv| argv.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(waiting, expected, "{runtime} {variables:?}");
    }
}

#[tokio::test]
async fn the_nearest_interpreter_serves_with_a_warning_and_not_under_exact_matching() {
    let mut bench = Bench::new().await;
    let version = bench.version("python3.13", "app.py").await;
    let notice = bench
        .pantry
        .recipe(&version, InitializationType::OnDemand)
        .await
        .expect("a recipe")
        .log
        .notice
        .expect("a warning");
    expect!["WARNING: python3.13 is not installed on this machine; this function runs on Python 3.11.2 instead. Install Python 3.13 for the same behaviour as on AWS."].assert_eq(&notice);

    let native = bench.version("python3.13", "lib/_fast.cpython-313-x86_64-linux-gnu.so").await;
    let refused =
        bench.pantry.recipe(&native, InitializationType::OnDemand).await.err().expect("refused").to_string();
    expect!["python3.13 needs Python 3.13: the package has native modules built for cpython-313, which Python 3.11.2, the nearest here, cannot load; install Python 3.13 and restart samovar"].assert_eq(&refused);

    bench.pantry.runtime_match = RuntimeMatch::Exact;
    let refused =
        bench.pantry.recipe(&version, InitializationType::OnDemand).await.err().expect("refused").to_string();
    expect!["python3.13 needs Python 3.13, and the nearest here is Python 3.11.2: install it, or start samovar with --runtime-match nearest"].assert_eq(&refused);
}

#[tokio::test]
async fn layers_are_held_in_their_order_and_count_when_an_interpreter_is_chosen() {
    let bench = Bench::new().await;
    let version = bench.version("python3.13", "lib/_own.cpython-311-x86_64-linux-gnu.so").await;
    let version = bench.with_layer(version, "one").await;
    let version = bench.with_layer(version, "two").await;
    let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
    let names = |codes: &[CodeRef]| codes.iter().map(|code| code.digest.to_string()).collect::<Vec<_>>();
    let held: Vec<&str> =
        std::iter::once(&recipe.code).chain(&recipe.layers).map(|name| &name[..64]).collect();
    assert_eq!(held, names(&version.codes().copied().collect::<Vec<_>>()));

    let native = bench.with_layer(version, "python/_fast.cpython-313-x86_64-linux-gnu.so").await;
    let refused =
        bench.pantry.recipe(&native, InitializationType::OnDemand).await.err().expect("refused").to_string();
    assert!(refused.contains("native modules built for cpython-313"), "{refused}");

    let mut lost = native;
    Arc::make_mut(&mut lost.configuration).layers[0].code.digest = base::id::Digest([9; 32]);
    assert!(matches!(
        bench.pantry.recipe(&lost, InitializationType::OnDemand).await.err(),
        Some(InvokeError::Code(_))
    ));
}

#[tokio::test]
async fn streams_are_named_by_day_version_and_group() {
    let bench = Bench::new().await;
    let mut version = bench.version("provided.al2023", "bootstrap").await;
    let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
    let stream = variable(&recipe, "AWS_LAMBDA_LOG_STREAM_NAME").to_owned();
    assert_eq!((&stream[..20], stream.len()), ("2026/11/21/[$LATEST]", 52));
    assert_eq!(&*recipe.log.stream, stream);

    Arc::make_mut(&mut version.configuration).logging.group = "shared".into();
    let recipe = bench.pantry.recipe(&version, InitializationType::OnDemand).await.expect("a recipe");
    let stream = variable(&recipe, "AWS_LAMBDA_LOG_STREAM_NAME");
    assert_eq!((&stream[..22], stream.len()), ("2026/11/21/f[$LATEST][", 55));
}

#[tokio::test]
async fn variables_of_another_function_and_lost_code_are_refused() {
    let bench = Bench::new().await;
    let mut version = bench.version("provided.al2023", "bootstrap").await;
    let mut other = (*testing::version("g", 1)).clone();
    bench.seal(&mut other, &[("SECRET", "of g")]);
    version.configuration = other.configuration;
    assert!(matches!(
        bench.pantry.recipe(&version, InitializationType::OnDemand).await.err(),
        Some(InvokeError::Variables(_))
    ));
    Arc::make_mut(&mut version.configuration).environment = None;
    version.code.digest = base::id::Digest([9; 32]);
    assert!(matches!(
        bench.pantry.recipe(&version, InitializationType::OnDemand).await.err(),
        Some(InvokeError::Code(_))
    ));
}
