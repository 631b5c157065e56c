//! `cargo xtask test`: sets up and runs every test there is.

use std::process::Command;

use anyhow::Result;

use crate::shell::{cargo, root, show, step};
use crate::{codegen, fuzz, setup, tidy};

/// Runs everything; the first failure ends it. `only` names a part: `tidy`, `rust`, `fuzz` or `e2e`.
pub fn run(only: Option<&str>, pytest_arguments: &[String]) -> Result<()> {
    let wanted = |part| only.is_none_or(|only| only == part);
    if wanted("tidy") {
        house()?;
    }
    if wanted("rust") {
        step("rust tests");
        show(cargo().args(["test", "--workspace", "--locked", "--quiet"]))?;
    }
    if wanted("fuzz") {
        fuzz::run(None, fuzz::SECONDS)?;
        for seed in [Some(fuzz::api::SEED), None] {
            fuzz::api::run(&fuzz::api::Plan { requests: fuzz::api::FEW_REQUESTS, seed, only: None })?;
        }
    }
    if wanted("e2e") {
        clients(pytest_arguments)?;
    }
    Ok(())
}

/// Format, lints, generated code, and the invariants of the house.
fn house() -> Result<()> {
    step("format, lints, generated code, invariants");
    show(cargo().args(["fmt", "--all", "--check"]))?;
    show(cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))?;
    show(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    codegen::run(true)?;
    tidy::run()
}

/// The runtime clients against a played Runtime API, then unmodified AWS clients against the release binary.
fn clients(arguments: &[String]) -> Result<()> {
    let binary = setup::binary()?;
    let clients = setup::clients()?;
    setup::aws_v2()?;
    setup::ruby()?;
    setup::probers()?;
    setup::network_tools()?;
    let sdk = setup::sdk(&binary)?;
    let node = setup::node_clients()?;
    let official = setup::official_clients()?;
    let tools = setup::deployment_tools()?;
    step("tests of the runtime clients");
    show(Command::new(&clients.python).current_dir(root()).args([
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "runtimes/tests",
    ]))?;
    step("tests through unmodified AWS clients");
    show(
        Command::new(&clients.python)
            .current_dir(root().join("tests/e2e"))
            .args(["-m", "pytest"])
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SAMOVAR_TEST_BINARY", binary)
            .env("SAMOVAR_TEST_SDK", sdk)
            .env("SAMOVAR_TEST_AWS", clients.aws)
            .env("SAMOVAR_TEST_NODE_MODULES", node)
            .env("SAMOVAR_TEST_RIC", official)
            .env("SAMOVAR_TEST_TOOLS", tools),
    )
}
