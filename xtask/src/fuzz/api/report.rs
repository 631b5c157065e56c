//! What a run has found out, as people read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::client::{Answer, Silence};
use super::judge::Outcome;
use super::request::{Kind, Request};
use super::world::Service;

/// Bytes that are shown of a body.
const SHOWN: usize = 3_000;
/// Characters that are kept of a refusal.
const REFUSAL: usize = 200;
/// Findings of which the whole request is shown.
const WHOLE: usize = 40;

/// Everything that was counted and found.
#[derive(Default)]
pub struct Report {
    outcomes: BTreeMap<(String, Outcome), u64>,
    /// Valid requests, and those of them that the front end refused.
    valid: (u64, u64),
    /// What valid requests were refused with, by operation.
    refusals: BTreeMap<String, BTreeMap<String, u64>>,
    findings: BTreeMap<String, Finding>,
}

struct Finding {
    times: u64,
    text: String,
}

impl Report {
    pub fn count(&mut self, request: &Request, outcome: Outcome, came: &Result<Answer, Silence>) {
        *self.outcomes.entry((name(request), outcome)).or_default() += 1;
        if request.kind != Kind::Valid {
            return;
        }
        self.valid.0 += 1;
        self.valid.1 += u64::from(outcome == Outcome::Invalid);
        if let (Outcome::Invalid | Outcome::Refused | Outcome::Unbuilt, Ok(answer)) = (outcome, came) {
            let said: String = String::from_utf8_lossy(&answer.body).chars().take(REFUSAL).collect();
            *self.refusals.entry(name(request)).or_default().entry(said).or_default() += 1;
        }
    }

    /// Something is wrong. What is wrong in the same way is kept once.
    pub fn find(&mut self, number: u64, request: &Request, came: &Result<Answer, Silence>, wrong: &str) {
        let told =
            |wrong: &str| wrong.chars().filter(|char| !char.is_ascii_digit()).take(160).collect::<String>();
        let key = format!("{}: {}", name(request), told(wrong));
        let finding = self.findings.entry(key).or_insert_with(|| Finding {
            times: 0,
            text: format!("{wrong}\n{}", shown(number, request, came)),
        });
        finding.times += 1;
    }

    /// Something is wrong with the server itself.
    pub fn note(&mut self, wrong: String) {
        self.findings.entry(wrong.clone()).or_insert(Finding { times: 0, text: wrong }).times += 1;
    }

    pub fn merge(&mut self, other: Self) {
        for (key, count) in other.outcomes {
            *self.outcomes.entry(key).or_default() += count;
        }
        self.valid = (self.valid.0 + other.valid.0, self.valid.1 + other.valid.1);
        for (operation, refusals) in other.refusals {
            let known = self.refusals.entry(operation).or_default();
            for (said, count) in refusals {
                *known.entry(said).or_default() += count;
            }
        }
        for (key, finding) in other.findings {
            match self.findings.entry(key) {
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    known.get_mut().times += finding.times
                }
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(finding)),
            }
        }
    }

    /// How many of a hundred valid requests the front end refused.
    pub fn invalid_percent(&self) -> f64 {
        self.valid.1 as f64 * 100.0 / self.valid.0.max(1) as f64
    }

    /// Things that are wrong, each counted once.
    pub fn found(&self) -> usize {
        self.findings.len()
    }

    /// How requests ended, and which of these operations never worked, with what they mostly said.
    pub fn summary(&self, services: &[Service]) -> String {
        let mut text = String::new();
        for outcome in
            [Outcome::Success, Outcome::Refused, Outcome::Invalid, Outcome::Unbuilt, Outcome::Unknown]
        {
            let count: u64 =
                self.outcomes.iter().filter(|((_, one), _)| *one == outcome).map(|(_, count)| count).sum();
            let _ = write!(text, "{outcome:?} {count}   ");
        }
        let _ = write!(text, "valid ones refused by the front end {:.2} %", self.invalid_percent());
        let built = services.iter().flat_map(|service| {
            service.built.operations.iter().map(|operation| format!("{}.{operation}", service.name))
        });
        for name in built.filter(|name| !self.outcomes.contains_key(&(name.clone(), Outcome::Success))) {
            let why = self.refusals.get(&name).and_then(|said| said.iter().max_by_key(|(_, count)| **count));
            let why = why.map_or("never asked validly", |(said, _)| said.as_str());
            let _ = write!(text, "\n  {name} never worked: {why}");
        }
        text
    }

    /// All findings, the first of them with their requests.
    pub fn findings(&self) -> String {
        let mut text = format!("{} findings\n", self.findings.len());
        for (at, (key, finding)) in self.findings.iter().enumerate() {
            let whole = if at < WHOLE { &finding.text } else { key };
            let _ = writeln!(text, "---- {} times: {whole}", finding.times);
        }
        text
    }
}

/// Two services may have operations of one name.
fn name(request: &Request) -> String {
    format!("{}.{}", request.service, request.operation)
}

/// A request and its answer.
pub fn shown(number: u64, request: &Request, came: &Result<Answer, Silence>) -> String {
    let mut text = format!("request {number}, {:?}, for {}\n", request.kind, request.operation);
    text += &cut(&request.bytes());
    match came {
        Ok(answer) => {
            let _ = write!(text, "\nanswer {} {:?}\n{}", answer.status, answer.headers, cut(&answer.body));
        }
        Err(silence) => {
            let _ = write!(text, "\n{silence}");
        }
    }
    text
}

fn cut(bytes: &[u8]) -> String {
    let more = bytes.len().saturating_sub(SHOWN);
    let text =
        bytes[..bytes.len() - more].escape_ascii().to_string().replace("\\r\\n", "\n").replace("\\\"", "\"");
    if more == 0 { text } else { format!("{text}... and {more} bytes more") }
}
