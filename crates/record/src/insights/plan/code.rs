//! Expressions over the slots of a row.

use memchr::memmem::Finder;
use regex::Regex;

use super::Planner;
use crate::insights::QueryError;
use crate::insights::aggregate::Kind;
use crate::insights::function::Function;
use crate::insights::period::Period;
use crate::insights::syntax::{Arithmetic, Comparing, Expression, Matcher};
use crate::insights::value::Value;

/// What is calculated from a row.
#[derive(Debug)]
pub enum Code {
    Value(Value),
    Slot(usize),
    Not(Box<Code>),
    Negative(Box<Code>),
    And(Vec<Code>),
    Or(Vec<Code>),
    Compare(Comparing, Box<Code>, Box<Code>),
    Arithmetic(Arithmetic, Box<Code>, Box<Code>),
    Contains(Box<Code>, Box<Finder<'static>>),
    Matches(Box<Code>, Regex),
    In(Box<Code>, Vec<Code>),
    Call(Function, Vec<Code>),
    Bin(Box<Code>, Period, bool),
}

impl Code {
    /// The value for a row.
    pub fn value(&self, row: &[Value]) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Slot(slot) => row[*slot].clone(),
            Self::Negative(inner) => inner.value(row).number().map_or(Value::Missing, |n| Value::Number(-n)),
            Self::Arithmetic(arithmetic, a, b) => a.value(row).calculate(*arithmetic, &b.value(row)),
            Self::Call(function, arguments) => {
                function.call(&arguments.iter().map(|argument| argument.value(row)).collect::<Vec<_>>())
            }
            Self::Bin(value, period, up) => match value.value(row).number() {
                Some(millis) if *up => Value::Time(period.ceil(millis as i64)),
                Some(millis) => Value::Time(period.floor(millis as i64)),
                None => Value::Missing,
            },
            condition => Value::Truth(condition.holds(row)),
        }
    }

    /// Whether a condition holds for a row.
    pub fn holds(&self, row: &[Value]) -> bool {
        match self {
            Self::Not(inner) => !inner.holds(row),
            Self::And(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Compare(comparing, a, b) => a.with(row, |a| b.with(row, |b| a.compare(*comparing, b))),
            Self::Contains(value, part) => {
                value.with(row, |value| !value.is_missing() && part.find(value.shown().as_bytes()).is_some())
            }
            Self::Matches(value, regex) => {
                value.with(row, |value| !value.is_missing() && regex.is_match(&value.shown()))
            }
            Self::In(value, list) => value.with(row, |value| {
                list.iter().any(|item| item.with(row, |item| value.compare(Comparing::Equal, item)))
            }),
            value => value.with(row, Value::holds),
        }
    }

    /// The slots that are read.
    pub fn slots(&self, read: &mut Vec<usize>) {
        match self {
            Self::Value(_) => {}
            Self::Slot(slot) => read.push(*slot),
            Self::Not(a)
            | Self::Negative(a)
            | Self::Contains(a, _)
            | Self::Matches(a, _)
            | Self::Bin(a, ..) => {
                a.slots(read);
            }
            Self::Compare(_, a, b) | Self::Arithmetic(_, a, b) => {
                a.slots(read);
                b.slots(read);
            }
            Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) => {
                parts.iter().for_each(|p| p.slots(read))
            }
            Self::In(value, list) => {
                value.slots(read);
                list.iter().for_each(|item| item.slots(read));
            }
        }
    }

    /// Looks at the value without copying what is there already.
    fn with<T>(&self, row: &[Value], look: impl FnOnce(&Value) -> T) -> T {
        match self {
            Self::Value(value) => look(value),
            Self::Slot(slot) => look(&row[*slot]),
            code => look(&code.value(row)),
        }
    }
}

impl Planner {
    /// An expression with its fields at their slots.
    pub fn code(&mut self, expression: &Expression) -> Result<Code, QueryError> {
        Ok(match expression {
            Expression::Value(value) => Code::Value(value.clone()),
            Expression::Field(name) => Code::Slot(self.field(name)),
            Expression::Not(inner) => Code::Not(self.boxed(inner)?),
            Expression::Negative(inner) => Code::Negative(self.boxed(inner)?),
            Expression::And(parts) => Code::And(self.list(parts)?),
            Expression::Or(parts) => Code::Or(self.list(parts)?),
            Expression::Compare(comparing, a, b) => Code::Compare(*comparing, self.boxed(a)?, self.boxed(b)?),
            Expression::Arithmetic(sign, a, b) => Code::Arithmetic(*sign, self.boxed(a)?, self.boxed(b)?),
            Expression::Like { value, matcher, negated } => {
                let value = self.boxed(value)?;
                negate(
                    *negated,
                    match matcher {
                        Matcher::Text(text) => {
                            Code::Contains(value, Box::new(Finder::new(text.as_bytes()).into_owned()))
                        }
                        Matcher::Regex(regex) => Code::Matches(value, regex.clone()),
                    },
                )
            }
            Expression::In { value, list, negated } => {
                negate(*negated, Code::In(self.boxed(value)?, self.list(list)?))
            }
            Expression::Call(function, arguments) => Code::Call(*function, self.list(arguments)?),
            Expression::Bin { value, period, up } => Code::Bin(self.boxed(value)?, *period, *up),
            Expression::Aggregate { text, .. } => match self.names.made.get(text) {
                Some(slot) => Code::Slot(*slot),
                None => {
                    let message = format!("{text} has a meaning only in stats, or after a stats that has it");
                    return Err(QueryError { start: 0, end: 0, message });
                }
            },
        })
    }

    fn boxed(&mut self, expression: &Expression) -> Result<Box<Code>, QueryError> {
        self.code(expression).map(Box::new)
    }

    fn list(&mut self, expressions: &[Expression]) -> Result<Vec<Code>, QueryError> {
        expressions.iter().map(|expression| self.code(expression)).collect()
    }
}

fn negate(negated: bool, code: Code) -> Code {
    if negated { Code::Not(Box::new(code)) } else { code }
}

/// The functions of `stats` in an expression, with their arguments and normal texts.
pub fn aggregates(expression: &Expression) -> Vec<(Kind, Option<&Expression>, &str)> {
    let parts: Vec<&Expression> = match expression {
        Expression::Aggregate { kind, argument, text } => return vec![(*kind, argument.as_deref(), text)],
        Expression::Value(_) | Expression::Field(_) => Vec::new(),
        Expression::Not(a) | Expression::Negative(a) => vec![a],
        Expression::Like { value, .. } | Expression::Bin { value, .. } => vec![value],
        Expression::Compare(_, a, b) | Expression::Arithmetic(_, a, b) => vec![a, b],
        Expression::And(parts) | Expression::Or(parts) | Expression::Call(_, parts) => parts.iter().collect(),
        Expression::In { value, list, .. } => std::iter::once(&**value).chain(list).collect(),
    };
    parts.into_iter().flat_map(aggregates).collect()
}
