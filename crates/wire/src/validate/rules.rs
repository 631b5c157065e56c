//! What breaks a constraint, and the words for it.

use std::fmt::Write as _;

use super::pattern;
use crate::schema::{Kind, Shape};
use crate::value::{Structure, Value};

/// Violations told of one request; more are left out, so that no answer grows without bound.
const MOST: usize = 100;

/// Bytes of a value that are shown; an answer that repeats megabytes helps nobody.
const LONGEST_SHOWN: usize = 16 * 1024;

/// All violations of an input structure, in the model's order of members.
pub fn violations(shape: &'static Shape, input: &Value) -> Vec<String> {
    let mut found = Found { violations: Vec::new() };
    if let Value::Structure(structure) = input {
        found.structure(shape, structure, "");
    }
    found.violations
}

struct Found {
    violations: Vec<String>,
}

impl Found {
    fn push(&mut self, violation: String) {
        if self.violations.len() < MOST {
            self.violations.push(violation);
        }
    }

    fn structure(&mut self, shape: &'static Shape, structure: &Structure, path: &str) {
        for (at, member) in shape.members().iter().enumerate() {
            let path = joined(path, member.name);
            match structure.get(at) {
                Some(value) => self.value(member.shape, value, &path),
                None if member.required => {
                    self.push(told("Value null", &path, "Member must not be null"));
                }
                None => {}
            }
        }
    }

    /// A member, or an item that has members of its own.
    fn value(&mut self, shape: &'static Shape, value: &Value, path: &str) {
        for broken in broken(shape, value) {
            self.push(told(&shown(shape, value), path, &broken));
        }
        match (value, &shape.kind) {
            (Value::Structure(structure), _) => self.structure(shape, structure, path),
            (Value::List(items), Kind::List(item)) => self.list(shape, item, value, items, path),
            (Value::Map(entries), Kind::Map { key, value: inner }) => {
                self.map(shape, (key, inner), value, entries, path);
            }
            _ => {}
        }
    }

    /// A list whose items are scalars is told as a whole, with every constraint of its items.
    fn list(&mut self, shape: &Shape, item: &'static Shape, value: &Value, items: &[Value], path: &str) {
        if items.iter().any(|inner| breaks(item, inner)) {
            let wrapped = format!("Member must satisfy constraint: [{}]", constraints(item));
            self.push(told(&shown(shape, value), path, &wrapped));
        }
        if let Some(among) = shape.among
            && items
                .iter()
                .any(|inner| matches!(inner, Value::String(text) if !among.taken.contains(&&**text)))
        {
            // Told before all else. Source: recorded refusal of a layer's runtimes and architectures.
            self.violations.insert(0, told(&shown(shape, value), path, &enum_constraint(among.printed)));
        }
        for (at, inner) in items.iter().enumerate().filter(|(_, inner)| is_nested(inner)) {
            self.value(item, inner, &format!("{path}.{}.member", at + 1));
        }
    }

    fn map(
        &mut self,
        shape: &Shape,
        (key, inner): (&'static Shape, &'static Shape),
        value: &Value,
        entries: &[(String, Value)],
        path: &str,
    ) {
        if entries.iter().any(|(_, value)| breaks(inner, value)) {
            let wrapped = format!("Map value must satisfy constraint: [{}]", constraints(inner));
            self.push(told(&shown(shape, value), path, &wrapped));
        }
        if entries.iter().any(|(text, _)| breaks_text(key, text)) {
            let wrapped = format!("Map keys must satisfy constraint: [{}]", constraints(key));
            self.push(told(&shown(shape, value), path, &wrapped));
        }
        for (name, value) in entries.iter().filter(|(_, value)| is_nested(value)) {
            self.value(inner, value, &format!("{path}.{name}.member"));
        }
    }
}

fn told(value: &str, path: &str, constraint: &str) -> String {
    format!("{value} at '{path}' failed to satisfy constraint: {constraint}")
}

/// `vpcConfig.subnetIds`: names as the JSON has them, each with its first letter in lower case.
fn joined(path: &str, name: &str) -> String {
    let mut joined = String::from(path);
    if !path.is_empty() {
        joined.push('.');
    }
    joined.push_str(&lower_camel(name));
    joined
}

/// Only the first letter: `KMSKeyArn` is `kMSKeyArn`.
fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// Items that are reported under a path of their own.
fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Structure(_) | Value::List(_) | Value::Map(_))
}

/// Whether an item of a list or a value of a map breaks what its own shape demands.
fn breaks(shape: &Shape, value: &Value) -> bool {
    match value {
        Value::Null => true,
        _ if is_nested(value) => false,
        _ => !broken(shape, value).is_empty(),
    }
}

fn breaks_text(shape: &Shape, text: &str) -> bool {
    !broken_text(shape, text).is_empty()
}

