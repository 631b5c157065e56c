//! Patterns of terms: all plain ones, none of the excluded, one of the optional.

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::cursor::Cursor;
use super::{PatternError, regexp};

/// A pattern without structure.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    all: Vec<Term>,
    none: Vec<Term>,
    any: Vec<Term>,
}

#[derive(Debug, Clone)]
enum Term {
    /// Its bytes occur, in just this case.
    Text(Box<Finder<'static>>),
    Regex(Regex),
}

impl Terms {
    pub fn parse(mut cursor: Cursor<'_>) -> Result<Self, PatternError> {
        let mut terms = Self::default();
        loop {
            cursor.skip_space();
            let place = match cursor.peek() {
                None => break,
                Some('-') => &mut terms.none,
                Some('?') => &mut terms.any,
                Some(_) => {
                    terms.all.push(Term::parse(&mut cursor)?);
                    continue;
                }
            };
            cursor.next();
            place.push(Term::parse(&mut cursor)?);
        }
        // Documented: beside other terms, those with a question mark are ignored.
        if !(terms.all.is_empty() && terms.none.is_empty()) {
            terms.any.clear();
        }
        Ok(terms)
    }

    pub fn matches(&self, message: &[u8]) -> bool {
        self.all.iter().all(|term| term.occurs(message))
            && !self.none.iter().any(|term| term.occurs(message))
            && (self.any.is_empty() || self.any.iter().any(|term| term.occurs(message)))
    }
}

impl Term {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        // The old guide writes `- "term"`.
        cursor.skip_space();
        match cursor.peek() {
            Some('%') => return Ok(Self::Regex(regexp::compile(cursor.regex()?)?)),
            Some('"') => {
                let phrase = cursor.quoted()?;
                if phrase.is_empty() {
                    return Err(PatternError::Character("\"\"".into()));
                }
                return Ok(Self::text(&phrase));
            }
            _ => {}
        }
        let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let strange = cursor.take_while(|c| !(c.is_ascii_alphanumeric() || c == '_' || c.is_whitespace()));
        match (word, strange) {
            ("", "") => Err(PatternError::syntax("a term is missing at its end")),
            (word, "") => Ok(Self::text(word)),
            (_, strange) => Err(PatternError::Character(strange.into())),
        }
    }

    fn text(text: &str) -> Self {
        Self::Text(Box::new(Finder::new(text.as_bytes()).into_owned()))
    }

    fn occurs(&self, message: &[u8]) -> bool {
        match self {
            Self::Text(finder) => finder.find(message).is_some(),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}
