//! Inputs that are valid no more.

use super::dice::Dice;
use super::json::Json;
use super::known;

/// Numbers that types, bounds and parsers disagree about.
const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "1e2",
    "127",
    "10241",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-1e999",
    "1e-999",
    "123456789012345678901234567890123456789012345678901234567890",
];
const TEXTS: [&str; 24] = [
    "",
    " ",
    "tea",
    "TEA",
    "..",
    "../../etc/passwd",
    "/",
    ":",
    "$LATEST",
    "$LATEST.PUBLISHED",
    "null",
    "*",
    "%00",
    "\u{0}",
    "\u{1}\n\r\t",
    "'\"\\<>&;",
    "${AWS_REGION}",
    "\u{202E}eat",
    "\u{1F375}\u{200D}\u{1F375}",
    "e\u{301}\u{301}\u{301}",
    "\u{FFFF}",
    "\u{10FFFF}",
    "arn:",
    "arn:aws:lambda:us-east-1:000000000000:function:",
];
/// No value, or none that a careful parser takes.
const RAWS: [&str; 16] = [
    "",
    "{",
    "]",
    "nul",
    "NaN",
    "Infinity",
    "01",
    "+1",
    ".5",
    "'a'",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\\x\"",
    "\"a\nb\"",
    "1,",
    "/* */ 1",
];
const LENGTHS: [usize; 6] = [65, 141, 257, 1025, 20_481, 120_000];
const DEPTHS: [usize; 4] = [20, 127, 129, 20_000];
const COUNTS: [usize; 4] = [6, 51, 101, 5_000];

/// Bytes that one change adds at most: more would only take time.
const MOST: usize = 300_000;

/// Changes one to three things.
pub fn mutate(input: &mut Json, dice: &mut Dice) {
    for _ in 0..1 + dice.below(3) {
        let place = dice.below(input.size());
        let Some(value) = input.at(place) else { return };
        match value {
            Json::Object(members) => change_members(members, dice),
            _ => *value = replacement(value, dice),
        }
    }
}

fn change_members(members: &mut Vec<(String, Json)>, dice: &mut Dice) {
    let at = dice.below(members.len());
    let other = any(dice);
    let Some((name, value)) = members.get(at).cloned() else {
        members.push(("Tea".into(), other));
        return;
    };
    match dice.below(10) {
        0..=2 => drop(members.remove(at)),
        3 => members.push((name, value)),
        4 => members.insert(at, (name, other)),
        5 => members[at].0 = swapped_case(&name),
        6 => members.push((text(dice), other)),
        7 => {
            let copies = copies(&value, dice);
            members.extend((0..copies).map(|number| (format!("{name}{number}"), value.clone())));
        }
        8 => members[at].1 = Json::Null,
        _ => members[at].1 = other,
    }
}

/// Often of the same kind, else of any.
fn replacement(value: &Json, dice: &mut Dice) -> Json {
    match value {
        Json::Text(old) if dice.chance(60) => Json::Text(changed(old, dice)),
        Json::Raw(_) if dice.chance(60) => Json::Raw(dice.pick(&NUMBERS).to_owned()),
        Json::Bytes(bytes) if dice.chance(60) => broken_bytes(bytes, dice),
        Json::List(items) if dice.chance(60) => {
            let item = items.first().cloned().unwrap_or_else(|| any(dice));
            Json::List(vec![item.clone(); copies(&item, dice)])
        }
        _ => any(dice),
    }
}

/// How many of a value there are to be.
fn copies(value: &Json, dice: &mut Dice) -> usize {
    let wanted = dice.below(COUNTS.len());
    COUNTS[wanted].min(1 + MOST / (1 + value.write().len()))
}

fn any(dice: &mut Dice) -> Json {
    match dice.below(11) {
        0 => Json::Null,
        1 => Json::Bool(dice.chance(50)),
        2 => Json::Raw(dice.pick(&NUMBERS).to_owned()),
        3 => Json::Raw(dice.pick(&RAWS).to_owned()),
        4 => Json::List(Vec::new()),
        5 => Json::List(vec![Json::Null, Json::text(text(dice))]),
        6 => Json::Object(Vec::new()),
        7 => Json::Object(vec![(text(dice), Json::text(text(dice)))]),
        8 => deep(dice),
        _ => Json::Text(text(dice)),
    }
}

fn text(dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => known::arn(dice),
        1 => {
            let length = LENGTHS[dice.below(LENGTHS.len())];
            dice.pick(&["a", "1", "é", ":"]).repeat(length)
        }
        _ => dice.pick(&TEXTS).to_owned(),
    }
}

/// A text of another kind, or the same with something in it.
fn changed(old: &str, dice: &mut Dice) -> String {
    let at = dice.below(old.len() + 1);
    let (before, after) = old.split_at(old.floor_char_boundary(at));
    match dice.below(6) {
        0 => format!("{before}{}{after}", dice.pick(&TEXTS)),
        1 => before.to_owned(),
        2 => swapped_case(old),
        3 => old.repeat((2 + dice.below(40)).min(1 + MOST / (1 + old.len()))),
        _ => text(dice),
    }
}

fn swapped_case(text: &str) -> String {
    let swapped = |char: char| {
        if char.is_ascii_lowercase() { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() }
    };
    text.chars().map(swapped).collect()
}

/// Base64 that is none, or bytes that are no archive.
fn broken_bytes(bytes: &[u8], dice: &mut Dice) -> Json {
    let mut bytes = bytes.to_vec();
    match dice.below(5) {
        0 => return Json::text("not base64!"),
        1 => return Json::text("YWJ"),
        2 => bytes.truncate(dice.below(bytes.len() + 1)),
        3 => bytes = dice.bytes(300),
        _ => {
            for _ in 0..1 + dice.below(8) {
                let at = dice.below(bytes.len());
                let noise = dice.next() as u8;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= noise;
                }
            }
        }
    }
    Json::Bytes(bytes)
}

fn deep(dice: &mut Dice) -> Json {
    let depth = DEPTHS[dice.below(DEPTHS.len())];
    let (open, close) = if dice.chance(50) { ("[", "]") } else { ("{\"a\":", "}") };
    Json::Raw(format!("{}1{}", open.repeat(depth), close.repeat(depth)))
}
