//! The filter patterns of CloudWatch Logs: which messages a search, a live tail or a filter wants. Pure.
//!
//! Three languages, told apart by the first character: terms (`ERROR -"timed out" ?retry %5\d\d%`), conditions
//! on JSON (`{ $.status >= 500 }`) and conditions on fields between spaces (`[ip, ..., status = 4*]`). A
//! [`Pattern`] is compiled once; a message is then judged without an allocation, in time linear in its length.
//!
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter
//! log events, and Live Tail"; the words of errors as the service gives them.

mod comparison;
mod cursor;
mod delimited;
mod expression;
mod json;
mod regexp;
mod terms;

#[cfg(test)]
mod tests;

use cursor::Cursor;
use delimited::Delimited;
use json::Json;
use terms::Terms;

/// Longest pattern, in characters. Source: CloudWatch Logs service model, `FilterPattern`.
pub const PATTERN_CHARACTERS: usize = 1024;

/// Parentheses inside each other in a pattern; more are refused.
pub const PATTERN_DEPTH: usize = 32;

/// Regular expressions in a pattern. Source: the user guide, "Supported regular expressions (regex) syntax".
pub const PATTERN_REGEXES: usize = 2;

/// A compiled filter pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Everything,
    Terms(Terms),
    Json(Json),
    Delimited(Delimited),
}

/// Why a text is no filter pattern. AWS answers `InvalidParameterException` with these words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than [`PATTERN_CHARACTERS`].
    #[error("Invalid filter pattern: it is longer than {PATTERN_CHARACTERS} characters")]
    TooLong,
    /// A term has characters that need quotes, or that are not allowed at all.
    #[error("Invalid character(s) in term '{0}'")]
    Character(String),
    /// It begins like JSON or fields and does not end so.
    #[error("If a filter pattern starts with '{0}' it must end with '{1}'")]
    Unclosed(char, char),
    /// It does not follow the syntax; the words say where.
    #[error("Invalid filter pattern: {0}")]
    Syntax(String),
}

impl Pattern {
    /// Compiles a pattern; an empty text matches every message.
    ///
    /// # Errors
    /// Everything that the documented syntax does not allow.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > PATTERN_CHARACTERS {
            return Err(PatternError::TooLong);
        }
        let text = text.trim();
        let kind = match (text.chars().next(), text.chars().next_back()) {
            (None, _) => Kind::Everything,
            (Some('{'), Some('}')) => Kind::Json(Json::parse(Cursor::new(&text[1..text.len() - 1]))?),
            (Some('['), Some(']')) => {
                Kind::Delimited(Delimited::parse(Cursor::new(&text[1..text.len() - 1]))?)
            }
            (Some('{'), _) => return Err(PatternError::Unclosed('{', '}')),
            (Some('['), _) => return Err(PatternError::Unclosed('[', ']')),
            _ => Kind::Terms(Terms::parse(Cursor::new(text))?),
        };
        Ok(Self(kind))
    }

    /// Whether a message, in whatever encoding, is wanted.
    pub fn matches(&self, message: &[u8]) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Terms(terms) => terms.matches(message),
            Kind::Json(json) => json.matches(message),
            Kind::Delimited(delimited) => delimited.matches(message),
        }
    }

    /// Whether every message matches because nothing is asked.
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, Kind::Everything)
    }
}

impl PatternError {
    fn syntax(what: impl Into<String>) -> Self {
        Self::Syntax(what.into())
    }
}
