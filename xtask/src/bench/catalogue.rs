//! What a full catalogue costs: lists and lookups with many functions of many versions, memory, and the start.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::client::{Client, Function};
use super::scale::{self, MANY};
use super::table::{Table, Times};
use super::together;
use crate::server::Server;
use crate::shell::step;

/// Versions of each function.
const VERSIONS: usize = 10;
/// Connections that publish: commits of one moment share an fsync.
const FLIGHT: usize = 32;
/// Calls of each lookup.
const CALLS: usize = 4_000;
/// Starts that are timed.
const STARTS: usize = 5;
/// Functions on a page. Source: Lambda API reference, ListFunctions.
const PAGE: usize = 50;
/// How often one tries again while a function is being updated.
const TRIES: usize = 500;
const TRY_EVERY: Duration = Duration::from_millis(5);

/// What stands before the next page's marker; markers need no escapes.
const MARKER: &str = "\"NextMarker\":\"";

const NAME: &str = "bench-catalogue";
const EMPTY: &str = "bench-catalogue-empty";
const ALIAS: &str = "live";
const PYTHON_ECHO: &str = "def handler(event, context):\n    return event\n";

/// Fills a catalogue over HTTP, asks it, and starts with it.
pub fn run(binary: &Path, table: &mut Table) -> Result<()> {
    let server = Server::start(binary, NAME, None, &[])?;
    step(&format!("creating {MANY} functions"));
    let started = Instant::now();
    scale::create(&server, &Function::python(PYTHON_ECHO)?, 0..MANY)?;
    note_rate(table, "creating functions over HTTP", MANY, started);
    let versions = fill(&server, table)?;
    let with = format!("{MANY} functions of {versions} versions");
    table.note(&format!("memory, {with}"), &server.memory()?.to_string());

    step(&format!("asking a catalogue of {with}"));
    let mut client = Client::connect(&server.address)?;
    let floor = times(&mut client, |client, _| client.timed_health())?;
    table.row("the floor of these: GET /_samovar/health", &floor, &floor, "itself");
    for (what, address) in lookups(versions) {
        let times =
            times(&mut client, |client, number| client.timed_get(&address(number)).map(|(time, _)| time))?;
        table.row(what, &times, &floor, "GET /_samovar/health");
    }
    for (what, query, each) in [
        ("ListFunctions, a page", "", 1),
        ("ListFunctions with all versions, a page", "FunctionVersion=ALL&", versions + 1),
    ] {
        let times = Times::of(pages(&mut client, query, MANY * each)?);
        table.row(what, &times, &floor, "GET /_samovar/health");
    }
    drop(client);
    drop(server);
    starts(binary, &with, table)
}

/// The versions and an alias of each function; gives how many versions each has.
fn fill(server: &Server, table: &mut Table) -> Result<usize> {
    if Client::connect(&server.address)?.publish(&name(0), 1)?.is_none() {
        table.note("publishing versions", "is not built in this binary: functions alone are measured");
        return Ok(0);
    }
    step(&format!("publishing {VERSIONS} versions of each"));
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    together(server, FLIGHT, |client| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= MANY {
                return Ok(Vec::new());
            }
            // The first function has its first version from the question above.
            for version in (1..=VERSIONS).skip(usize::from(number == 0)) {
                client.publish(&name(number), version)?.context("the first was published")?;
            }
            client.alias(&name(number))?;
        }
    })?;
    note_rate(table, &format!("changing and publishing, {FLIGHT} at a time"), MANY * VERSIONS, started);
    Ok(VERSIONS)
}

fn note_rate(table: &mut Table, what: &str, count: usize, started: Instant) {
    table.note(what, &format!("{:.0}/s", count as f64 / started.elapsed().as_secs_f64()));
}

fn name(number: usize) -> String {
    format!("function-{:05}", number % MANY)
}

/// The address that is asked for a number.
type Address = Box<dyn Fn(usize) -> String>;

