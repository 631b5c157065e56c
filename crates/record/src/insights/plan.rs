//! What is to be done with each event, with every field at a slot of a row. Pure.

mod code;

use std::collections::HashMap;
use std::sync::Arc;

use super::QueryError;
use super::aggregate::Kind;
use super::discover::Source;
use super::parse::normal;
use super::syntax::{Command, Direction, Expression, Extract, Named};

pub use code::Code;

/// A query that can be executed.
#[derive(Debug)]
pub struct Plan {
    /// Slots of a row.
    pub width: usize,
    /// What the first filters read, and what is read of events that pass them.
    pub early: Vec<(usize, Source)>,
    pub late: Vec<(usize, Source)>,
    /// What an event must pass before anything else is done with it.
    pub filters: Vec<Code>,
    pub stages: Vec<Stage>,
    /// What is answered.
    pub columns: Vec<Column>,
}

/// A name and the slot of its value.
pub type Column = (Arc<str>, usize);

/// What happens to rows.
#[derive(Debug)]
pub enum Stage {
    Filter(Code),
    Set(usize, Code),
    Parse {
        slot: usize,
        extract: Extract,
        into: Vec<usize>,
    },
    Stats(Stats),
    /// `bounded`: no more rows than are answered, or than the limit after it, are needed.
    Sort {
        keys: Vec<(Code, Direction)>,
        bounded: Option<usize>,
    },
    Limit(usize),
    Tail(usize),
    Dedup(Vec<Code>),
}

/// Groups and their values.
#[derive(Debug)]
pub struct Stats {
    pub keys: Vec<(Code, usize)>,
    pub aggregates: Vec<(Kind, Option<Code>, usize)>,
    /// The slot of the time by which events are the earliest or latest.
    pub time: usize,
    /// Calculated from keys and aggregates.
    pub values: Vec<(Code, usize)>,
}

impl Plan {
    /// Whether the query says itself how many rows are answered.
    pub fn is_limited(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Limit(_) | Stage::Tail(_)))
    }

    /// Gives each field its slot.
    ///
    /// # Errors
    /// A function of `stats` where no `stats` made its value.
    pub fn make(commands: &[Command]) -> Result<Self, QueryError> {
        let mut planner = Planner::default();
        for command in commands {
            planner.command(command)?;
        }
        Ok(planner.finish())
    }
}

/// Which names mean what at this place of the query.
#[derive(Debug, Default)]
struct Names {
    slots: HashMap<String, usize>,
    /// Values of whole expressions, by their normal text.
    made: HashMap<String, usize>,
    /// Whether rows are no longer events, so that no other fields are to be found.
    closed: bool,
}

#[derive(Debug, Default)]
struct Planner {
    width: usize,
    sources: Vec<(usize, Source)>,
    names: Names,
    filters: Vec<Code>,
    stages: Vec<Stage>,
    columns: Vec<Column>,
    /// Columns were named, so the usual ones are not answered.
    chosen: bool,
    displayed: Option<Vec<Column>>,
}

impl Planner {
    fn command(&mut self, command: &Command) -> Result<(), QueryError> {
        match command {
            Command::Fields(list) => {
                self.chosen = true;
                for named in list {
                    let column = self.column(named)?;
                    self.columns.retain(|(name, _)| *name != column.0);
                    self.columns.push(column);
                }
            }
            Command::Display(list) => {
                let columns: Result<_, _> = list.iter().map(|named| self.column(named)).collect();
                self.displayed = Some(columns?);
            }
            Command::Filter(condition) => {
                let condition = self.code(condition)?;
                match self.stages.is_empty() {
                    true => self.filters.push(condition),
                    false => self.stages.push(Stage::Filter(condition)),
                }
            }
            Command::Parse { field, extract } => {
                let slot = self.field(field);
                let names = extract.names();
                let into: Vec<_> = names.iter().map(|name| self.new_field(name)).collect();
                for (name, slot) in names.iter().zip(&into) {
                    self.columns.retain(|(other, _)| **other != **name);
                    self.columns.push(((*name).into(), *slot));
                }
                self.stages.push(Stage::Parse { slot, extract: extract.clone(), into });
            }
            Command::Stats { values, by } => self.stats(values, by)?,
            Command::Sort(keys) => {
                let keys: Result<Vec<_>, _> =
                    keys.iter().map(|(key, direction)| Ok((self.named(key)?, *direction))).collect();
                self.stages.push(Stage::Sort { keys: keys?, bounded: None });
            }
            Command::Limit(count) => self.stages.push(Stage::Limit(*count)),
            Command::Tail(count) => self.stages.push(Stage::Tail(*count)),
            Command::Dedup(list) => {
                let keys: Result<_, _> = list.iter().map(|named| self.named(named)).collect();
                self.stages.push(Stage::Dedup(keys?));
            }
        }
        Ok(())
    }

