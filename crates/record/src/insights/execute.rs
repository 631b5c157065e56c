//! Executing a plan over events, one by one, in bounded memory.

mod groups;
mod sorted;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::discover;
use super::plan::{Code, Plan, Stage};
use super::value::Value;
use super::{Event, QUERY_BYTES, QUERY_GROUPS, QUERY_SORTED_ROWS, Results};

use groups::Groups;
use sorted::Sorted;

/// The values of a row, by their slots.
type Slots = Box<[Value]>;

/// Why a query ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryLimit {
    /// Its rows and groups need more than [`QUERY_BYTES`].
    #[error("the query needs more than {} MiB of memory", QUERY_BYTES >> 20)]
    Bytes,
    /// It has more groups than [`QUERY_GROUPS`].
    #[error("the query has more than {QUERY_GROUPS} groups")]
    Groups,
    /// It sorts more rows than [`QUERY_SORTED_ROWS`] of which it needs all.
    #[error("the query sorts more than {QUERY_SORTED_ROWS} rows before it drops some")]
    Rows,
}

/// A query while it runs. A clone that is finished tells what has been found so far.
#[derive(Debug, Clone)]
pub struct Execution {
    plan: Arc<Plan>,
    states: Vec<State>,
    found: Vec<Slots>,
    /// Rows that are answered.
    rows: usize,
    matched: u64,
    budget: Budget,
    /// Of the row that is being read.
    scratch: Vec<Value>,
}

/// What a stage remembers.
#[derive(Debug, Clone)]
enum State {
    Nothing,
    Groups(Groups),
    Sorted(Sorted),
    /// Rows that may still pass.
    Left(usize),
    Last(VecDeque<Slots>),
    Seen(HashSet<Box<str>>),
}

/// Bytes in use.
#[derive(Debug, Clone, Default)]
struct Budget(usize);

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), QueryLimit> {
        self.0 += bytes;
        if self.0 > QUERY_BYTES { Err(QueryLimit::Bytes) } else { Ok(()) }
    }

    fn give(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }
}

impl Execution {
    pub(super) fn new(plan: Arc<Plan>, rows: usize) -> Self {
        let state = |stage: &Stage| match stage {
            Stage::Filter(_) | Stage::Set(..) | Stage::Parse { .. } => State::Nothing,
            Stage::Stats(_) => State::Groups(Groups::default()),
            Stage::Sort { bounded, .. } => State::Sorted(Sorted::new(bounded.map(|most| most.min(rows)))),
            Stage::Limit(count) => State::Left(*count),
            Stage::Tail(_) => State::Last(VecDeque::new()),
            Stage::Dedup(_) => State::Seen(HashSet::new()),
        };
        let states = plan.stages.iter().map(state).collect();
        let scratch = vec![Value::Missing; plan.width];
        Self { plan, states, found: Vec::new(), rows, matched: 0, budget: Budget::default(), scratch }
    }

    /// Takes an event; the latest is to come first.
    ///
    /// # Errors
    /// The query is too large. It cannot go on then.
    pub fn take(&mut self, event: &Event<'_>) -> Result<(), QueryLimit> {
        let plan = self.plan.clone();
        let mut row = std::mem::take(&mut self.scratch);
        row.fill(Value::Missing);
        discover::fill(&plan.early, event, &mut row);
        let wanted = plan.filters.iter().all(|filter| filter.holds(&row));
        let taken = if wanted {
            discover::fill(&plan.late, event, &mut row);
            self.push(&plan, 0, &mut row, true)
        } else {
            Ok(())
        };
        self.scratch = row;
        taken
    }

    /// Whether no further event can change the answer.
    pub fn is_full(&self) -> bool {
        let holds_back =
            |state: &State| matches!(state, State::Groups(_) | State::Sorted(_) | State::Last(_));
        let ends = self.states.iter().position(holds_back).unwrap_or(self.states.len());
        self.states[..ends].iter().any(|state| matches!(state, State::Left(0)))
            || (ends == self.states.len() && self.found.len() >= self.rows)
    }

