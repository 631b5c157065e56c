//! Patterns over JSON messages: `{ $.user.id = 1 && $.roles[*] != "adm*" }`.
//!
//! A message is read once, from front to back, without building it: at each member the set of conditions whose
//! selectors lead there is known as bits, and what no selector leads to is skipped.

mod judge;
mod selector;

use super::comparison::{Comparison, shown};
use super::cursor::Cursor;
use super::expression::{Expression, bit};
use super::{PatternError, json::selector::Step};

/// `*` and `[*]` in one pattern. Source: the user guide, "Using filter patterns to match terms in JSON log events".
const WILDCARDS: usize = 3;

/// A pattern in braces.
#[derive(Debug, Clone)]
pub struct Json {
    conditions: Vec<Condition>,
    expression: Expression,
    /// Conditions that hold unless their selector leads somewhere.
    absent: u128,
}

#[derive(Debug, Clone)]
struct Condition {
    path: Vec<Step>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Compare(Comparison),
    IsNull,
    Is(bool),
    NotExists,
}

impl Json {
    /// Compiles the inside of the braces.
    pub fn parse(mut cursor: Cursor<'_>) -> Result<Self, PatternError> {
        let mut conditions = Vec::new();
        let expression = Expression::parse(&mut cursor, &mut |cursor| {
            conditions.push(Condition::parse(cursor)?);
            Ok(conditions.len() - 1)
        })?;
        cursor.skip_space();
        if !cursor.rest().is_empty() {
            return Err(PatternError::syntax(format!("'{}' is not expected", shown(&cursor))));
        }
        let wildcards =
            conditions.iter().flat_map(|condition| &condition.path).filter(|step| step.is_wildcard());
        if wildcards.count() > WILDCARDS {
            return Err(PatternError::syntax(format!("more than {WILDCARDS} wildcards in selectors")));
        }
        let absent =
            (0..).zip(&conditions).filter(|(_, condition)| matches!(condition.test, Test::NotExists));
        let absent = absent.fold(0, |bits, (number, _)| bits | bit(number));
        Ok(Self { conditions, expression, absent })
    }

    pub fn matches(&self, message: &[u8]) -> bool {
        let begins_like_json = message.trim_ascii_start().first().is_some_and(|c| b"{[".contains(c));
        begins_like_json && judge::held(self, message).is_some_and(|held| self.expression.holds(held))
    }
}

impl Condition {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let path = selector::parse(cursor)?;
        let test = if cursor.eat_word("NOT") {
            match cursor.eat_word("EXISTS") {
                true => Test::NotExists,
                false => return Err(PatternError::syntax("NOT must be followed by EXISTS")),
            }
        } else if cursor.eat_word("IS") {
            if cursor.eat_word("NULL") {
                Test::IsNull
            } else if cursor.eat_word("TRUE") {
                Test::Is(true)
            } else if cursor.eat_word("FALSE") {
                Test::Is(false)
            } else {
                return Err(PatternError::syntax("IS must be followed by NULL, TRUE or FALSE"));
            }
        } else {
            Test::Compare(Comparison::parse(cursor, &[')'])?)
        };
        Ok(Self { path, test })
    }
}