    fn stats(&mut self, values: &[Named], by: &[Named]) -> Result<(), QueryError> {
        let mut keys = Vec::new();
        for named in by {
            keys.push((self.named(named)?, self.slot()));
        }
        let mut names = Names { closed: true, ..Names::default() };
        let mut aggregates = Vec::new();
        for named in values {
            for (kind, argument, text) in code::aggregates(&named.expression) {
                if names.made.contains_key(text) {
                    continue;
                }
                let argument = argument.map(|argument| self.code(argument)).transpose()?;
                let slot = self.slot();
                aggregates.push((kind, argument, slot));
                names.made.insert(text.into(), slot);
            }
        }
        let time = self.field("@timestamp");
        self.columns.clear();
        for (named, (_, slot)) in by.iter().zip(&keys) {
            names.slots.insert(named.name.clone(), *slot);
            names.made.insert(normal(&named.name), *slot);
            self.columns.push((named.name.as_str().into(), *slot));
        }
        self.names = names;
        let mut made = Vec::new();
        for named in values {
            let (code, slot) = (self.code(&named.expression)?, self.slot());
            self.names.slots.insert(named.name.clone(), slot);
            self.names.made.insert(normal(&named.name), slot);
            self.columns.push((named.name.as_str().into(), slot));
            made.push((code, slot));
        }
        (self.chosen, self.displayed) = (true, None);
        self.stages.push(Stage::Stats(Stats { keys, aggregates, time, values: made }));
        Ok(())
    }

    fn finish(mut self) -> Plan {
        let is_events = !self.names.closed;
        let mut columns = self.displayed.take().unwrap_or_default();
        if columns.is_empty() {
            if !self.chosen {
                columns = ["@timestamp", "@message"].map(|name| (name.into(), self.field(name))).into();
            }
            columns.append(&mut self.columns);
        }
        if is_events && !columns.iter().any(|(name, _)| &**name == "@ptr") {
            columns.push(("@ptr".into(), self.field("@ptr")));
        }
        self.bound_sorts();
        let mut read = Vec::new();
        self.filters.iter().for_each(|filter| filter.slots(&mut read));
        let (early, late) = self.sources.into_iter().partition(|(slot, _)| read.contains(slot));
        let Self { width, filters, stages, .. } = self;
        Plan { width, early, late, filters, stages, columns }
    }

    /// A sort whose rows are only cut off after it needs to keep no more than that many.
    fn bound_sorts(&mut self) {
        for at in 0..self.stages.len() {
            let kept = |stage: &Stage| match stage {
                Stage::Set(..) | Stage::Parse { .. } => None,
                Stage::Limit(count) => Some(Some(*count)),
                _ => Some(None),
            };
            let after = self.stages[at + 1..].iter().find_map(kept).unwrap_or(Some(super::QUERY_ROWS_MOST));
            if let Stage::Sort { bounded, .. } = &mut self.stages[at] {
                *bounded = after;
            }
        }
    }

    /// Makes a column's value when it is not a field as it is.
    fn column(&mut self, named: &Named) -> Result<Column, QueryError> {
        let slot = match self.named(named)? {
            Code::Slot(slot) => slot,
            code => {
                let slot = self.slot();
                self.stages.push(Stage::Set(slot, code));
                slot
            }
        };
        self.names.slots.insert(named.name.clone(), slot);
        self.names.made.insert(normal(&named.name), slot);
        Ok((named.name.as_str().into(), slot))
    }

    /// The value of an expression that may have been made before, by its text.
    fn named(&mut self, named: &Named) -> Result<Code, QueryError> {
        match self.names.made.get(&normal(&named.name)) {
            Some(slot) if !matches!(named.expression, Expression::Field(_)) => Ok(Code::Slot(*slot)),
            _ => self.code(&named.expression),
        }
    }

    fn field(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.slots.get(name) {
            return *slot;
        }
        let slot = self.new_field(name);
        if !self.names.closed {
            self.sources.push((slot, Source::of(name)));
        }
        slot
    }

    fn new_field(&mut self, name: &str) -> usize {
        let slot = self.slot();
        self.names.slots.insert(name.into(), slot);
        slot
    }

    fn slot(&mut self) -> usize {
        self.width += 1;
        self.width - 1
    }
}
