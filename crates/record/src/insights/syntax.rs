//! A query as its author wrote it, as a tree.

use regex::Regex;

use super::aggregate::Kind;
use super::function::Function;
use super::period::Period;
use super::value::Value;

/// One command between pipes.
#[derive(Debug, Clone)]
pub enum Command {
    Fields(Vec<Named>),
    Display(Vec<Named>),
    Filter(Expression),
    Parse { field: String, extract: Extract },
    Stats { values: Vec<Named>, by: Vec<Named> },
    Sort(Vec<(Named, Direction)>),
    Limit(usize),
    Tail(usize),
    Dedup(Vec<Named>),
}

/// An expression and how its column is called.
#[derive(Debug, Clone)]
pub struct Named {
    pub expression: Expression,
    /// The alias, or the text of the expression.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// What `parse` looks for.
#[derive(Debug, Clone)]
pub enum Extract {
    /// The texts around the stars, one more than there are names.
    Glob { pieces: Vec<String>, names: Vec<String> },
    /// Named groups.
    Regex(Regex),
}

/// What `like` looks for.
#[derive(Debug, Clone)]
pub enum Matcher {
    Text(String),
    Regex(Regex),
}

#[derive(Debug, Clone)]
pub enum Expression {
    Value(Value),
    Field(String),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare(Comparing, Box<Expression>, Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    Like {
        value: Box<Expression>,
        matcher: Matcher,
        negated: bool,
    },
    In {
        value: Box<Expression>,
        list: Vec<Expression>,
        negated: bool,
    },
    Call(Function, Vec<Expression>),
    /// `datefloor` and `bin`; `dateceil` when `up`.
    Bin {
        value: Box<Expression>,
        period: Period,
        up: bool,
    },
    /// Made by `stats`, named after it.
    Aggregate {
        kind: Kind,
        argument: Option<Box<Expression>>,
        text: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparing {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}
