//! What `parse` cuts out of a text.

use super::syntax::Extract;
use super::value::Value;

impl Extract {
    /// The names of what it cuts out.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Glob { names, .. } => names.iter().map(String::as_str).collect(),
            Self::Regex(regex) => regex.capture_names().flatten().collect(),
        }
    }

    /// Gives each name's value to `found`; calls nothing when the text does not match.
    pub fn cut(&self, text: &str, mut found: impl FnMut(usize, Value)) {
        match self {
            Self::Glob { pieces, .. } => {
                let Some(values) = cut_glob(pieces, text) else { return };
                for (number, value) in values.into_iter().enumerate() {
                    found(number, Value::text(value));
                }
            }
            Self::Regex(regex) => {
                let Some(captures) = regex.captures(text) else { return };
                for (number, name) in regex.capture_names().flatten().enumerate() {
                    if let Some(part) = captures.name(name) {
                        found(number, Value::text(part.as_str()));
                    }
                }
            }
        }
    }
}

/// Each star takes as little as it can, and the last one everything when nothing follows it.
fn cut_glob<'t>(pieces: &[String], text: &'t str) -> Option<Vec<&'t str>> {
    let (first, others) = pieces.split_first()?;
    let mut rest = &text[text.find(first.as_str())? + first.len()..];
    let mut values = Vec::with_capacity(others.len());
    for (number, piece) in others.iter().enumerate() {
        let last = number + 1 == others.len();
        let end = match piece.as_str() {
            "" if last => rest.trim_end_matches(['\n', '\r']).len(),
            piece => rest.find(piece)?,
        };
        values.push(&rest[..end]);
        rest = &rest[(end + piece.len()).min(rest.len())..];
    }
    Some(values)
}
