//! The query language of CloudWatch Logs Insights. Pure.
//!
//! A text becomes commands ([`syntax`], [`parse`]), commands a plan in which every field has a slot of a row and
//! each source of a slot is known ([`plan`]), and a plan is executed over events one by one ([`execute`]): what a
//! query does not mention is never looked for in a message, and memory stays under [`QUERY_BYTES`].
//!
//! Source: CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax" and "Supported logs and
//! discovered fields".

mod aggregate;
mod discover;
mod execute;
mod extract;
mod function;
mod json;
mod parse;
mod period;
mod plan;
mod syntax;
mod token;
mod value;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;

use base::clock::Timestamp;

pub use execute::{Execution, QueryLimit};

use plan::Plan;

/// Longest query, in characters. Source: CloudWatch Logs service model, `QueryString`.
pub const QUERY_CHARACTERS: usize = 10_000;

/// Rows of an answer unless another number is asked for. Source: service model, `StartQuery`.
pub const QUERY_ROWS: usize = 10_000;

/// Most rows of an answer. Source: service model, `EventsLimitStartQuery`.
pub const QUERY_ROWS_MOST: usize = 100_000;

/// Rows that a `sort` keeps when what follows it may drop some; more end the query.
pub const QUERY_SORTED_ROWS: usize = 100_000;

/// Groups of one `stats`, or values that one `dedup` remembers; more end the query.
pub const QUERY_GROUPS: usize = 100_000;

/// Memory of one query, in bytes as estimated from its rows; more ends the query.
pub const QUERY_BYTES: usize = 64 * 1024 * 1024;

/// Expressions inside each other; more are refused.
pub const QUERY_DEPTH: usize = 48;

/// Sums and products in one expression; more are refused.
pub const QUERY_OPERATIONS: usize = 200;

/// Regular expressions in one query; more are refused.
pub const QUERY_REGEXES: usize = 20;

/// Largest program of a regular expression in a query, in bytes.
pub const QUERY_REGEX_BYTES: usize = 1024 * 1024;

/// A query that can be run. Clones share it.
#[derive(Debug, Clone)]
pub struct Query {
    plan: Arc<Plan>,
}

/// Why a text is no query. AWS answers `MalformedQueryException` with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Characters before what is wrong.
    pub start: usize,
    /// Characters before what follows it.
    pub end: usize,
    /// What is wrong.
    pub message: String,
}

/// What a query reads.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was taken in.
    pub ingested: Timestamp,
    /// Account and log group: `123456789012:/aws/lambda/greet`.
    pub log: &'a str,
    /// Its stream.
    pub stream: &'a str,
    /// The event's own number, which `@ptr` shows.
    pub id: &'a dyn Display,
    /// What was written; not necessarily UTF-8.
    pub message: &'a [u8],
}

/// A row of an answer: names and values, without the fields that the row does not have.
pub type Row = Vec<(Arc<str>, String)>;

/// What a query has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// In order.
    pub rows: Vec<Row>,
    /// Events that passed the filters.
    pub matched: u64,
}

impl Query {
    /// Compiles a query.
    ///
    /// # Errors
    /// Everything that the language does not know, with the place; commands of it that are not built, by name.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let plan = Plan::make(&parse::commands(text)?)?;
        Ok(Self { plan: Arc::new(plan) })
    }

    /// Begins to run it; at most `rows` rows are answered: as many as the query itself says, or [`QUERY_ROWS`],
    /// when nothing else is asked for.
    pub fn run(&self, rows: Option<usize>) -> Execution {
        let usual = if self.plan.is_limited() { QUERY_ROWS_MOST } else { QUERY_ROWS };
        Execution::new(self.plan.clone(), rows.unwrap_or(usual).min(QUERY_ROWS_MOST))
    }
}
