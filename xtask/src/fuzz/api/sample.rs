//! Texts that match a pattern of the model.
//!
//! What the models' patterns use is read: classes, groups, alternatives, counts. What looks around matches nothing by
//! itself here; [`text`] draws again where it would forbid what was drawn.

use std::iter::Peekable;
use std::str::Chars;

use super::dice::Dice;

/// Repetitions beyond the least where a pattern sets no end.
const FURTHER: u32 = 8;
/// Draws before a text of the wrong length is taken as it is.
const TRIES: usize = 40;
/// What `.` and negated classes draw from.
const PRINTABLE: (char, char) = (' ', '~');

#[derive(Debug, Clone)]
enum Node {
    /// One of these ranges; of none, nothing.
    Class(Vec<(char, char)>),
    /// One of these sequences.
    Group(Vec<Vec<Repeated>>),
}

#[derive(Debug, Clone)]
struct Repeated {
    node: Node,
    least: u32,
    most: u32,
}

/// A text of the pattern whose length is within the bounds, where a few draws find one.
pub fn text(pattern: &str, least: usize, most: usize, dice: &mut Dice) -> String {
    let mut chars = pattern.chars().peekable();
    let group = alternatives(&mut chars);
    let mut drawn = String::new();
    for _ in 0..TRIES {
        drawn.clear();
        draw(&group, dice, &mut drawn);
        let length = drawn.chars().count();
        if (least..=most).contains(&length) && !looked_around(pattern, &drawn) {
            break;
        }
    }
    drawn
}

/// Whether a look-around of the pattern forbids the text.
fn looked_around(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| text.chars().all(|char| char.is_ascii_digit());
    (pattern.contains("(?!^") && digits(text))
        || (pattern.contains("((?!\\d") && text.rsplit(':').next().is_some_and(digits))
        || (pattern.contains("(?<!\\.)") && text.ends_with('.'))
}

fn alternatives(chars: &mut Peekable<Chars>) -> Vec<Vec<Repeated>> {
    let mut all = vec![Vec::new()];
    while let Some(&char) = chars.peek() {
        if char == ')' {
            break;
        }
        chars.next();
        if char == '|' {
            all.push(Vec::new());
            continue;
        }
        let node = node(char, chars);
        let (least, most) = count(chars);
        if let (Some(node), Some(sequence)) = (node, all.last_mut()) {
            sequence.push(Repeated { node, least, most });
        }
    }
    all
}

fn node(char: char, chars: &mut Peekable<Chars>) -> Option<Node> {
    match char {
        '^' | '$' => None,
        '.' => Some(Node::Class(vec![PRINTABLE])),
        '[' => Some(Node::Class(class(chars))),
        '\\' => Some(Node::Class(escaped(chars))),
        '(' => {
            let looks = looks_around(chars);
            let inner = alternatives(chars);
            chars.next();
            (!looks).then_some(Node::Group(inner))
        }
        other => Some(Node::Class(vec![(other, other)])),
    }
}

/// Takes what says of which kind a group is.
fn looks_around(chars: &mut Peekable<Chars>) -> bool {
    if chars.next_if_eq(&'?').is_none() {
        return false;
    }
    chars.next_if_eq(&'<');
    !matches!(chars.next(), Some(':'))
}

fn count(chars: &mut Peekable<Chars>) -> (u32, u32) {
    match chars.peek() {
        Some('?') => (0, step(chars, 1)),
        Some('*') => (0, step(chars, FURTHER)),
        Some('+') => (1, step(chars, 1 + FURTHER)),
        Some('{') => {
            let inner: String = chars.by_ref().skip(1).take_while(|char| *char != '}').collect();
            let (least, most) = inner.split_once(',').unwrap_or((&inner, &inner));
            let least = least.parse().unwrap_or(0);
            (least, most.parse().unwrap_or(least + FURTHER))
        }
        _ => (1, 1),
    }
}