/// The constraints of the shape itself that a value breaks, worded.
fn broken(shape: &Shape, value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => broken_text(shape, text),
        Value::Integer(number) => broken_bounds(shape, *number as f64, Bound::Value),
        Value::Double(number) => broken_bounds(shape, *number, Bound::Value),
        Value::List(items) => broken_bounds(shape, items.len() as f64, Bound::Length),
        Value::Map(entries) => broken_bounds(shape, entries.len() as f64, Bound::Length),
        Value::Blob(bytes) => broken_bounds(shape, bytes.len() as f64, Bound::Length),
        Value::Null | Value::Boolean(_) | Value::Timestamp(_) | Value::Structure(_) => Vec::new(),
    }
}

fn broken_text(shape: &Shape, text: &str) -> Vec<String> {
    let mut broken = broken_bounds(shape, text.chars().count() as f64, Bound::Length);
    if let Kind::String { values } = shape.kind
        && !values.is_empty()
        && !values.contains(&text)
    {
        broken.push(enum_constraint(values));
    }
    // A text that is far too long is not matched as well: time for patterns is bounded by lengths.
    let in_bounds = broken.is_empty() || text.len() <= pattern::LONGEST;
    if let Some(pattern) = shape.pattern.filter(|pattern| in_bounds && !pattern::matches(pattern, text)) {
        broken.push(pattern_constraint(pattern));
    }
    broken
}

#[derive(Clone, Copy)]
enum Bound {
    Length,
    Value,
}

fn broken_bounds(shape: &Shape, measured: f64, bound: Bound) -> Vec<String> {
    let above = shape.max.filter(|max| measured > *max).map(|max| at_most(shape, max, bound));
    let below = shape.min.filter(|min| measured < *min).map(|min| at_least(shape, min, bound));
    above.into_iter().chain(below).collect()
}

fn at_most(shape: &Shape, max: f64, bound: Bound) -> String {
    format!("Member must have {} less than or equal to {}", measure(bound), limit(shape, max))
}

fn at_least(shape: &Shape, min: f64, bound: Bound) -> String {
    format!("Member must have {} greater than or equal to {}", measure(bound), limit(shape, min))
}

fn measure(bound: Bound) -> &'static str {
    match bound {
        Bound::Length => "length",
        Bound::Value => "value",
    }
}

/// Bounds of floating-point shapes are told with a decimal, all others without.
fn limit(shape: &Shape, limit: f64) -> String {
    match shape.kind {
        Kind::Double => format!("{limit:?}"),
        _ => format!("{limit:.0}"),
    }
}

fn enum_constraint(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

fn pattern_constraint(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

/// Everything that the shape demands, as wrappers list it whichever part was broken.
fn constraints(shape: &Shape) -> String {
    let bound = match shape.kind {
        Kind::Integer | Kind::Long | Kind::Double => Bound::Value,
        _ => Bound::Length,
    };
    let mut all: Vec<String> = Vec::new();
    all.extend(shape.max.map(|max| at_most(shape, max, bound)));
    all.extend(shape.min.map(|min| at_least(shape, min, bound)));
    if let Kind::String { values } = shape.kind
        && !values.is_empty()
    {
        all.push(enum_constraint(values));
    }
    all.extend(shape.pattern.map(pattern_constraint));
    all.push("Member must not be null".into());
    all.join(", ")
}

/// `Value '[a, b]'`; what the model calls sensitive, and bytes, are not shown.
fn shown(shape: &Shape, value: &Value) -> String {
    if shape.sensitive || matches!(value, Value::Blob(_)) {
        return "Value".into();
    }
    let mut text = String::from("Value '");
    print(&mut text, shape, value);
    if text.len() > LONGEST_SHOWN {
        text.truncate(text.floor_char_boundary(LONGEST_SHOWN));
        text.push_str("...");
    }
    text.push('\'');
    text
}

/// Prints a value as Java does.
fn print(out: &mut String, shape: &Shape, value: &Value) {
    // Writing to memory cannot fail.
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Boolean(flag) => write!(out, "{flag}"),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Double(number) => write!(out, "{number:?}"),
        Value::String(text) => write!(out, "{text}"),
        Value::Timestamp(moment) => write!(out, "{moment}"),
        Value::Blob(_) | Value::Structure(_) => write!(out, "..."),
        Value::List(items) => {
            let inner = if let Kind::List(item) = shape.kind { item } else { shape };
            out.push('[');
            print_between(out, items, |out, item| print_item(out, inner, item));
            out.push(']');
            Ok(())
        }
        Value::Map(entries) => {
            let inner = if let Kind::Map { value, .. } = shape.kind { value } else { shape };
            out.push('{');
            print_between(out, entries, |out, (key, value)| {
                out.push_str(key);
                out.push('=');
                print_item(out, inner, value);
            });
            out.push('}');
            Ok(())
        }
    };
}

fn print_item(out: &mut String, shape: &Shape, value: &Value) {
    if shape.sensitive {
        out.push_str("...");
    } else {
        print(out, shape, value);
    }
}

fn print_between<T>(out: &mut String, items: &[T], print: impl Fn(&mut String, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        print(out, item);
    }
}