/// What is asked of one function, and under which address; the number spreads the calls over all of them.
fn lookups(versions: usize) -> Vec<(&'static str, Address)> {
    let function = |number: usize| format!("/2015-03-31/functions/{}", name(number));
    let mut lookups: Vec<(&'static str, Address)> = vec![
        ("GetFunction (target: p99 below 5 ms)", Box::new(function)),
        ("GetFunction of $LATEST", Box::new(move |number| function(number) + "?Qualifier=$LATEST")),
        ("GetFunctionConfiguration", Box::new(move |number| function(number) + "/configuration")),
    ];
    if versions > 0 {
        let version =
            move |number: usize| format!("{}?Qualifier={}", function(number), 1 + number % versions);
        lookups.push(("GetFunction of a version", Box::new(version)));
        lookups
            .push(("GetFunction of an alias", Box::new(move |number| function(number) + "?Qualifier=live")));
        lookups.push(("ListVersionsByFunction", Box::new(move |number| function(number) + "/versions")));
        lookups.push(("ListAliases", Box::new(move |number| function(number) + "/aliases")));
    }
    lookups
}

/// Of as many calls, each for another function than the one before.
fn times(client: &mut Client, call: impl Fn(&mut Client, usize) -> Result<Duration>) -> Result<Times> {
    // Coprime to the number of functions, so that all come in turn.
    (0..CALLS).map(|number| call(client, number * 7919)).collect::<Result<_>>().map(Times::of)
}

/// Every page of ListFunctions, which have so many entries together.
fn pages(client: &mut Client, query: &str, expected: usize) -> Result<Vec<Duration>> {
    let (mut times, mut pages, mut marker) = (Vec::new(), Vec::new(), String::new());
    loop {
        let (time, page) =
            client.timed_get(&format!("/2015-03-31/functions?{query}MaxItems={PAGE}{marker}"))?;
        times.push(time);
        let next = page.split_once(MARKER).and_then(|(_, rest)| rest.split_once('"'));
        let next = next.map(|(next, _)| format!("&Marker={next}"));
        pages.push(page);
        match next {
            Some(next) => marker = next,
            None => break,
        }
    }
    // Only now: between two calls it would take the processor that the server is to have.
    let mut listed = 0;
    for page in pages {
        listed += serde_json::from_str::<Value>(&page)?["Functions"].as_array().map_or(0, Vec::len);
    }
    ensure!(listed == expected, "all pages have {listed} entries instead of {expected}");
    Ok(times)
}

fn starts(binary: &Path, with: &str, table: &mut Table) -> Result<()> {
    step(&format!("starting with {with}"));
    drop(Server::start(binary, EMPTY, None, &[])?);
    let (mut full, mut empty, mut held) = (Vec::new(), Vec::new(), None);
    for _ in 0..STARTS {
        empty.push(scale::time_start(binary, EMPTY, 0)?.0);
        let (time, server) = scale::time_start(binary, NAME, PAGE)?;
        full.push(time);
        held = Some(server.memory()?);
    }
    let row = "start to the first page (target: below 2 s)";
    table.row(row, &Times::of(full), &Times::of(empty), "start with none");
    if let Some(held) = held {
        table.note("memory after a start", &held.to_string());
    }
    Ok(())
}

impl Client {
    /// An answer that must be a success, and how long it took to come.
    fn timed_get(&mut self, path: &str) -> Result<(Duration, String)> {
        let started = Instant::now();
        let (status, body) = self.ask("GET", path, b"")?;
        let time = started.elapsed();
        if status != 200 {
            bail!("{path} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok((time, String::from_utf8(body)?))
    }

    /// Changes a function and publishes what it is then; none when that is not built.
    fn publish(&mut self, name: &str, version: usize) -> Result<Option<()>> {
        let change = json!({ "Description": format!("the leaves of harvest {version}") });
        self.insist("PUT", &format!("/2015-03-31/functions/{name}/configuration"), &change)?;
        let path = format!("/2015-03-31/functions/{name}/versions");
        Ok((self.insist("POST", &path, &json!({}))? != 501).then_some(()))
    }

    fn alias(&mut self, name: &str) -> Result<()> {
        let alias = json!({ "Name": ALIAS, "FunctionVersion": "1" });
        self.insist("POST", &format!("/2015-03-31/functions/{name}/aliases"), &alias)?;
        Ok(())
    }

    /// Asks again while the function is being updated.
    fn insist(&mut self, method: &str, path: &str, input: &Value) -> Result<u16> {
        for _ in 0..TRIES {
            let (status, body) = self.ask(method, path, input.to_string().as_bytes())?;
            match status {
                409 => std::thread::sleep(TRY_EVERY),
                200 | 201 | 501 => return Ok(status),
                _ => bail!("{method} {path} answered {status}: {}", String::from_utf8_lossy(&body)),
            }
        }
        bail!("{path} is busy for too long")
    }
}
