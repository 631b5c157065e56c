//! Following: Live Tail sessions, each in a task, whose news the command prints.
//!
//! A session that begins is followed by reading history from shortly before the newest known event on, so
//! nothing falls between; what is told twice is left out ([`super::seen`]). The same happens when the server
//! says that it left events out, and after each reconnection. A peer without Live Tail is polled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Show;
use super::source::{Source, Wanted, open_ended};
use crate::cli::client::logs::{Event, LIVE_GROUPS, Live};
use crate::cli::client::{Api, ApiError};

/// How often a peer without Live Tail is asked, and how often one asks for a group that is not there yet.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How long to wait before a lost server is tried again: at first, and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);
/// How often one looks for new groups whose names match.
const DISCOVER_EVERY: Duration = Duration::from_secs(2);
/// How long after a session's begin history is read once more: what was told just before may not have been stored yet.
/// What functions write is, within a second.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How often groups are polled for which the server has no session left.
const POLL_CROWDED: Duration = Duration::from_secs(1);
/// Messages of all sessions that may wait to be printed.
const NEWS_ROOM: usize = 64;

/// What a session's task tells.
enum News {
    /// Live events of these groups begin.
    Begun(Vec<String>),
    /// Events of these groups may have been missed.
    Missed(Vec<String>),
    /// New events.
    Events(Vec<Event>),
    /// The server does not answer.
    Gone,
    /// It is of no use to try again.
    Failed(anyhow::Error),
}

