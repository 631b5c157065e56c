//! What one look at the server's metrics shows. Pure.

use std::collections::BTreeMap;

use record::metrics::{BOUNDS, BUCKETS};

/// One look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// By account, region and name.
    pub functions: BTreeMap<[Box<str>; 3], Figures>,
    /// All environments: starting, idle, busy.
    pub environments: [u64; 3],
    /// How many there may be.
    pub places: u64,
    /// What runs of all accounts.
    pub running: u64,
    /// Bytes of the server.
    pub server: u64,
    /// Bytes of the launcher.
    pub launcher: u64,
    /// Descriptors that the server holds, and may hold.
    pub descriptors: [u64; 2],
}

/// What one function shows, from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    pub invocations: u64,
    pub errors: u64,
    pub throttles: u64,
    pub cold_starts: u64,
    /// Requests that were admitted and are not over.
    pub running: u64,
    /// Environments: starting, idle, busy.
    pub environments: [u64; 3],
    /// The most memory that a report told of, in bytes.
    pub memory: u64,
    /// Seconds of all cold starts by phase: queue, sandbox, init, handler, extensions.
    pub phases: [f64; 5],
    /// Durations: how many were not longer than each bound.
    below: [u64; BUCKETS],
}

const STATES: [&str; 3] = ["starting", "idle", "busy"];
const PHASES: [&str; 5] = ["queue", "sandbox", "init", "handler", "extensions"];

impl Figures {
    /// What came since an earlier look; all of it, where the server began again meanwhile.
    pub fn since(&self, earlier: &Self) -> Self {
        if self.invocations < earlier.invocations || self.throttles < earlier.throttles {
            return *self;
        }
        let mut below = self.below;
        below.iter_mut().zip(earlier.below).for_each(|(now, then)| *now = now.saturating_sub(then));
        Self {
            invocations: self.invocations - earlier.invocations,
            errors: self.errors.saturating_sub(earlier.errors),
            throttles: self.throttles - earlier.throttles,
            below,
            ..*self
        }
    }

    /// Durations in each bucket.
    pub fn durations(&self) -> [u64; BUCKETS] {
        let mut before = 0;
        self.below.map(|below| {
            let count = below.saturating_sub(before);
            before = before.max(below);
            count
        })
    }

    fn enter(&mut self, sample: &Sample<'_>) {
        let whole = sample.value as u64;
        match sample.name {
            "samovar_function_invocations_total" => self.invocations = whole,
            "samovar_function_errors_total" => self.errors = whole,
            "samovar_function_throttles_total" => self.throttles = whole,
            "samovar_function_cold_starts_total" => self.cold_starts = whole,
            "samovar_function_concurrent_executions" => self.running = whole,
            "samovar_function_max_memory_used_bytes" => self.memory = whole,
            "samovar_function_environments" => {
                if let Some(place) = sample.place("state", &STATES) {
                    self.environments[place] = whole;
                }
            }
            "samovar_function_cold_start_seconds_total" => {
                if let Some(place) = sample.place("phase", &PHASES) {
                    self.phases[place] = sample.value;
                }
            }
            "samovar_function_duration_seconds_bucket" => {
                if let Some(place) = sample.label("le").and_then(bucket) {
                    self.below[place] = whole;
                }
            }
            _ => {}
        }
    }
}

/// Which bucket ends there; nothing for bounds that we do not have.
fn bucket(end: &str) -> Option<usize> {
    if end == "+Inf" {
        return Some(BOUNDS.len());
    }
    let micros = (end.parse::<f64>().ok()? * 1e6).round() as u64;
    BOUNDS.iter().position(|bound| *bound == micros)
}

/// One line of the text.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl<'a> Sample<'a> {
    /// Source: Prometheus documentation, "Exposition formats".
    fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while let Some((label, after)) = rest.split_once("=\"") {
                if label.contains('}') {
                    break;
                }
                let (text, after) = unquoted(after)?;
                labels.push((label.trim_start_matches(','), text));
                rest = after;
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self { name, labels, value })
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, text)| text.as_str())
    }

    fn place(&self, label: &str, of: &[&str]) -> Option<usize> {
        let text = self.label(label)?;
        of.iter().position(|known| *known == text)
    }
}

/// The text up to the closing quote, and what follows that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '"' => return Some((plain, &text[place + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => plain.push('\n'),
                letter => plain.push(letter),
            },
            letter => plain.push(letter),
        }
    }
    None
}

impl Look {
    /// Reads what the server wrote. What it does not know is left alone.
    pub fn read(text: &str) -> Self {
        let mut look = Self::default();
        for sample in text.lines().filter(|line| !line.starts_with('#')).filter_map(Sample::read) {
            look.enter(&sample);
        }
        look
    }

    fn enter(&mut self, sample: &Sample<'_>) {
        if let Some(function) = sample.label("function") {
            let text = |label| sample.label(label).unwrap_or_default().into();
            let key = [text("account"), text("region"), function.into()];
            return self.functions.entry(key).or_default().enter(sample);
        }
        let whole = sample.value as u64;
        match sample.name {
            "samovar_environments" => {
                if let Some(place) = sample.place("state", &STATES) {
                    self.environments[place] = whole;
                }
            }
            "samovar_environments_limit" => self.places = whole,
            "samovar_account_concurrent_executions" => self.running += whole,
            "process_resident_memory_bytes" => self.server = whole,
            "samovar_launcher_resident_memory_bytes" => self.launcher = whole,
            "process_open_fds" => self.descriptors[0] = whole,
            "process_max_fds" => self.descriptors[1] = whole,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_is_written() {
        let look = Look::read(
            "# HELP x y\n\
             samovar_function_invocations_total{account=\"1\",region=\"r\",function=\"f\"} 7\n\
             samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"f\",le=\"0.001\"} 3\n\
             samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"f\",le=\"0.002\"} 5\n\
             samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"f\",le=\"+Inf\"} 7\n\
             samovar_function_errors_total{account=\"\",region=\"\",function=\"a\\\\b\\\"}\\n\"} 2\n\
             samovar_environments{state=\"idle\"} 4\n\
             process_open_fds 12\n\
             nonsense\n",
        );
        let function = &look.functions[&["1".into(), "r".into(), "f".into()]];
        assert_eq!(function.invocations, 7);
        assert_eq!(function.durations()[3..5], [3, 2]);
        assert_eq!(function.durations()[BUCKETS - 1], 2);
        assert_eq!(look.functions[&["".into(), "".into(), "a\\b\"}\n".into()]].errors, 2);
        assert_eq!((look.environments, look.descriptors), ([0, 4, 0], [12, 0]));
    }

    #[test]
    fn a_server_that_began_again_is_not_compared() {
        let figures = |invocations| Figures { invocations, ..Figures::default() };
        assert_eq!(figures(7).since(&figures(5)).invocations, 2);
        assert_eq!(figures(3).since(&figures(5)).invocations, 3);
    }
}
