//! `samovar top`: what functions do now, function by function.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use base::clock::{Clock, Timestamp};
use tokio::signal::unix::{SignalKind, signal};

use super::client::Api;
use super::{TopArgs, show};

mod look;
mod screen;
pub mod table;

use look::Look;
use screen::{Key, Screen};
use table::{Sort, View, lines};

/// Time over which rates and percentiles are told.
const WINDOW: Duration = Duration::from_secs(10);

/// Keys and what they order by.
const SORTS: [(char, Sort); 8] = [
    ('n', Sort::Name),
    ('i', Sort::Invocations),
    ('e', Sort::Errors),
    ('t', Sort::Throttles),
    ('r', Sort::Running),
    ('d', Sort::Duration),
    ('c', Sort::Cold),
    ('m', Sort::Memory),
];

/// Shows functions once, again and again, or live where a terminal reads.
pub async fn run(args: &TopArgs) -> Result<()> {
    let api = Api::new(&args.endpoint)?;
    let view = View { sort: args.sort, filter: args.filter.clone().unwrap_or_default(), skip: 0 };
    if args.once {
        let look = Look::read(&api.metrics().await?);
        return print(&look, None, &view);
    }
    let mut top = Top::new(api, view, args.interval);
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        top.live().await
    } else {
        tokio::select! {
            done = top.again_and_again() => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }
}

fn print(look: &Look, earlier: Option<(&Look, Duration)>, view: &View) -> Result<()> {
    let shown = lines(look, earlier, view);
    let mut text = String::new();
    for line in shown.about.iter().chain([&String::new(), &shown.head]).chain(&shown.rows) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    show(&text)
}

/// What was seen, and how it is shown.
struct Top {
    api: Api,
    view: View,
    interval: Duration,
    clock: Clock,
    /// The last looks, the oldest first; one of them at least as old as the window where there is one.
    looks: VecDeque<(Timestamp, Look)>,
    /// Why there was no look.
    trouble: Option<String>,
    /// Whether letters go to the filter.
    typing: bool,
}

impl Top {
    fn new(api: Api, view: View, interval: f64) -> Self {
        Self {
            api,
            view,
            interval: Duration::from_secs_f64(interval),
            clock: Clock::system(),
            looks: VecDeque::new(),
            trouble: None,
            typing: false,
        }
    }

    async fn look(&mut self) -> Result<()> {
        let text = self.api.metrics().await?;
        let now = self.clock.now();
        self.looks.push_back((now, Look::read(&text)));
        while self.looks.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.looks.pop_front();
        }
        Ok(())
    }

    /// The newest look, and the oldest that is in the window.
    fn newest(&self) -> Option<(&Look, Option<(&Look, Duration)>)> {
        let (now, newest) = self.looks.back()?;
        let (then, oldest) = self.looks.front()?;
        Some((newest, (then < now).then(|| (oldest, now.since(*then)))))
    }

    /// One table after another, for a reader that is no terminal.
    async fn again_and_again(&mut self) -> Result<()> {
        self.look().await?;
        loop {
            self.clock.sleep(self.interval).await;
            self.look().await?;
            if let Some((newest, earlier)) = self.newest() {
                print(newest, earlier, &self.view)?;
            }
            show("\n")?;
        }
    }

    async fn live(&mut self) -> Result<()> {
        // Where there is no server, the terminal stays as it is.
        self.look().await?;
        let mut screen = Screen::take()?;
        let mut resized = signal(SignalKind::window_change())?;
        let mut ended = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ];
        let mut due = self.clock.now() + self.interval;
        loop {
            screen.paint(&self.frame(screen.size()))?;
            let [terminate, interrupt, hangup] = &mut ended;
            tokio::select! {
                () = self.clock.sleep(due.since(self.clock.now())) => {
                    self.trouble = self.look().await.err().map(|error| format!("{error:#}"));
                    due = self.clock.now() + self.interval;
                }
                keys = screen.keys() => {
                    if keys.into_iter().any(|key| !self.pressed(key)) {
                        return Ok(());
                    }
                }
                _ = resized.recv() => {}
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    }

    /// Does what a key is for; false when that is the end.
    fn pressed(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => return false,
            Key::Up(rows) => self.view.skip = self.view.skip.saturating_sub(rows),
            Key::Down(rows) => self.view.skip += rows,
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.view.filter.clear();
            }
            Key::Back if self.typing => drop(self.view.filter.pop()),
            Key::Letter(letter) if self.typing => self.view.filter.push(letter),
            Key::Letter('q') => return false,
            Key::Letter('/') => self.typing = true,
            Key::Letter(letter) => {
                if let Some((_, sort)) = SORTS.iter().find(|(key, _)| *key == letter) {
                    self.view.sort = *sort;
                }
            }
            Key::Back => {}
        }
        true
    }

    /// The lines that fit.
    fn frame(&mut self, (width, height): (usize, usize)) -> Vec<String> {
        let Some((newest, earlier)) = self.newest() else { return Vec::new() };
        let shown = lines(newest, earlier, &self.view);
        let mut frame = shown.about;
        frame.push(self.prompt());
        frame.push(shown.head);
        let head = frame.len() - 1;
        let room = height.saturating_sub(frame.len() + 1);
        self.view.skip = self.view.skip.min(shown.rows.len().saturating_sub(room));
        let rows = shown.rows.into_iter().skip(self.view.skip).take(room);
        frame.extend(rows);
        frame.resize(height.saturating_sub(1), String::new());
        frame.push("sort: n i e t r d c m   / filter   arrows scroll   q quit".to_owned());
        frame.truncate(height);
        for (place, line) in frame.iter_mut().enumerate() {
            *line = line.chars().take(width).collect();
            if place == head {
                *line = format!("\x1b[7m{line:<width$}\x1b[0m");
            }
        }
        frame
    }

    fn prompt(&self) -> String {
        match &self.trouble {
            Some(trouble) => format!("! {trouble}"),
            None if self.typing => format!("filter: {}_", self.view.filter),
            None if self.view.filter.is_empty() => String::new(),
            None => format!("filter: {}", self.view.filter),
        }
    }
}