    /// The answer, as far as events were taken.
    ///
    /// # Errors
    /// What was held back is too large for what follows.
    pub fn finish(mut self) -> Result<Results, QueryLimit> {
        let plan = self.plan.clone();
        for at in 0..plan.stages.len() {
            let state = std::mem::replace(&mut self.states[at], State::Nothing);
            match (state, &plan.stages[at]) {
                (State::Groups(groups), Stage::Stats(stats)) => {
                    for row in groups.rows(stats, plan.width) {
                        self.push(&plan, at + 1, &mut { row }, false)?;
                    }
                }
                (State::Sorted(sorted), Stage::Sort { keys, .. }) => {
                    for mut row in sorted.rows(keys) {
                        self.push(&plan, at + 1, &mut row, false)?;
                    }
                }
                (State::Last(rows), _) => {
                    for mut row in rows {
                        self.push(&plan, at + 1, &mut row, false)?;
                    }
                }
                _ => {}
            }
        }
        let row = |row: &Slots| {
            let there = plan.columns.iter().filter(|(_, slot)| !row[*slot].is_missing());
            there.map(|(name, slot)| (name.clone(), row[*slot].shown().into_owned())).collect()
        };
        Ok(Results { rows: self.found.iter().map(row).collect(), matched: self.matched })
    }

    /// Takes a row to the stages from `from` on, until one holds it back or it is found; `event` when it is one.
    fn push(&mut self, plan: &Plan, from: usize, row: &mut [Value], event: bool) -> Result<(), QueryLimit> {
        for (state, stage) in self.states[from..].iter_mut().zip(&plan.stages[from..]) {
            let held_back = match (stage, state) {
                (Stage::Filter(condition), _) if !condition.holds(row) => return Ok(()),
                (Stage::Set(slot, code), _) => {
                    row[*slot] = code.value(row);
                    false
                }
                (Stage::Parse { slot, extract, into }, _) => {
                    into.iter().for_each(|slot| row[*slot] = Value::Missing);
                    if let Value::Text(text) = row[*slot].clone() {
                        extract.cut(&text, |number, value| row[into[number]] = value);
                    }
                    false
                }
                (Stage::Limit(_), State::Left(left)) => {
                    if *left == 0 {
                        return Ok(());
                    }
                    *left -= 1;
                    false
                }
                (Stage::Dedup(keys), State::Seen(seen)) => {
                    if !is_new(keys, row, seen, &mut self.budget)? {
                        return Ok(());
                    }
                    false
                }
                (Stage::Stats(stats), State::Groups(groups)) => {
                    groups.take(stats, row, &mut self.budget)?;
                    true
                }
                (Stage::Sort { keys, .. }, State::Sorted(sorted)) => {
                    sorted.take(keys, row, &mut self.budget)?;
                    true
                }
                (Stage::Tail(count), State::Last(last)) => {
                    self.budget.take(bytes(row))?;
                    last.push_back(row.into());
                    if last.len() > *count {
                        let first = last.pop_front();
                        self.budget.give(first.map_or(0, |first| bytes(&first)));
                    }
                    true
                }
                _ => false,
            };
            if held_back {
                self.matched += u64::from(event);
                return Ok(());
            }
        }
        self.matched += u64::from(event);
        if self.found.len() < self.rows {
            self.budget.take(bytes(row))?;
            self.found.push(row.into());
        }
        Ok(())
    }
}

/// Whether these values come for the first time; rows without one of them are all new.
fn is_new(
    keys: &[Code],
    row: &[Value],
    seen: &mut HashSet<Box<str>>,
    budget: &mut Budget,
) -> Result<bool, QueryLimit> {
    let values: Vec<_> = keys.iter().map(|key| key.value(row)).collect();
    if values.iter().any(Value::is_missing) {
        return Ok(true);
    }
    let key = joined(&values);
    if seen.contains(&*key) {
        return Ok(false);
    }
    if seen.len() >= QUERY_GROUPS {
        return Err(QueryLimit::Groups);
    }
    budget.take(2 * size_of::<Box<str>>() + key.len())?;
    seen.insert(key);
    Ok(true)
}

/// A text that differs when the values do.
fn joined(values: &[Value]) -> Box<str> {
    let mut key = String::new();
    for value in values {
        let shown = match value {
            Value::Missing => {
                key.push('-');
                continue;
            }
            // The calendar is slow, and most groups are of time.
            Value::Time(millis) => millis.to_string().into(),
            value => value.shown(),
        };
        key.push_str(&shown.len().to_string());
        key.push(':');
        key.push_str(&shown);
    }
    key.into()
}

/// What a row takes, about.
fn bytes(row: &[Value]) -> usize {
    size_of::<Slots>() + row.iter().map(Value::bytes).sum::<usize>()
}
