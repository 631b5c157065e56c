//! `cargo xtask fuzz`: libFuzzer on whatever reads strangers' bytes. The targets are in `fuzz/`.

pub mod api;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, quiet, root, step};

/// Seconds for each target when nobody says how many, and in `cargo xtask test`.
pub const SECONDS: u32 = 4;

/// What makes the compiler count the ways that an input takes. All of it works on a stable toolchain; the code under
/// test has no `unsafe`, so there is no address sanitizer, which would need another.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Cdebug-assertions --cfg fuzzing";

/// Longest input, in bytes; one input may take so many seconds and so many megabytes.
const LIMITS: [&str; 3] = ["-max_len=8192", "-timeout=10", "-rss_limit_mb=2048"];

/// Lines of a failed run that are shown.
const SHOWN: usize = 40;

/// Builds all targets and runs them, or one of them, for so long.
pub fn run(only: Option<&str>, seconds: u32) -> Result<()> {
    let targets = targets()?;
    if let Some(name) = only.filter(|name| !targets.iter().any(|target| target == name)) {
        bail!("there is no fuzz target {name}; there are {}", targets.join(", "));
    }
    step("building the fuzz targets");
    let programs = build()?;
    for target in targets.iter().filter(|target| only.is_none_or(|only| only == *target)) {
        step(&format!("fuzzing {target} for {seconds} s"));
        eprintln!("{}", fuzz(&programs, target, seconds)?);
    }
    Ok(())
}

/// The names of `[[bin]]` in `fuzz/Cargo.toml`.
fn targets() -> Result<Vec<String>> {
    let manifest: toml::Table = fs::read_to_string(manifest())?.parse().context("fuzz/Cargo.toml")?;
    let bins =
        manifest.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml has no [[bin]]")?;
    Ok(bins.iter().filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect())
}

/// The directory of the targets' programs.
fn build() -> Result<PathBuf> {
    let said = quiet(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    // Saying for which machine keeps the flags away from build scripts and macros.
    let directory = root().join("target/fuzz");
    quiet(
        cargo()
            .args(["build", "--locked", "--bins", "--target", host])
            .arg("--manifest-path")
            .arg(manifest())
            .arg("--target-dir")
            .arg(&directory)
            .env("RUSTFLAGS", COVERAGE),
    )?;
    Ok(directory.join(host).join("debug"))
}

/// One run; what it did, as a line.
fn fuzz(programs: &Path, target: &str, seconds: u32) -> Result<String> {
    let (corpus, crashes) =
        (root().join("target/fuzz/corpus").join(target), root().join("target/fuzz/crashes").join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&crashes)?;
    let run = Command::new(programs.join(target))
        .arg(&corpus)
        .arg(root().join("fuzz/seeds").join(target))
        .args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let lines: Vec<&str> = said.lines().collect();
    if !run.status.success() {
        bail!(
            "{}\n{target} failed; the input is in {}; mend what it shows, and keep it in fuzz/seeds/{target}",
            lines[lines.len().saturating_sub(SHOWN)..].join("\n"),
            crashes.display()
        );
    }
    let done = lines.iter().rev().find(|line| line.contains("DONE")).copied();
    Ok(done.unwrap_or("nothing was counted").to_owned())
}

fn manifest() -> PathBuf {
    root().join("fuzz/Cargo.toml")
}
