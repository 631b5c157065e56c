//! The regular expressions between `%` signs: few signs, no groups, linear time, bytes.

use regex::bytes::{Regex, RegexBuilder};

use super::PatternError;

/// Largest compiled program, in bytes: `a{1000}{1000}` is refused, not built.
const PROGRAM_BYTES: usize = 256 * 1024;

/// Signs that stand for themselves. Source: the user guide, "Supported regular expressions (regex) syntax";
/// the space is taken too, as the CDK writes it.
const SIGNS: &str = ":_#=@/;,- ";

/// Signs that mean something. Source: as [`SIGNS`].
const OPERATORS: &str = "^$?[]{}|*+.";

/// Letters that mean something after a backslash; `x` begins two hexadecimal digits.
const CLASSES: &str = "dDsSwWx";

/// Compiles the inside of `%...%`.
pub fn compile(text: &str) -> Result<Regex, PatternError> {
    if text.is_empty() {
        return Err(PatternError::syntax("an empty regular expression"));
    }
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let allowed = match c {
            '\\' => chars.next().is_some_and(|next| {
                CLASSES.contains(next) || SIGNS.contains(next) || OPERATORS.contains(next) || next == '\\'
            }),
            c => c.is_ascii_alphanumeric() || SIGNS.contains(c) || OPERATORS.contains(c),
        };
        if !allowed {
            return Err(PatternError::Character(c.to_string()));
        }
    }
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(PROGRAM_BYTES)
        .build()
        .map_err(|_| PatternError::syntax(format!("the regular expression %{text}% is not valid")))
}
