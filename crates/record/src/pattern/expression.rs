//! Conditions joined by `&&` and `||`, with parentheses; `&&` binds closer.

use super::comparison::shown;
use super::cursor::Cursor;
use super::{PATTERN_DEPTH, PatternError};

/// Conditions of an expression, which is thus a few bits when a message has been judged.
const CONDITIONS: usize = u128::BITS as usize;

/// Conditions by their numbers, joined.
#[derive(Debug, Clone)]
pub enum Expression {
    One(usize),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// Reads an expression; `condition` reads one condition and answers its number.
    pub fn parse(
        cursor: &mut Cursor<'_>,
        condition: &mut dyn FnMut(&mut Cursor<'_>) -> Result<usize, PatternError>,
    ) -> Result<Self, PatternError> {
        Self::any(cursor, condition, 0)
    }

    /// Whether it holds when the conditions with these numbers hold.
    pub fn holds(&self, held: u128) -> bool {
        match self {
            Self::One(number) => held & bit(*number) != 0,
            Self::All(parts) => parts.iter().all(|part| part.holds(held)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(held)),
        }
    }

    fn any(
        cursor: &mut Cursor<'_>,
        condition: &mut dyn FnMut(&mut Cursor<'_>) -> Result<usize, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        let mut parts = vec![Self::all(cursor, condition, depth)?];
        while cursor.eat("||") {
            parts.push(Self::all(cursor, condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::Any(parts) })
    }

    fn all(
        cursor: &mut Cursor<'_>,
        condition: &mut dyn FnMut(&mut Cursor<'_>) -> Result<usize, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        let mut parts = vec![Self::one(cursor, condition, depth)?];
        while cursor.eat("&&") {
            parts.push(Self::one(cursor, condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) })
    }

    fn one(
        cursor: &mut Cursor<'_>,
        condition: &mut dyn FnMut(&mut Cursor<'_>) -> Result<usize, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        if !cursor.eat("(") {
            let number = condition(cursor)?;
            if number >= CONDITIONS {
                return Err(PatternError::syntax(format!("more than {CONDITIONS} conditions")));
            }
            return Ok(Self::One(number));
        }
        if depth >= PATTERN_DEPTH {
            return Err(PatternError::syntax(format!("more than {PATTERN_DEPTH} nested parentheses")));
        }
        let inner = Self::any(cursor, condition, depth + 1)?;
        match cursor.eat(")") {
            true => Ok(inner),
            false => Err(PatternError::syntax(format!("a ) is missing at '{}'", shown(cursor)))),
        }
    }
}

/// The bit of a condition.
pub const fn bit(number: usize) -> u128 {
    1 << number
}