/// Prints what is written from now on, until the reader or the user has enough.
pub async fn run(show: &mut Show, api: &Arc<Api>, wanted: &[Wanted]) -> Result<()> {
    let (sender, mut news) = mpsc::channel(NEWS_ROOM);
    let open: Vec<Wanted> = wanted.iter().filter_map(Wanted::open).collect();
    let sources: Vec<Source> = show.sources().cloned().collect();
    start(api, sources.iter(), show.pattern(), &sender).await?;
    let mut discover = tokio::time::interval(DISCOVER_EVERY);
    let mut owed = BTreeSet::new();
    let mut is_gone = false;
    loop {
        tokio::select! {
            Some(one) = news.recv() => match one {
                News::Begun(groups) => {
                    if std::mem::take(&mut is_gone) {
                        eprintln!("samovar: the server is back");
                    }
                    show.live_begins(&groups);
                    owed.extend(groups);
                }
                News::Missed(groups) => owed.extend(groups),
                News::Events(events) => show.live(&events)?,
                News::Gone => {
                    if !std::mem::replace(&mut is_gone, true) {
                        eprintln!("samovar: the server does not answer; waiting for it");
                    }
                }
                News::Failed(error) => return Err(error),
            },
            _ = discover.tick(), if !open.is_empty() => {
                let new = discovered(show, api, &open).await;
                start(api, new.iter(), show.pattern(), &sender).await?;
            }
            () = sleep(POLL_EVERY), if !owed.is_empty() => {}
        }
        if !owed.is_empty() {
            match show.catch_up(api, &owed).await {
                Ok(()) => owed.clear(),
                Err(error) if is_lasting(&error) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

/// Sources that came to be meanwhile; none when the server does not answer.
async fn discovered(show: &mut Show, api: &Api, open: &[Wanted]) -> Vec<Source> {
    let mut new = Vec::new();
    for wanted in open {
        let found = open_ended(api, wanted).await.unwrap_or_default();
        new.extend(found.into_iter().filter(|source| show.add(source.clone())));
    }
    new
}

/// Starts a task for every ten groups that are there, and one for each that is not.
async fn start(
    api: &Arc<Api>,
    sources: impl Iterator<Item = &Source>,
    pattern: Option<&str>,
    news: &mpsc::Sender<News>,
) -> Result<()> {
    let groups: BTreeSet<&str> = sources.map(|source| source.group.as_str()).collect();
    let mut there = Vec::new();
    let mut parts = Vec::new();
    for group in groups {
        match arn(api, group).await {
            Ok(Some(_)) => there.push(group.to_owned()),
            Err(error) if is_lasting(&error) => return Err(error),
            // Its task waits for the group, or for a server that went away just now.
            Ok(None) | Err(_) => parts.push(vec![group.to_owned()]),
        }
    }
    parts.extend(there.chunks(LIVE_GROUPS).map(<[String]>::to_vec));
    for groups in parts {
        let session =
            Session { api: api.clone(), groups, pattern: pattern.map(str::to_owned), news: news.clone() };
        tokio::spawn(session.run());
    }
    Ok(())
}

struct Session {
    api: Arc<Api>,
    groups: Vec<String>,
    pattern: Option<String>,
    news: mpsc::Sender<News>,
}

/// The command ends: nobody takes news any more.
struct Ended;

impl Session {
    /// Goes on until the command ends.
    async fn run(self) {
        let mut wait = RETRY_FIRST;
        loop {
            match self.once(&mut wait).await {
                Ok(Ok(())) => {}
                Ok(Err(Ended)) => return,
                Err(error) if is_lasting(&error) => {
                    let _ = self.news.send(News::Failed(error)).await;
                    return;
                }
                Err(_) => {
                    if self.news.send(News::Gone).await.is_err() {
                        return;
                    }
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY_MOST);
        }
    }

    /// One session, from its beginning to its end.
    async fn once(&self, wait: &mut Duration) -> Result<Result<(), Ended>> {
        let Some(arns) = self.arns().await? else {
            *wait = POLL_EVERY;
            return Ok(Ok(()));
        };
        let mut tail = match self.api.live_tail(&arns, self.pattern.as_deref()).await {
            Ok(Some(tail)) => tail,
            Ok(None) => return Ok(self.poll(POLL_EVERY).await),
            Err(error) if error.downcast_ref().is_some_and(ApiError::is_limit) => {
                return Ok(self.poll(POLL_CROWDED).await);
            }
            Err(error) => return Err(error),
        };
        while let Some(live) = tail.next().await? {
            *wait = RETRY_FIRST;
            let news = match live {
                Live::Started => {
                    self.look_again();
                    vec![News::Begun(self.groups.clone())]
                }
                Live::Events { events, sampled } => {
                    let missed = sampled.then(|| News::Missed(self.groups.clone()));
                    let events = (!events.is_empty()).then_some(News::Events(events));
                    events.into_iter().chain(missed).collect()
                }
            };
            for one in news {
                if self.news.send(one).await.is_err() {
                    return Ok(Err(Ended));
                }
            }
        }
        Ok(Ok(()))
    }

    /// `None` until all groups are there.
    async fn arns(&self) -> Result<Option<Vec<String>>> {
        let mut arns = Vec::new();
        for group in &self.groups {
            match arn(&self.api, group).await? {
                Some(arn) => arns.push(arn),
                None => return Ok(None),
            }
        }
        Ok(Some(arns))
    }

    async fn poll(&self, every: Duration) -> Result<(), Ended> {
        loop {
            self.news.send(News::Missed(self.groups.clone())).await.map_err(|_| Ended)?;
            sleep(every).await;
        }
    }

    fn look_again(&self) {
        let (groups, news) = (self.groups.clone(), self.news.clone());
        tokio::spawn(async move {
            sleep(SETTLED_AFTER).await;
            let _ = news.send(News::Missed(groups)).await;
        });
    }
}

async fn arn(api: &Api, group: &str) -> Result<Option<String>> {
    Ok(api.log_group(group).await?.map(|found| found.log_group_arn.unwrap_or(found.log_group_name)))
}

/// Whether the server understood and refuses: trying again gives the same.
fn is_lasting(error: &anyhow::Error) -> bool {
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        // Of standard output; those of a connection come wrapped, without a number.
        return error.raw_os_error().is_some();
    }
    error.downcast_ref::<ApiError>().is_some_and(|error| {
        error.status.is_client_error()
            && error.status != http::StatusCode::TOO_MANY_REQUESTS
            && !error.is_missing()
    })
}
