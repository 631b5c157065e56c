//! How looks are shown: lines for people. Pure.

use std::cmp::Reverse;
use std::time::Duration;

use clap::ValueEnum;
use record::metrics::quantile;

use super::look::{Figures, Look};

/// By what functions are ordered; all but names with the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Name.
    Name,
    /// Invocations.
    Invocations,
    /// Errors.
    Errors,
    /// Throttles.
    Throttles,
    /// Requests under way.
    Running,
    /// The 99th percentile of the duration.
    Duration,
    /// Cold starts.
    Cold,
    /// Memory.
    Memory,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The order.
    pub sort: Sort,
    /// Only functions whose name holds this.
    pub filter: String,
    /// Functions that are scrolled over.
    pub skip: usize,
}

/// Lines, without their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// About the whole server.
    pub about: Vec<String>,
    /// The columns' names.
    pub head: String,
    /// One a function.
    pub rows: Vec<String>,
}

/// A function as it is shown.
struct Row {
    name: String,
    figures: Figures,
    p50: Option<Duration>,
    p99: Option<Duration>,
}

/// Shows the newest look: from the start on, or since an earlier one some time ago.
pub fn lines(newest: &Look, earlier: Option<(&Look, Duration)>, view: &View) -> Lines {
    let seconds = earlier.map(|(_, ago)| ago.as_secs_f64().max(0.001));
    let rows = sorted(rows(newest, earlier.map(|(look, _)| look)), view);
    let cells: Vec<Vec<String>> =
        std::iter::once(head(seconds.is_some())).chain(rows.iter().map(|row| row.cells(seconds))).collect();
    let mut lines = columns(&cells).into_iter();
    Lines {
        about: about(newest, &rows, seconds),
        head: lines.next().unwrap_or_default(),
        rows: lines.collect(),
    }
}

fn rows(newest: &Look, earlier: Option<&Look>) -> Vec<Row> {
    let several = {
        let mut scopes: Vec<_> =
            newest.functions.keys().map(|[account, region, _]| (account, region)).collect();
        scopes.retain(|(account, _)| !account.is_empty());
        scopes.dedup();
        scopes.len() > 1
    };
    let row = |(key, figures): (&[Box<str>; 3], &Figures)| {
        let [account, region, function] = key;
        let name = if several && !account.is_empty() {
            format!("{account}/{region}/{function}")
        } else {
            function.to_string()
        };
        let figures = match earlier {
            // One that was not there has done everything since.
            Some(earlier) => figures.since(earlier.functions.get(key).unwrap_or(&Figures::default())),
            None => *figures,
        };
        let durations = figures.durations();
        // What a function calls itself must not drive the terminal.
        let name = name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        Row { name, figures, p50: quantile(&durations, 0.5), p99: quantile(&durations, 0.99) }
    };
    newest.functions.iter().map(row).collect()
}

fn sorted(mut rows: Vec<Row>, view: &View) -> Vec<Row> {
    rows.retain(|row| row.name.contains(&view.filter));
    let figure = |row: &Row| match view.sort {
        Sort::Name => 0,
        Sort::Invocations => row.figures.invocations,
        Sort::Errors => row.figures.errors,
        Sort::Throttles => row.figures.throttles,
        Sort::Running => row.figures.running,
        Sort::Duration => row.p99.map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        Sort::Cold => row.figures.cold_starts,
        Sort::Memory => row.figures.memory,
    };
    // Rows come by name, and equal ones stay so.
    rows.sort_by_key(|row| Reverse(figure(row)));
    rows
}

fn about(look: &Look, rows: &[Row], seconds: Option<f64>) -> Vec<String> {
    let sum = |of: fn(&Figures) -> u64| number(rows.iter().map(|row| of(&row.figures)).sum(), seconds);
    let unit = if seconds.is_some() { "/s" } else { "" };
    let [starting, idle, busy] = look.environments;
    let [open, most] = look.descriptors;
    vec![
        format!(
            "invocations {}{unit}   errors {}{unit}   throttles {}{unit}   running {}",
            sum(|figures| figures.invocations),
            sum(|figures| figures.errors),
            sum(|figures| figures.throttles),
            look.running,
        ),
        format!(
            "environments {} of {}: {busy} busy, {idle} idle, {starting} starting",
            starting + idle + busy,
            look.places
        ),
        format!(
            "server {}   launcher {}   descriptors {open} of {most}",
            bytes(look.server),
            bytes(look.launcher)
        ),
    ]
}

fn head(rates: bool) -> Vec<String> {
    let counts = if rates { ["INV/S", "ERR/S", "THR/S"] } else { ["INV", "ERR", "THR"] };
    let rest = [
        "RUN", "BUSY", "IDLE", "START", "P50", "P99", "COLD", "QUEUE", "SANDBOX", "INIT", "HANDLER", "EXT",
        "MEM",
    ];
    std::iter::once("FUNCTION").chain(counts).chain(rest).map(str::to_owned).collect()
}

impl Row {
    fn cells(&self, seconds: Option<f64>) -> Vec<String> {
        let Figures { invocations, errors, throttles, running, cold_starts, .. } = self.figures;
        let [starting, idle, busy] = self.figures.environments;
        let mut cells = vec![self.name.clone()];
        cells.extend([invocations, errors, throttles].map(|count| number(count, seconds)));
        cells.extend([running, busy, idle, starting].map(|count| count.to_string()));
        cells.extend([self.p50, self.p99].map(|shown| shown.map_or_else(|| "-".to_owned(), time)));
        cells.push(cold_starts.to_string());
        cells.extend(self.figures.phases.map(|sum| match cold_starts {
            0 => "-".to_owned(),
            count => time(Duration::from_secs_f64((sum / count as f64).max(0.0))),
        }));
        cells.push(bytes(self.figures.memory));
        cells
    }
}

/// A count, or how many of them a second.
fn number(count: u64, seconds: Option<f64>) -> String {
    match seconds.map(|seconds| count as f64 / seconds) {
        None => count.to_string(),
        Some(rate) if rate >= 100.0 || rate == 0.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 100.0 => format!("{seconds:.0}s"),
        seconds if seconds >= 1.0 => format!("{seconds:.1}s"),
        seconds if seconds >= 0.01 => format!("{:.0}ms", seconds * 1e3),
        seconds => format!("{:.1}ms", seconds * 1e3),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "-".to_owned(),
        bytes => format!("{}MB", bytes.div_ceil(1024 * 1024)),
    }
}

/// Names to the left and numbers to the right.
fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        })
        .collect()
}

#[cfg(test)]
mod tests;
