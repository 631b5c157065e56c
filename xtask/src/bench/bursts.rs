//! Many invocations at once: without any environment, and warm.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::client::{Client, Function};
use super::table::{Table, Times, millis};
use super::{floor, together};
use crate::server::Server;
use crate::shell::step;

/// Invocations at once, without any environment.
const BURST: usize = 500;
/// How the figure grows.
const GROWTH: [usize; 5] = [1, 10, 100, BURST, 1_000];
/// How long each is held, so that none is answered before the last has started; not part of its time.
const HOLD: Duration = Duration::from_secs(10);
/// How long a warm one sleeps.
const NAP: Duration = Duration::from_secs(1);
/// Sandboxes kept ready where that is asked for.
const PREPARED: &str = "1000";
/// When the sandboxes made ahead are taken to be complete: neither their number nor their memory changed in this time.
const QUIET: Duration = Duration::from_secs(2);
const QUIET_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);

const HELD: &str = "import time\ndef handler(event, context):\n    time.sleep(event['hold'])\n    return context.log_stream_name\n";

/// Runs them on a server as it comes, and on one that keeps as many sandboxes ready.
pub fn run(binary: &Path, table: &mut Table) -> Result<()> {
    let function = Function::python(HELD)?;
    step(&format!("{BURST} invokes at once"));
    let spawned = floor::many_pythons(BURST)?;
    let server = Server::start(binary, "bench-burst", None, &[])?;
    cold(&server, &function, BURST, "", spawned, table)?;
    warm(&server, table)?;
    drop(server);
    step(&format!("invokes at once, {PREPARED} sandboxes kept ready"));
    let server = Server::start(binary, "bench-ready", None, &["--prepared", PREPARED])?;
    // The first invoke teaches the server what is wanted.
    let mut client = Client::connect(&server.address)?;
    client.create("taught", &function)?;
    client.invoke("taught", &json!({ "hold": 0 }))?;
    for count in GROWTH {
        cold(&server, &function, count, ", made ready", floor::many_pythons(count)?, table)?;
    }
    Ok(())
}

/// All at once, no environment there: as many environments as invocations, unless some came after the hold.
fn cold(
    server: &Server,
    function: &Function,
    count: usize,
    how: &str,
    floor: Duration,
    table: &mut Table,
) -> Result<()> {
    let name = format!("burst-{count}");
    Client::connect(&server.address)?.create(&name, function)?;
    settle(server)?;
    let before = server.sandboxes()?;
    let (times, environments) = burst(server, &name, count, HOLD)?;
    let all = millis(times.last());
    let row = format!("{count} at once, {environments} environments{how}, all {all:.0} ms");
    table.row(&row, &times, &Times::of(vec![floor]), "spawn as many interpreters alone");
    let after = server.sandboxes()?;
    let each = after.pss_kib as f64 / after.count.max(1) as f64;
    let ready = format!("{} ready before ({:.1} MiB PSS)", before.count, before.pss_kib as f64 / 1024.0);
    table.note("", &format!("{ready}; after: {each:.0} KiB PSS an environment with its init"));
    Ok(())
}

/// All at once in the environments that are there, each sleeping.
fn warm(server: &Server, table: &mut Table) -> Result<()> {
    let name = format!("burst-{BURST}");
    let (times, _) = burst(server, &name, BURST, NAP)?;
    let all = millis(times.last() + NAP);
    let row = format!("{BURST} x sleeping {} s, warm, all {all:.0} ms", NAP.as_secs());
    table.row(&row, &times.plus(NAP), &Times::of(vec![NAP]), "the sleep");
    Ok(())
}

/// Times without the hold, and how many environments answered.
fn burst(server: &Server, name: &str, count: usize, hold: Duration) -> Result<(Times, usize)> {
    let answered = Mutex::new(HashSet::new());
    let event = json!({ "hold": hold.as_secs_f64() });
    let times = together(server, count, |client| {
        let started = Instant::now();
        let stream = client.invoke(name, &event)?;
        let time = started.elapsed();
        answered.lock().expect("no holder panics").insert(stream.to_string());
        Ok(vec![time.saturating_sub(hold)])
    })?;
    let environments = answered.lock().expect("no holder panics").len();
    Ok((Times::of(times), environments))
}

/// Waits until no more sandboxes are made ahead.
fn settle(server: &Server) -> Result<()> {
    let started = Instant::now();
    let (mut seen, mut since) = ((usize::MAX, 0), Instant::now());
    while since.elapsed() < QUIET {
        if started.elapsed() > QUIET_WITHIN {
            bail!("sandboxes are still made ahead after {QUIET_WITHIN:?}");
        }
        let now = server.sandboxes()?;
        let now = (now.count, now.pss_kib / 4096);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
