//! `cargo xtask bench`: figures with their floors from the same run, since the machines are noisy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::server::Server;
use crate::setup;
use crate::shell::{cache, quiet, step};

mod bursts;
mod catalogue;
mod client;
mod cores;
mod cycles;
mod echo;
mod floor;
mod imports;
mod invokes;
mod load;
mod logs;
mod restores;
mod scale;
mod search;
pub mod soak;
mod table;
mod tail;

use client::Client;
use table::Table;

/// What is measured apart from the rest; each is a word of the command line.
pub const TOPICS: [&str; 7] = ["invokes", "bursts", "cycles", "imports", "scale", "catalogue", "logs"];
/// A binary to measure instead of the release build that is made here: to try a benchmark itself.
const BINARY_VARIABLE: &str = "SAMOVAR_BENCH_BINARY";

/// Runs every benchmark, or those of one topic, and prints one table.
pub fn run(only: Option<&str>) -> Result<()> {
    let binary = binary()?;
    let mut table = Table::default();
    for topic in TOPICS.into_iter().filter(|topic| only.is_none_or(|only| only == *topic)) {
        match topic {
            "invokes" => invokes::run(&binary, &mut table)?,
            "bursts" => bursts::run(&binary, &mut table)?,
            "cycles" => cycles::run(&mut table)?,
            "imports" => imports::run(&binary, &mut table)?,
            "scale" => scale::run(&binary, &mut table)?,
            "catalogue" => catalogue::run(&binary, &mut table)?,
            _ => {
                let server = Server::start(&binary, "bench-logs", None, &[])?;
                tail::run(&binary, &server, &mut table)?;
                let flood = logs::run(&server, &mut table)?;
                search::run(&server, &flood, &mut table)?;
                std::fs::remove_file(&flood.file)?;
            }
        }
    }
    println!("{}", table.text);
    Ok(())
}

/// What is measured.
fn binary() -> Result<PathBuf> {
    match std::env::var_os(BINARY_VARIABLE) {
        Some(binary) => {
            step(&format!("measuring {}: no figure of it is worth keeping", binary.display()));
            Ok(PathBuf::from(binary))
        }
        None => setup::binary(),
    }
}

/// Runs `work` on `flight` connections at once and gives all times.
fn together(
    server: &Server,
    flight: usize,
    work: impl Fn(&mut Client) -> Result<Vec<Duration>> + Sync,
) -> Result<Vec<Duration>> {
    let barrier = Barrier::new(flight);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..flight)
            .map(|_| {
                std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, || {
                    let client = Client::connect(&server.address);
                    barrier.wait();
                    work(&mut client?)
                })
            })
            .collect::<std::io::Result<_>>()?;
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(times) => all.extend(times?),
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(all)
    })
}

/// Makes an archive with Python's own zip command line.
pub fn zip(directory: &Path, files: &[&str]) -> Result<Vec<u8>> {
    let archive = cache().join("bench.zip");
    quiet(
        Command::new("/usr/bin/python3")
            .current_dir(directory)
            .args(["-m", "zipfile", "-c"])
            .arg(&archive)
            .args(files),
    )?;
    std::fs::read(archive).context("the archive that was just made")
}
