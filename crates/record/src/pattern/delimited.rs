//! Patterns over messages of fields between spaces: `[ip, user, ..., status = 4*, bytes > 1000]`.

use super::PatternError;
use super::comparison::{Comparison, shown};
use super::cursor::Cursor;
use super::expression::{Expression, bit};

/// A pattern in brackets.
#[derive(Debug, Clone)]
pub struct Delimited {
    /// Before the `...`, or all.
    head: Vec<Field>,
    /// After the `...`; `None` when there is none, so that a message must have just as many fields.
    tail: Option<Vec<Field>>,
}

/// A field of a message, and what must be true of it.
#[derive(Debug, Clone)]
struct Field(Option<(Vec<Comparison>, Expression)>);

impl Delimited {
    /// Compiles the inside of the brackets.
    pub fn parse(mut cursor: Cursor<'_>) -> Result<Self, PatternError> {
        let (mut head, mut tail) = (Vec::new(), None);
        loop {
            if cursor.eat("...") {
                if tail.replace(Vec::new()).is_some() {
                    return Err(PatternError::syntax("more than one ..."));
                }
            } else {
                let field = Field::parse(&mut cursor)?;
                tail.as_mut().unwrap_or(&mut head).push(field);
            }
            if cursor.eat(",") {
                continue;
            }
            cursor.skip_space();
            return match cursor.rest() {
                "" => Ok(Self { head, tail }),
                _ => Err(PatternError::syntax(format!("a comma is missing at '{}'", shown(&cursor)))),
            };
        }
    }

    pub fn matches(&self, message: &[u8]) -> bool {
        let mut fields = Fields(message);
        for field in &self.head {
            if !fields.next().is_some_and(|text| field.holds(text)) {
                return false;
            }
        }
        let Some(tail) = &self.tail else { return fields.next().is_none() };
        let rest = fields.clone().count();
        rest >= tail.len()
            && tail.iter().zip(fields.skip(rest - tail.len())).all(|(field, text)| field.holds(text))
    }
}

impl Field {
    /// A name, nothing, or conditions on the name.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        cursor.skip_space();
        let ahead = Cursor::new(cursor.rest()).take_while(in_name);
        let after = cursor.rest()[ahead.len()..].trim_start();
        if !cursor.rest().starts_with('(') && (after.is_empty() || after.starts_with(',')) {
            cursor.take_while(in_name);
            cursor.skip_space();
            return Ok(Self(None));
        }
        let mut name = String::new();
        let mut comparisons = Vec::new();
        let expression = Expression::parse(cursor, &mut |cursor| {
            cursor.skip_space();
            let this = cursor.take_while(in_name);
            if this.is_empty() || (!name.is_empty() && name != this) {
                let place = if this.is_empty() { shown(cursor) } else { this.into() };
                return Err(PatternError::syntax(format!(
                    "a condition must name its own field at '{place}'"
                )));
            }
            name = this.into();
            comparisons.push(Comparison::parse(cursor, &[',', ')', ']'])?);
            Ok(comparisons.len() - 1)
        })?;
        Ok(Self(Some((comparisons, expression))))
    }

    fn holds(&self, text: &[u8]) -> bool {
        let Some((comparisons, expression)) = &self.0 else { return true };
        let held = (0..).zip(comparisons).filter(|(_, comparison)| comparison.text(text));
        expression.holds(held.fold(0, |bits, (number, _)| bits | bit(number)))
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-$".contains(c)
}

/// The fields of a message: what is between spaces, in brackets or in quotation marks.
#[derive(Clone)]
struct Fields<'m>(&'m [u8]);

impl<'m> Iterator for Fields<'m> {
    type Item = &'m [u8];

    fn next(&mut self) -> Option<&'m [u8]> {
        let text = self.0.trim_ascii_start();
        let closing = match text.first()? {
            b'[' => Some(b']'),
            b'"' => Some(b'"'),
            _ => None,
        };
        let closed = closing.and_then(|closing| memchr::memchr(closing, &text[1..]));
        let (field, rest) = match closed {
            Some(end) => (&text[1..=end], &text[end + 2..]),
            None => text.split_at(text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len())),
        };
        self.0 = rest;
        Some(field)
    }
}
