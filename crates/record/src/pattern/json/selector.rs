//! Where in a JSON message a condition looks: `$.a.b[0]['c d'][*]`.

use crate::pattern::PatternError;
use crate::pattern::comparison::shown;
use crate::pattern::cursor::Cursor;

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(Box<str>),
    Index(usize),
    AnyKey,
    AnyIndex,
}

impl Step {
    pub const fn is_wildcard(&self) -> bool {
        matches!(self, Self::AnyKey | Self::AnyIndex)
    }
}

/// Reads a selector; it has at least one step and at most one wildcard.
pub fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<Step>, PatternError> {
    if !cursor.eat("$") {
        return Err(PatternError::syntax(format!("a selector must begin with $ at '{}'", shown(cursor))));
    }
    let mut path = Vec::new();
    loop {
        match cursor.peek() {
            Some('.') => {
                cursor.next();
                if cursor.peek() != Some('[') {
                    path.push(name(cursor)?);
                }
            }
            Some('[') => {
                cursor.next();
                path.push(bracket(cursor)?);
            }
            _ if path.is_empty() => return Err(PatternError::syntax("$ needs the name of a property")),
            _ => break,
        }
    }
    match path.iter().filter(|step| step.is_wildcard()).count() {
        0 | 1 => Ok(path),
        _ => Err(PatternError::syntax("more than one wildcard in a selector")),
    }
}

fn name(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    if cursor.peek() == Some('*') {
        cursor.next();
        return Ok(Step::AnyKey);
    }
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    match (name, cursor.peek()) {
        ("", Some(strange)) => Err(PatternError::Character(strange.into())),
        ("", None) => Err(PatternError::syntax("the name of a property is missing")),
        (name, _) => Ok(Step::Key(name.into())),
    }
}

/// What is in brackets; the opening one is read.
fn bracket(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    cursor.skip_space();
    let step = match cursor.peek() {
        Some('*') => {
            cursor.next();
            Step::AnyIndex
        }
        Some('"' | '\'') => Step::Key(cursor.quoted()?.into()),
        _ => {
            let digits = cursor.take_while(|c| c.is_ascii_digit());
            let index = digits.parse();
            Step::Index(
                index.map_err(|_| PatternError::syntax("brackets need an index, * or a quoted name"))?,
            )
        }
    };
    match cursor.eat("]") {
        true => Ok(step),
        false => Err(PatternError::syntax(format!("a ] is missing at '{}'", shown(cursor)))),
    }
}
