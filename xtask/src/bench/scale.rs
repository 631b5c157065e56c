//! What many functions cost that nobody invokes: memory, and time to start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::{Client, Function};
use super::table::{Table, Times};
use super::together;
use crate::server::Server;
use crate::shell::step;

/// Functions with which memory is measured.
const SOME: usize = 1_000;
/// Functions with which a start is timed.
pub const MANY: usize = 10_000;
/// Connections that create them.
const FLIGHT: usize = 8;
/// Starts that are timed.
const STARTS: usize = 5;
/// How long a start may take, and how often one looks.
const START_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_micros(500);

const NAME: &str = "bench-scale";
const EMPTY: &str = "bench-empty";
const PYTHON_ECHO: &str = "def handler(event, context):\n    return event\n";

/// Memory with none and some functions, then starts with none and many.
pub fn run(binary: &Path, table: &mut Table) -> Result<()> {
    let function = Function::python(PYTHON_ECHO)?;
    let server = Server::start(binary, NAME, None, &[])?;
    Client::connect(&server.address)?.list_functions()?;
    let none = server.memory()?;
    table.note("memory, 0 functions", &none.to_string());
    step(&format!("creating {SOME} functions"));
    create(&server, &function, 0..SOME)?;
    let some = server.memory()?;
    let each = some.pss_kib.saturating_sub(none.pss_kib) as f64 / SOME as f64;
    table.note(&format!("memory, {SOME} functions"), &format!("{some}   {each:.2} KiB each"));
    step(&format!("creating {MANY} functions"));
    let started = Instant::now();
    create(&server, &function, SOME..MANY)?;
    let rate = (MANY - SOME) as f64 / started.elapsed().as_secs_f64();
    table.note(&format!("creating functions, {FLIGHT} at a time"), &format!("{rate:.0}/s"));
    drop(server);

    step(&format!("starting with {MANY} functions"));
    drop(Server::start(binary, EMPTY, None, &[])?);
    let (mut full, mut empty) = (Vec::new(), Vec::new());
    let mut held = None;
    for _ in 0..STARTS {
        empty.push(time_start(binary, EMPTY, 0)?.0);
        let (time, server) = time_start(binary, NAME, 50)?;
        full.push(time);
        held = Some(server.memory()?);
    }
    let row = format!("start with {MANY} functions to their first page");
    table.row(&row, &Times::of(full), &Times::of(empty), "start with none");
    if let Some(held) = held {
        table.note(&format!("memory, {MANY} functions, after a start"), &held.to_string());
    }
    Ok(())
}

/// Creates them all, and waits until the last that each connection created is active.
pub fn create(server: &Server, function: &Function, numbers: std::ops::Range<usize>) -> Result<()> {
    let next = std::sync::atomic::AtomicUsize::new(numbers.start);
    together(server, FLIGHT, |client| {
        let mut last = None;
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if number >= numbers.end {
                break;
            }
            let name = format!("function-{number:05}");
            client.create_only(&name, function)?;
            last = Some(name);
        }
        if let Some(name) = last {
            client.create(&name, function)?;
        }
        Ok(Vec::new())
    })?;
    Ok(())
}

/// From the start of the process to the first page of ListFunctions, which has `expected` functions.
pub fn time_start(binary: &Path, name: &str, expected: usize) -> Result<(Duration, Server)> {
    let started = Instant::now();
    let server = Server::spawn(binary, name, None, &[])?;
    loop {
        if let Ok(listed) = Client::connect(&server.address).and_then(|mut client| client.list_functions()) {
            let time = started.elapsed();
            if listed != expected {
                bail!("the first page has {listed} functions instead of {expected}");
            }
            return Ok((time, server));
        }
        if started.elapsed() > START_WITHIN {
            bail!("no page of functions within {START_WITHIN:?} of the start");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
