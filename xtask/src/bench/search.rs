//! How fast what was written is searched: filters, and queries.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::logs::{Flood, GROUP};
use super::table::Table;
use crate::server::Server;
use crate::shell::{quiet, step};

/// No line has this.
const TERM: &str = "kettle";
/// How often a query's result is asked for, and how long.
const ASK_EVERY: Duration = Duration::from_millis(5);
const QUERY_WITHIN: Duration = Duration::from_secs(120);

/// Searches a group for what is not there, and counts its lines.
pub fn run(server: &Server, flood: &Flood, table: &mut Table) -> Result<()> {
    let megabytes = flood.bytes as f64 / 1e6;
    let speed = |time: Duration| megabytes / time.as_secs_f64();
    let file = flood.file.to_str().context("a path in the cache")?;
    let mut client = Client::connect(&server.address)?;

    step(&format!("filtering {megabytes:.0} MB"));
    let (time, pages) = filter(&mut client)?;
    let grep = timed(Command::new("sh").args(["-c", "grep -c -F \"$0\" \"$1\" || true", TERM, file]))?;
    let row = format!("FilterLogEvents, no match in {megabytes:.0} MB ({pages} pages)");
    table.rate(&row, speed(time), speed(grep), "MB/s", "grep -c over the same bytes");

    step(&format!("counting {megabytes:.0} MB"));
    let (time, counted) = count(&mut client)?;
    if counted < flood.lines as u64 {
        bail!("the query counted {counted} lines of {}", flood.lines);
    }
    let wc = timed(Command::new("wc").args(["-l", file]))?;
    let row = format!("Insights, count of {counted} lines");
    table.rate(&row, speed(time), speed(wc), "MB/s", "wc -l over the same bytes");
    Ok(())
}

/// Pages to the end; gives how many pages there were.
fn filter(client: &mut Client) -> Result<(Duration, usize)> {
    let mut input = json!({ "logGroupName": GROUP, "filterPattern": TERM });
    let started = Instant::now();
    for pages in 1.. {
        let mut page = client.logs("FilterLogEvents", &input)?;
        if page["events"].as_array().is_some_and(|events| !events.is_empty()) {
            bail!("something has {TERM}: {}", page["events"][0]);
        }
        match page["nextToken"].take() {
            Value::Null => return Ok((started.elapsed(), pages)),
            token => input["nextToken"] = token,
        }
    }
    bail!("pages without end")
}

fn count(client: &mut Client) -> Result<(Duration, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let input = json!({
        "logGroupName": GROUP, "startTime": now - 3600, "endTime": now + 60,
        "queryString": "stats count(*) as lines",
    });
    let started = Instant::now();
    let query = client.logs("StartQuery", &input)?;
    while started.elapsed() < QUERY_WITHIN {
        let answer = client.logs("GetQueryResults", &json!({ "queryId": query["queryId"] }))?;
        match answer["status"].as_str() {
            Some("Complete") => {
                let time = started.elapsed();
                let lines = answer["results"][0][0]["value"].as_str().context("a count")?;
                return Ok((time, lines.parse()?));
            }
            Some("Scheduled" | "Running") => std::thread::sleep(ASK_EVERY),
            status => bail!("the query is {status:?}: {answer}"),
        }
    }
    bail!("the query was not answered within {QUERY_WITHIN:?}")
}

/// The second run, when the file is in memory as the log may be.
fn timed(command: &mut Command) -> Result<Duration> {
    quiet(command)?;
    let started = Instant::now();
    quiet(command)?;
    Ok(started.elapsed())
}
