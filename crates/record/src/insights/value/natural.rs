//! The natural order of texts: digits that follow each other are one number.
//!
//! Source: the user guide, "sort": numeric parts are ordered by their length first and then by their value.

use std::cmp::Ordering;

/// Orders two texts, chunk by chunk.
pub fn order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (x, y);
        (x, a) = chunk(a);
        (y, b) = chunk(b);
        let numeric =
            x.starts_with(|c: char| c.is_ascii_digit()) && y.starts_with(|c: char| c.is_ascii_digit());
        let order = if numeric { x.len().cmp(&y.len()).then_with(|| x.cmp(y)) } else { x.cmp(y) };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// The digits, or what is not digits, that a text begins with; and the rest.
fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len()))
}
