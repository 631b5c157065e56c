//! `cargo xtask bench soak`: everything at once for a while, and then exact books. `tests/e2e/soak.py` does it, and a
//! short form of it is among the tests.

use std::process::Command;

use anyhow::Result;

use crate::setup;
use crate::shell::{root, show, step};

/// How long it lasts unless told otherwise.
pub const SECONDS: u32 = 600;

/// Runs the long form on the release build, or on the binary that is named for benchmarks.
pub fn run(seconds: u32, seed: Option<&str>) -> Result<()> {
    let binary = super::binary()?;
    let clients = setup::clients()?;
    let sdk = setup::sdk(&binary)?;
    step(&format!("everything at once for {seconds} s"));
    let mut command = Command::new(&clients.python);
    command.current_dir(root().join("tests/e2e")).args(["soak.py", "--seconds", &seconds.to_string()]);
    command.args(seed.map(|seed| ["--seed", seed]).iter().flatten());
    show(
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SAMOVAR_TEST_BINARY", binary)
            .env("SAMOVAR_TEST_SDK", sdk),
    )
}