fn step(chars: &mut Peekable<Chars>, most: u32) -> u32 {
    chars.next();
    most
}

fn class(chars: &mut Peekable<Chars>) -> Vec<(char, char)> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    // Only a single character begins a range, and only before another.
    let mut begins = false;
    while let Some(char) = chars.next().filter(|char| *char != ']') {
        match char {
            '-' if begins && chars.peek().is_some_and(|next| *next != ']') => {
                let end = match chars.next() {
                    Some('\\') => escaped(chars),
                    Some(end) => vec![(end, end)],
                    None => Vec::new(),
                };
                if let (Some(range), [(_, end)]) = (ranges.last_mut(), &end[..]) {
                    range.1 = *end;
                }
                begins = false;
            }
            '\\' => {
                let inner = escaped(chars);
                begins = matches!(inner[..], [(least, most)] if least == most);
                ranges.extend(inner);
            }
            other => {
                ranges.push((other, other));
                begins = true;
            }
        }
    }
    if negated { without(&ranges) } else { ranges }
}

/// Every printable character that is in none of the ranges.
fn without(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let inside = |char: char| ranges.iter().any(|(least, most)| (*least..=*most).contains(&char));
    (PRINTABLE.0..=PRINTABLE.1).filter(|char| !inside(*char)).map(|char| (char, char)).collect()
}

fn escaped(chars: &mut Peekable<Chars>) -> Vec<(char, char)> {
    match chars.next() {
        Some('d') => vec![('0', '9')],
        Some('w') => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        Some('s') => vec![(' ', ' ')],
        Some('S') => vec![('!', '~')],
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            let char = u8::from_str_radix(&digits, 16).map_or('x', char::from);
            vec![(char, char)]
        }
        Some('p') => {
            let kind: String = chars.by_ref().take_while(|char| *char != '}').collect();
            match kind.as_str() {
                "{L" => vec![('a', 'z'), ('À', 'Ö'), ('あ', 'ん')],
                "{N" => vec![('0', '9')],
                _ => vec![(' ', ' ')],
            }
        }
        Some(other) => vec![(other, other)],
        None => Vec::new(),
    }
}

fn draw(group: &[Vec<Repeated>], dice: &mut Dice, out: &mut String) {
    let Some(sequence) = group.get(dice.below(group.len())) else { return };
    for Repeated { node, least, most } in sequence {
        for _ in 0..dice.between(i64::from(*least), i64::from(*most)) {
            match node {
                Node::Group(inner) => draw(inner, dice, out),
                Node::Class(ranges) if ranges.is_empty() => {}
                Node::Class(ranges) => {
                    let (least, most) = ranges[dice.below(ranges.len())];
                    let drawn = dice.between(i64::from(u32::from(least)), i64::from(u32::from(most)));
                    out.extend(u32::try_from(drawn).ok().and_then(char::from_u32));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_what_is_drawn() {
        for (pattern, allowed) in [
            ("[ab]{3}", vec!["aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"]),
            ("x|y(z)?", vec!["x", "y", "yz"]),
            ("(arn:(aws-cn)?:a)|()", vec!["arn::a", "arn:aws-cn:a", ""]),
            (r"\$LATEST(\.PUBLISHED)?", vec!["$LATEST", "$LATEST.PUBLISHED"]),
            (r"(?!^[0-9]+$)([0-9-]{1})", vec!["-"]),
            (r"[a.]{1}(?<!\.)", vec!["a"]),
            ("[a-b-]{1}", vec!["a", "b", "-"]),
            (r"[\x41-\x42]", vec!["A", "B"]),
        ] {
            let mut drawn: Vec<String> =
                (0..200).map(|number| text(pattern, 0, 100, &mut Dice::of(1, number))).collect();
            drawn.sort();
            drawn.dedup();
            let mut allowed = allowed;
            allowed.sort_unstable();
            assert_eq!(drawn, allowed, "{pattern}");
        }
    }
}
