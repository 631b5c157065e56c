//! `samovar logs`: what functions said, and go on saying.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Stdout};
use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::{Result, bail};
use base::clock::{Clock, Timestamp};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::oneshot;

use super::LogsArgs;
use super::client::Api;
use super::client::logs::Event;

mod follow;
mod history;
mod level;
mod print;
mod request;
mod seen;
mod source;
pub mod when;

use history::Selection;
use print::Printer;
use seen::Seen;
use source::{Source, Wanted, resolve};

/// Groups that one command reads.
const MOST_SOURCES: usize = 500;

/// Prints the wanted part of the logs; with `--follow`, goes on until it is ended.
pub async fn run(args: &LogsArgs) -> Result<()> {
    if !args.follow {
        return Box::pin(show(args)).await;
    }
    tokio::select! {
        done = Box::pin(show(args)) => done,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = reader_gone() => Ok(()),
    }
}

async fn show(args: &LogsArgs) -> Result<()> {
    let api = Arc::new(Api::new(&args.endpoint)?);
    let wanted = match args.all {
        true => vec![Wanted::Groups(String::new())],
        false => args.names.iter().map(|name| Wanted::read(name)).collect::<Result<_>>()?,
    };
    let sources = resolve(&api, &wanted).await?;
    if sources.is_empty() && !args.follow {
        bail!("nothing has written a log that matches {}", if args.all { "--all" } else { &args.names[0] });
    }
    let mut show = Show::new(args, sources)?;
    let printed = match &args.request_id {
        Some(id) => show.request(&api, id).await?,
        None => show.history(&api, args.tail).await?,
    };
    match (printed, &args.request_id) {
        (false, Some(id)) => bail!("no log that was read tells of the request {id}"),
        (false, None) if !args.follow => eprintln!("samovar: there are no lines to show"),
        _ => {}
    }
    if args.follow {
        follow::run(&mut show, &api, &wanted).await?;
    }
    Ok(())
}

/// Sources, what is known of each, and where it is printed.
pub struct Show {
    printer: Printer<BufWriter<Stdout>>,
    selection: Selection,
    /// The first millisecond that is of interest.
    from: i64,
    tracked: Vec<(Source, Seen)>,
    /// Which sources read a group.
    by_group: HashMap<String, Vec<usize>>,
}

impl Show {
    fn new(args: &LogsArgs, sources: BTreeSet<Source>) -> Result<Self> {
        if sources.len() > MOST_SOURCES {
            bail!("{} logs match; one command reads {MOST_SOURCES} at most", sources.len());
        }
        let now = Clock::system().now();
        let millis = |when: when::When| when.seen_from(now).as_millis();
        let mut from = args.since.map(millis).unwrap_or_default();
        if args.tail == Some(0) {
            from = from.max(Timestamp::as_millis(now));
        }
        let selection = Selection {
            pattern: args.filter.clone(),
            stream: args.stream.clone(),
            until: args.until.map(millis),
        };
        let mut show = Self {
            printer: Printer::new(args),
            selection,
            from,
            tracked: Vec::new(),
            by_group: HashMap::new(),
        };
        for source in sources {
            show.add(source);
        }
        Ok(show)
    }

