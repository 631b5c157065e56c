//! Comparing a value of a message with what a condition says: `= "a*"`, `!= %5\d\d%`, `>= 1e3`.

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::cursor::Cursor;
use super::{PatternError, regexp};

/// The right half of a condition.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// `=`, or `!=` when negated.
    Equal { negated: bool, operand: Operand },
    /// `<`, `<=`, `>`, `>=`: whether the value is less, equal or greater.
    Order { less: bool, equal: bool, greater: bool, number: f64 },
}

#[derive(Debug, Clone)]
pub enum Operand {
    /// Compared as a number with whatever is one.
    Number(f64, Glob),
    Text(Glob),
    Regex(Regex),
}

/// A text that may be open at its ends; a `*` inside stands for itself.
#[derive(Debug, Clone)]
pub enum Glob {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Inside(Box<Finder<'static>>),
}

impl Comparison {
    /// Reads an operator and its operand.
    pub fn parse(cursor: &mut Cursor<'_>, closing: &[char]) -> Result<Self, PatternError> {
        let operators = [
            ("!=", None),
            ("<=", Some((true, true, false))),
            (">=", Some((false, true, true))),
            ("<", Some((true, false, false))),
            (">", Some((false, false, true))),
            ("=", None),
        ];
        let found = operators.into_iter().find(|(token, _)| cursor.eat(token));
        let Some((token, order)) = found else {
            return Err(PatternError::syntax(format!("an operator is missing at '{}'", shown(cursor))));
        };
        let operand = Operand::parse(cursor, closing)?;
        match (order, operand) {
            (None, operand) => Ok(Self::Equal { negated: token == "!=", operand }),
            (Some((less, equal, greater)), Operand::Number(number, _)) => {
                Ok(Self::Order { less, equal, greater, number })
            }
            (Some(_), _) => Err(PatternError::syntax(format!("{token} needs a number"))),
        }
    }

    /// Whether a text satisfies this; one that reads as a number also counts as that number.
    pub fn text(&self, text: &[u8]) -> bool {
        match self {
            Self::Equal { negated, operand } => operand.is_text(text) != *negated,
            Self::Order { .. } => number(text).is_some_and(|value| self.ordered(value)),
        }
    }

    /// Whether a number satisfies this.
    pub fn number(&self, value: f64, written: impl FnOnce() -> String) -> bool {
        match self {
            Self::Equal { negated, operand } => {
                let equal = match operand {
                    Operand::Number(number, _) => value == *number,
                    operand => operand.is_text(written().as_bytes()),
                };
                equal != *negated
            }
            Self::Order { .. } => self.ordered(value),
        }
    }

    fn ordered(&self, value: f64) -> bool {
        match self {
            Self::Order { less, equal, greater, number } => {
                (*less && value < *number) || (*equal && value == *number) || (*greater && value > *number)
            }
            Self::Equal { .. } => false,
        }
    }
}

impl Operand {
    /// `"text"`, `%regex%`, or an unquoted word that ends at a space, an operator or a `closing` character.
    fn parse(cursor: &mut Cursor<'_>, closing: &[char]) -> Result<Self, PatternError> {
        cursor.skip_space();
        match cursor.peek() {
            Some('"') => return Ok(Self::Text(Glob::new(&cursor.quoted()?))),
            Some('%') => return Ok(Self::Regex(regexp::compile(cursor.regex()?)?)),
            _ => {}
        }
        let word = cursor.take_while(|c| !(c.is_whitespace() || "&|".contains(c) || closing.contains(&c)));
        if word.is_empty() {
            return Err(PatternError::syntax(format!("a value is missing at '{}'", shown(cursor))));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-+.*:/".contains(c);
        if let Some(strange) = word.chars().find(|c| !plain(*c)) {
            return Err(PatternError::Character(strange.into()));
        }
        let glob = Glob::new(word);
        Ok(match number(word.as_bytes()) {
            Some(number) => Self::Number(number, glob),
            None => Self::Text(glob),
        })
    }

    fn is_text(&self, text: &[u8]) -> bool {
        match self {
            Self::Number(wanted, glob) => {
                number(text).map_or_else(|| glob.is(text), |value| value == *wanted)
            }
            Self::Text(glob) => glob.is(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl Glob {
    fn new(text: &str) -> Self {
        let after = text.strip_prefix('*');
        let inner = after.unwrap_or(text);
        let before = inner.strip_suffix('*');
        let bytes = before.unwrap_or(inner).as_bytes();
        match (after.is_some(), before.is_some()) {
            (false, false) => Self::Exact(bytes.into()),
            (false, true) => Self::Prefix(bytes.into()),
            (true, false) => Self::Suffix(bytes.into()),
            (true, true) => Self::Inside(Box::new(Finder::new(bytes).into_owned())),
        }
    }

    fn is(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(bytes) => text == &**bytes,
            Self::Prefix(bytes) => text.starts_with(bytes),
            Self::Suffix(bytes) => text.ends_with(bytes),
            Self::Inside(finder) => finder.find(text).is_some(),
        }
    }
}

/// A number as the guide writes it: `-1`, `+2.5`, `10e-3`.
fn number(text: &[u8]) -> Option<f64> {
    // Not "inf" and "nan", which Rust reads too.
    let digits = text.first().is_some_and(|c| c.is_ascii_digit() || b"+-.".contains(c));
    let plain = text.iter().all(|c| c.is_ascii_digit() || b"+-.eE".contains(c));
    (digits && plain).then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// The beginning of what is left, for an error.
pub fn shown(cursor: &Cursor<'_>) -> String {
    cursor.rest().chars().take(20).collect()
}
