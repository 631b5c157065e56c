//! `cargo xtask fuzz api`: generated requests over every operation against the real binary, and each answer judged.

mod client;
mod dice;
mod generate;
mod hostile;
mod json;
mod judge;
mod known;
mod make;
mod mutate;
mod report;
mod request;
mod sample;
mod sweep;
mod world;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use serde_json::Value;

use self::client::Client;
use self::judge::judge;
use self::report::Report;
use self::sweep::Keeper;
use self::world::World;
use crate::bench::zip;
use crate::server::Server;
use crate::shell::{cache, cargo, root, show, step};

/// Requests when nobody says how many.
pub const REQUESTS: u64 = 100_000;
/// Requests of each of the runs of `cargo xtask test`.
pub const FEW_REQUESTS: u64 = 4_000;
/// The seed of one of the test's two runs; the other's is new each time.
pub const SEED: u64 = 1;

/// Connections.
const FLIGHT: usize = 8;
/// Requests after which everything is taken away and the memory is read.
const ROUND: u64 = 2_500;
const FEW_ROUNDS: u64 = 6;
/// How far the server's memory may grow from the middle of a run to its end: what allocators and the store's caches keep.
const GROWTH_KIB: u64 = 24 * 1024;
/// Valid requests that the front end may refuse, of a hundred: it knows bounds that models lack.
const INVALID_PERCENT: f64 = 3.0;
/// How long what was made may take to go, and how often one looks.
const SWEEP_WITHIN: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// What a server says of itself that is a fault.
const FAULTS: [&str; 3] = ["panicked", " ERROR ", "internal error"];
const NAME: &str = "fuzz-api";

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub requests: u64,
    /// A new one where none is given.
    pub seed: Option<u64>,
    /// Only the request of this number, shown with its answer.
    pub only: Option<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { requests: REQUESTS, seed: None, only: None }
    }
}

/// Runs a plan on a server of its own.
pub fn run(plan: &Plan) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = plan.seed.unwrap_or(now.as_nanos() as u64 % 1_000_000_007);
    let binary = binary()?;
    let world = World::new(archives()?, now.as_millis() as i64)?;
    let server = Server::start(&binary, NAME, None, &[])?;
    let run = Run { world: &world, server: &server, seed };
    match plan.only {
        Some(number) => run.one(number),
        None => run.all(plan.requests),
    }
}

/// With debug assertions: what overflows is a panic there.
fn binary() -> Result<PathBuf> {
    step("building samovar (debug)");
    show(cargo().args(["build", "--locked", "--quiet", "--package", "samovar"]))?;
    Ok(root().join("target/debug/samovar"))
}

/// A runtime that fails at once, a handler for interpreters, and two that are no archives.
fn archives() -> Result<Vec<Vec<u8>>> {
    let directory = cache().join("fuzz-source");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("bootstrap"), "#!/bin/sh\nexit 1\n")?;
    std::fs::write(directory.join("index.py"), "def handler(event, context):\n    return event\n")?;
    show(std::process::Command::new("chmod").arg("+x").arg(directory.join("bootstrap")))?;
    let both = zip(&directory, &["bootstrap", "index.py"])?;
    let python = zip(&directory, &["index.py"])?;
    Ok(vec![both.clone(), both[..both.len() / 2].to_vec(), python, both, b"no archive".to_vec()])
}

struct Run<'a> {
    world: &'a World,
    server: &'a Server,
    seed: u64,
}

impl Run<'_> {
    /// Shows one request with its answer, after what every round begins with.
    fn one(&self, number: u64) -> Result<()> {
        let mut client = Client::new(&self.server.address);
        Keeper { world: self.world, client: &mut client }.furnish()?;
        let request = generate::request(self.world, self.seed, number)?;
        let came = client.ask(&request);
        println!("{}\n{:?}", report::shown(number, &request, &came), judge(self.world, &request, &came));
        Ok(())
    }

    fn all(&self, requests: u64) -> Result<()> {
        step(&format!("{requests} requests with the seed {}", self.seed));
        let round = ROUND.min(requests.div_ceil(FEW_ROUNDS)).max(1);
        let (mut report, mut held) = (Report::default(), Vec::new());
        let started = Instant::now();
        for first in (0..requests).step_by(round as usize) {
            report.merge(self.round(first..requests.min(first + round))?);
            if !self.server.is_healthy() {
                report.note("the server is not healthy".into());
                break;
            }
            self.sweep()?;
            held.push(self.server.memory()?.pss_kib);
            eprintln!("{} requests, {} findings", requests.min(first + round), report.found());
        }
        eprintln!("{:.0} requests a second", requests as f64 / started.elapsed().as_secs_f64());
        self.check(&mut report, &held)?;
        eprintln!("{}", report.summary(&self.world.services));
        if report.found() > 0 {
            let again = format!("cargo xtask fuzz api --seed {} --only NUMBER", self.seed);
            bail!("{}\nask one again with `{again}`", report.findings());
        }
        Ok(())
    }

    fn round(&self, numbers: std::ops::Range<u64>) -> Result<Report> {
        Keeper { world: self.world, client: &mut Client::new(&self.server.address) }.furnish()?;
        let next = AtomicU64::new(numbers.start);
        let mut report = Report::default();
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..FLIGHT).map(|_| scope.spawn(|| self.work(&next, numbers.end))).collect();
            for worker in workers {
                match worker.join() {
                    Ok(worked) => report.merge(worked?),
                    Err(_) => bail!("a worker panicked"),
                }
            }
            Ok(())
        })?;
        Ok(report)
    }

    fn work(&self, next: &AtomicU64, end: u64) -> Result<Report> {
        let mut client = Client::new(&self.server.address);
        let mut report = Report::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(report);
            }
            let request = generate::request(self.world, self.seed, number)?;
            let came = client.ask(&request);
            match judge(self.world, &request, &came) {
                Ok(outcome) => report.count(&request, outcome, &came),
                Err(wrong) => report.find(number, &request, &came, &wrong),
            }
            // What a deletion tells of is there no more.
            let told = came.ok().filter(|answer| answer.status < 300 && request.method != "DELETE");
            if let Some(told) = told.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok()) {
                self.world.learned.read(&told);
            }
        }
    }

    /// Takes everything away; what is being made or deleted needs a moment.
    fn sweep(&self) -> Result<()> {
        let mut client = Client::new(&self.server.address);
        let started = Instant::now();
        loop {
            let left = Keeper { world: self.world, client: &mut client }.sweep()?;
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > SWEEP_WITHIN {
                bail!("these would not go (seed {}):\n{}", self.seed, left.join("\n"));
            }
            std::thread::sleep(SWEEP_EVERY);
        }
    }

    /// What is to be seen of the server when all is over.
    fn check(&self, report: &mut Report, held: &[u64]) -> Result<()> {
        let log = self.server.log()?;
        for line in log.lines().filter(|line| FAULTS.iter().any(|fault| line.contains(fault))) {
            report.note(format!("the server's log: {line}"));
        }
        if let (Some(middle), Some(end)) = (held.get(held.len() / 2), held.last()) {
            eprintln!(
                "memory after each round, in MiB PSS: {:?}",
                held.iter().map(|kib| kib / 1024).collect::<Vec<_>>()
            );
            if *end > middle + GROWTH_KIB {
                report.note(format!("memory grew from {middle} KiB in the middle to {end} KiB"));
            }
        }
        let invalid = report.invalid_percent();
        if invalid > INVALID_PERCENT {
            report.note(format!(
                "the front end refuses {invalid:.1} of a hundred requests that the model allows"
            ));
        }
        Ok(())
    }
}