    /// The sources, in the order of their numbers.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &Source> {
        self.tracked.iter().map(|(source, _)| source)
    }

    /// The filter pattern, for Live Tail.
    pub fn pattern(&self) -> Option<&str> {
        self.selection.pattern.as_deref()
    }

    /// Whether the source is a new one.
    pub fn add(&mut self, source: Source) -> bool {
        if self.tracked.len() >= MOST_SOURCES || self.sources().any(|known| *known == source) {
            return false;
        }
        self.by_group.entry(source.group.clone()).or_default().push(self.tracked.len());
        self.tracked.push((source, Seen::from(self.from)));
        self.printer.make_room_for(self.tracked.iter().map(|(source, _)| source));
        true
    }

    /// Prints everything, or the last `tail` lines; gives whether there was anything.
    async fn history(&mut self, api: &Api, tail: Option<usize>) -> Result<bool> {
        match tail {
            None => self.read(api, &(0..self.tracked.len()).collect::<Vec<_>>()).await,
            Some(0) => Ok(true),
            Some(count) => {
                let last = history::last(api, &self.numbered(), &self.selection, count).await?;
                // What was left out, of the same millisecond too, stays so when history is read again.
                if let Some((_, first)) = last.first().filter(|_| last.len() >= count) {
                    let from = first.timestamp.saturating_add(1);
                    self.tracked.iter_mut().for_each(|(_, seen)| *seen = Seen::from(from));
                }
                self.print_all(&last)
            }
        }
    }

    async fn request(&mut self, api: &Api, id: &str) -> Result<bool> {
        let lines = request::read(api, &self.numbered(), self.selection.until, id).await?;
        self.print_all(&lines)
    }

    fn print_all(&mut self, lines: &[(usize, Event)]) -> Result<bool> {
        for (number, event) in lines {
            let (source, seen) = &mut self.tracked[*number];
            seen.is_new_in_history(event);
            self.printer.event(*number, source, event)?;
        }
        self.printer.flush()?;
        Ok(!lines.is_empty())
    }

    fn numbered(&self) -> Vec<(usize, &Source, i64)> {
        self.tracked
            .iter()
            .enumerate()
            .map(|(number, (source, seen))| (number, source, seen.since()))
            .collect()
    }

    /// Prints what these sources' histories have that was not printed.
    async fn read(&mut self, api: &Api, numbers: &[usize]) -> Result<bool> {
        let mut printed = false;
        let sources: Vec<Source> = numbers.iter().map(|number| self.tracked[*number].0.clone()).collect();
        let mut asked = Vec::new();
        for (number, source) in numbers.iter().zip(&sources) {
            let seen = &mut self.tracked[*number].1;
            seen.history_begins();
            asked.push((*number, source, seen.since()));
        }
        let (printer, tracked) = (&mut self.printer, &mut self.tracked);
        history::read(api, &asked, &self.selection, |number, event| {
            let (source, seen) = &mut tracked[number];
            if seen.is_new_in_history(event) {
                printed = true;
                printer.event(number, source, event)?;
            }
            Ok(())
        })
        .await?;
        self.printer.flush()?;
        Ok(printed)
    }

    /// Reads history again where it may have gone on unseen.
    pub async fn catch_up(&mut self, api: &Api, groups: &BTreeSet<String>) -> Result<()> {
        let numbers: Vec<usize> =
            groups.iter().filter_map(|group| self.by_group.get(group)).flatten().copied().collect();
        self.read(api, &numbers).await?;
        Ok(())
    }

    /// Live events of these groups begin.
    pub fn live_begins(&mut self, groups: &[String]) {
        for number in groups.iter().filter_map(|group| self.by_group.get(group)).flatten() {
            self.tracked[*number].1.live_begins();
        }
    }

    /// Prints live events.
    pub fn live(&mut self, events: &[Event]) -> Result<()> {
        let stream = self.selection.stream.as_deref().unwrap_or_default();
        for event in events.iter().filter(|event| event.log_stream_name.starts_with(stream)) {
            let group = group_of(event.log_group_identifier.as_deref().unwrap_or_default());
            for number in self.by_group.get(group).into_iter().flatten() {
                let (source, seen) = &mut self.tracked[*number];
                if source.has(event) && seen.is_new_live(event) {
                    self.printer.event(*number, source, event)?;
                }
            }
        }
        self.printer.flush()
    }
}

/// The group's name in an ARN, in `<account>:<name>`, or alone.
fn group_of(identifier: &str) -> &str {
    match identifier.split_once(":log-group:") {
        Some((_, name)) => name.trim_end_matches(":*"),
        None => identifier.rsplit(':').next().unwrap_or_default(),
    }
}

/// Waits until nobody reads standard output any more, which writing alone would show with the next line only.
async fn reader_gone() {
    let (tell, told) = oneshot::channel::<()>();
    // A thread of its own: a regular file as output never ends its wait, and must not keep the process.
    std::thread::spawn(move || {
        let out = std::io::stdout();
        let mut watched = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
        while poll(&mut watched, None).is_err() {}
        let _ = tell.send(());
    });
    let _ = told.await;
}
