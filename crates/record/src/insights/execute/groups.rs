//! The groups of a `stats`.

use std::collections::HashMap;

use super::{Budget, QUERY_GROUPS, QueryLimit, joined};
use crate::insights::aggregate::Aggregate;
use crate::insights::plan::Stats;
use crate::insights::value::Value;

/// Groups in the order in which they were first seen.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    places: HashMap<Box<str>, usize>,
    groups: Vec<(Vec<Value>, Vec<Aggregate>)>,
}

impl Groups {
    /// Counts a row into its group.
    pub fn take(&mut self, stats: &Stats, row: &[Value], budget: &mut Budget) -> Result<(), QueryLimit> {
        let values: Vec<_> = stats.keys.iter().map(|(key, _)| key.value(row)).collect();
        let key = joined(&values);
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                if self.groups.len() >= QUERY_GROUPS {
                    return Err(QueryLimit::Groups);
                }
                let size = 4 * key.len() + size_of::<Aggregate>() * stats.aggregates.len();
                budget.take(size + values.iter().map(Value::bytes).sum::<usize>())?;
                self.places.insert(key, self.groups.len());
                let begin = stats.aggregates.iter().map(|(kind, ..)| kind.begin()).collect();
                self.groups.push((values, begin));
                self.groups.len() - 1
            }
        };
        let time = &row[stats.time];
        for (aggregate, (_, argument, _)) in self.groups[place].1.iter_mut().zip(&stats.aggregates) {
            let value = argument.as_ref().map_or(Value::Truth(true), |argument| argument.value(row));
            if !value.is_missing() {
                budget.take(aggregate.take(value, time))?;
            }
        }
        Ok(())
    }

    /// A row of each group.
    pub fn rows(self, stats: &Stats, width: usize) -> impl Iterator<Item = Vec<Value>> {
        self.groups.into_iter().map(move |(keys, aggregates)| {
            let mut row = vec![Value::Missing; width];
            for (value, (_, slot)) in keys.into_iter().zip(&stats.keys) {
                row[*slot] = value;
            }
            for (aggregate, (.., slot)) in aggregates.iter().zip(&stats.aggregates) {
                row[*slot] = aggregate.value();
            }
            for (code, slot) in &stats.values {
                row[*slot] = code.value(&row);
            }
            row
        })
    }
}
