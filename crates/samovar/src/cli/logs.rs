//! `samovar logs`: what a function said, and goes on saying.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::LogsArgs;
use super::client::{Api, ApiError};

/// How often a followed log is asked for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// Events this long after the newest seen one may still come in out of order.
const OVERLAP_MILLIS: i64 = 5_000;

/// Prints the whole log; with `--follow`, goes on until it is ended.
pub async fn run(args: &LogsArgs) -> Result<()> {
    let api = Api::new(&args.endpoint)?;
    let group =
        if args.name.starts_with('/') { args.name.clone() } else { format!("/aws/lambda/{}", args.name) };
    let mut seen = Seen::default();
    loop {
        match page_through(&api, &group, &mut seen).await {
            // A function that was never invoked has no group yet; a follower waits for it.
            Err(error) if args.follow && is_missing(&error) => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.code == "ResourceNotFoundException")
}

/// What was printed already, as far back as events may still arrive late.
#[derive(Default)]
struct Seen {
    newest: i64,
    ids: HashSet<String>,
    recent: Vec<(i64, String)>,
}

impl Seen {
    fn is_new(&mut self, id: &str, timestamp: i64) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.recent.push((timestamp, id.to_owned()));
        self.newest = self.newest.max(timestamp);
        true
    }

    fn forget_old(&mut self) {
        let since = self.since();
        let ids = &mut self.ids;
        self.recent.retain(|(timestamp, id)| *timestamp >= since || !ids.remove(id));
    }

    fn since(&self) -> i64 {
        (self.newest - OVERLAP_MILLIS).max(0)
    }
}

async fn page_through(api: &Api, group: &str, seen: &mut Seen) -> Result<()> {
    let since = seen.since();
    let mut token: Option<String> = None;
    loop {
        let page = api.filter_log_events(group, since, token.as_deref()).await?;
        let mut out = std::io::stdout().lock();
        for event in page["events"].as_array().into_iter().flatten() {
            let (id, timestamp) =
                (event["eventId"].as_str().unwrap_or_default(), event["timestamp"].as_i64());
            if seen.is_new(id, timestamp.unwrap_or_default()) {
                print(&mut out, event)?;
            }
        }
        out.flush()?;
        token = page["nextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    seen.forget_old();
    Ok(())
}

fn print(out: &mut impl Write, event: &Value) -> Result<()> {
    let at = base::clock::Timestamp::from_millis(event["timestamp"].as_i64().unwrap_or_default());
    writeln!(out, "{at} {}", event["message"].as_str().unwrap_or_default().trim_end())?;
    Ok(())
}
