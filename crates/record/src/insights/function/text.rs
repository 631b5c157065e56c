//! Functions of texts. What is missing gives what is missing, but for `concat`, which leaves it out.

use super::TEXT_BYTES;
use crate::insights::value::Value;

pub fn map(arguments: &[Value], change: impl Fn(&str) -> String) -> Value {
    match &arguments[0] {
        Value::Missing => Value::Missing,
        value => Value::text(change(&value.shown())),
    }
}

pub fn concat(arguments: &[Value]) -> Value {
    Value::text(arguments.iter().map(Value::shown).collect::<String>())
}

/// Characters; Unicode code points.
pub fn length(arguments: &[Value]) -> Value {
    match &arguments[0] {
        Value::Missing => Value::Missing,
        value => Value::Number(value.shown().chars().count() as f64),
    }
}

/// White space, or the text of the second argument as often as it is there.
pub fn trim(arguments: &[Value], left: bool, right: bool) -> Value {
    let what = arguments.get(1).map(Value::shown);
    map(arguments, |text| {
        let mut text = text;
        if left {
            text = match what.as_deref() {
                None => text.trim_start(),
                Some("") => text,
                Some(what) => text.trim_start_matches(what),
            };
        }
        if right {
            text = match what.as_deref() {
                None => text.trim_end(),
                Some("") => text,
                Some(what) => text.trim_end_matches(what),
            };
        }
        text.into()
    })
}

/// From a place on, as many characters as asked for.
pub fn part(arguments: &[Value]) -> Value {
    let count = |value: &Value| value.number().filter(|number| *number >= 0.0).map(|number| number as usize);
    let Some(start) = count(&arguments[1]) else { return Value::Missing };
    let length = match arguments.get(2).map(count) {
        None => usize::MAX,
        Some(Some(length)) => length,
        Some(None) => return Value::Missing,
    };
    map(arguments, |text| text.chars().skip(start).take(length).collect())
}

pub fn replace(arguments: &[Value]) -> Value {
    let (from, to) = (arguments[1].shown(), arguments[2].shown());
    if from.is_empty() {
        return arguments[0].clone();
    }
    let text = arguments[0].shown();
    let longest = (text.len() / from.len() + 1).saturating_mul(to.len()).saturating_add(text.len());
    if longest > 2 * TEXT_BYTES {
        return Value::Missing;
    }
    map(arguments, |text| text.replace(&*from, &to))
}

pub fn contains(arguments: &[Value]) -> Value {
    let found = !arguments[0].is_missing() && arguments[0].shown().contains(&*arguments[1].shown());
    Value::Number(f64::from(u8::from(found)))
}
