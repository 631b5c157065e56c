//! The rows of a `sort`.

use super::{Budget, QUERY_SORTED_ROWS, QueryLimit, Slots, bytes};
use crate::insights::plan::Code;
use crate::insights::syntax::Direction;
use crate::insights::value::Value;

/// Rows with the values they are sorted by; only the first ones when no more are needed.
#[derive(Debug, Clone)]
pub struct Sorted {
    rows: Vec<(Vec<Value>, Slots)>,
    most: Option<usize>,
}

impl Sorted {
    pub const fn new(most: Option<usize>) -> Self {
        Self { rows: Vec::new(), most }
    }

    pub fn take(
        &mut self,
        keys: &[(Code, Direction)],
        row: &[Value],
        budget: &mut Budget,
    ) -> Result<(), QueryLimit> {
        if self.most.is_none() && self.rows.len() >= QUERY_SORTED_ROWS {
            return Err(QueryLimit::Rows);
        }
        let values: Vec<_> = keys.iter().map(|(key, _)| key.value(row)).collect();
        self.rows.push((values, row.into()));
        let full = budget.take(size(&self.rows[self.rows.len() - 1]));
        // Cut seldom, so that sorting costs little; but before the memory is used up.
        match self.most {
            Some(most) if self.rows.len() >= 2 * most.max(1) || (full.is_err() && self.rows.len() > most) => {
                self.sort(keys);
                budget.give(self.rows.drain(most..).map(|row| size(&row)).sum());
                budget.take(0)
            }
            _ => full,
        }
    }

    /// All rows in order, without more than are needed.
    pub fn rows(mut self, keys: &[(Code, Direction)]) -> impl Iterator<Item = Slots> {
        self.sort(keys);
        let most = self.most.unwrap_or(usize::MAX);
        self.rows.into_iter().take(most).map(|(_, row)| row)
    }

    fn sort(&mut self, keys: &[(Code, Direction)]) {
        self.rows.sort_by(|(a, _), (b, _)| {
            let orders = keys.iter().zip(a.iter().zip(b)).map(|((_, direction), (a, b))| match direction {
                Direction::Ascending => a.sort_order(b),
                Direction::Descending => b.sort_order(a),
            });
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
    }
}

fn size((keys, row): &(Vec<Value>, Slots)) -> usize {
    // Texts are shared with the row.
    size_of_val(keys.as_slice()) + bytes(row)
}
