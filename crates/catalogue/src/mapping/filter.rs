//! Filter patterns of event source mappings: which texts are patterns. Pure.
//!
//! A pattern is a JSON object in EventBridge's pattern language. What is accepted here is what the pollers will
//! be able to evaluate.
//!
//! Source: Lambda Developer Guide, "Control which events Lambda sends to your function"; EventBridge User Guide,
//! "Comparison operators"; recorded refusals.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// Longest pattern, in characters. Source: the service model.
pub const PATTERN_CHARS: usize = 4096;

/// Most alternatives that the `$or`s of one pattern multiply to. Source: EventBridge User Guide, "Using `$or`".
const ALTERNATIVES: usize = 1000;

/// Largest number that `numeric` compares with, and the negative of the smallest.
///
/// Source: EventBridge User Guide, "Numeric matching".
const NUMERIC: f64 = 5e9;

/// The field that joins alternatives.
const OR: &str = "$or";

/// The words that begin a comparison.
const OPERATORS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

/// A text that is no filter pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Longer than [`PATTERN_CHARS`].
    #[error("the pattern is longer than {PATTERN_CHARS} characters")]
    Long,
    /// Not JSON, or deeper than a parser follows.
    #[error("the pattern is not JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("the pattern is not a JSON object")]
    NotObject,
    /// An object or a list with nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// A field's value is neither an object nor a list.
    #[error("{0} is neither an object nor a list of values")]
    NotList(String),
    /// A list in a list.
    #[error("{0} has a list among its values")]
    Nested(String),
    /// A comparison that is not one operator.
    #[error("{0} has a comparison that is not one known operator")]
    Operator(String),
    /// An operator that cannot have this operand.
    #[error("{field} has an operand that {operator} cannot have")]
    Operand {
        /// Where.
        field: String,
        /// Which.
        operator: &'static str,
    },
    /// More than [`ALTERNATIVES`].
    #[error("the pattern has more than {ALTERNATIVES} alternatives")]
    Alternatives,
}

/// Whether `text` is a filter pattern.
pub fn check(text: &str) -> Result<(), FilterError> {
    if text.chars().count() > PATTERN_CHARS {
        return Err(FilterError::Long);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| FilterError::Json(error.to_string()))?;
    let Value::Object(pattern) = value else {
        return Err(FilterError::NotObject);
    };
    match object("the pattern", &pattern)? {
        0..=ALTERNATIVES => Ok(()),
        _ => Err(FilterError::Alternatives),
    }
}

/// Checks the fields of `pattern` and counts the alternatives that they multiply to.
fn object(place: &str, pattern: &Map<String, Value>) -> Result<usize, FilterError> {
    if pattern.is_empty() {
        return Err(FilterError::Empty(place.to_owned()));
    }
    let mut alternatives = 1_usize;
    for (name, value) in pattern {
        alternatives = alternatives.saturating_mul(field(name, value)?);
    }
    Ok(alternatives)
}

fn field(name: &str, value: &Value) -> Result<usize, FilterError> {
    match value {
        Value::Object(below) => object(name, below),
        Value::Array(values) if name == OR && joins(values) => {
            let branches = values.iter().filter_map(Value::as_object);
            branches
                .map(|branch| object(name, branch))
                .try_fold(0_usize, |sum, count| Ok(sum.saturating_add(count?)))
        }
        Value::Array(values) if values.is_empty() => Err(FilterError::Empty(name.to_owned())),
        Value::Array(values) => values.iter().try_for_each(|value| leaf(name, value)).map(|()| 1),
        _ => Err(FilterError::NotList(name.to_owned())),
    }
}

/// Whether the values of a field called `$or` are alternatives: a field may be called so too, and then its values
/// are values or comparisons.
fn joins(values: &[Value]) -> bool {
    let branch = |value: &Value| {
        value.as_object().is_some_and(|fields| !fields.keys().any(|name| OPERATORS.contains(&name.as_str())))
    };
    values.len() > 1 && values.iter().all(branch)
}

/// One of the values of which a field must have one.
fn leaf(name: &str, value: &Value) -> Result<(), FilterError> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(_) => Err(FilterError::Nested(name.to_owned())),
        Value::Object(comparison) => compare(name, comparison),
    }
}

fn compare(name: &str, comparison: &Map<String, Value>) -> Result<(), FilterError> {
    let unknown = || FilterError::Operator(name.to_owned());
    let mut members = comparison.iter();
    let (Some((word, operand)), None) = (members.next(), members.next()) else {
        return Err(unknown());
    };
    let operator = *OPERATORS.iter().find(|operator| **operator == *word).ok_or_else(unknown)?;
    let sound = match operator {
        "exists" => operand.is_boolean(),
        "prefix" | "suffix" => operand.is_string() || ignores_case(operand),
        "equals-ignore-case" => operand.is_string(),
        "wildcard" => operand.as_str().is_some_and(wildcard),
        "cidr" => operand.as_str().is_some_and(cidr),
        "numeric" => operand.as_array().is_some_and(|range| numeric(range)),
        _ => anything_but(operand),
    };
    if sound { Ok(()) } else { Err(FilterError::Operand { field: name.to_owned(), operator }) }
}

/// `{"equals-ignore-case": "text"}`, as `prefix` and `suffix` take it.
fn ignores_case(operand: &Value) -> bool {
    let members = operand.as_object().filter(|members| members.len() == 1);
    members.and_then(|members| members.get("equals-ignore-case")).is_some_and(Value::is_string)
}

/// A value, a list of values of one kind, or one of the comparisons of text with such.
fn anything_but(operand: &Value) -> bool {
    let texts = |operand: &Value, sound: fn(&str) -> bool| match operand {
        Value::String(text) => sound(text),
        Value::Array(values) => {
            !values.is_empty() && values.iter().all(|value| value.as_str().is_some_and(sound))
        }
        _ => false,
    };
    match operand {
        Value::Number(_) => true,
        Value::Array(values) if values.iter().all(Value::is_number) => !values.is_empty(),
        Value::Object(comparison) => {
            let mut members = comparison.iter();
            match (members.next(), members.next()) {
                (Some((word, operand)), None) => match word.as_str() {
                    "prefix" | "suffix" | "equals-ignore-case" => texts(operand, |_| true),
                    "wildcard" => texts(operand, wildcard),
                    _ => false,
                },
                _ => false,
            }
        }
        _ => texts(operand, |_| true),
    }
}

/// `["=", n]`, one bound, or a lower and then a higher upper bound.
fn numeric(range: &[Value]) -> bool {
    let bound = |pair: &[Value]| match pair {
        [Value::String(sign), Value::Number(number)] => {
            let number = number.as_f64().filter(|number| number.abs() <= NUMERIC)?;
            Some((sign.clone(), number))
        }
        _ => None,
    };
    match range {
        [_, _] => {
            bound(range).is_some_and(|(sign, _)| matches!(sign.as_str(), "=" | "<" | "<=" | ">" | ">="))
        }
        [_, _, _, _] => match (bound(&range[..2]), bound(&range[2..])) {
            (Some((above, low)), Some((below, high))) => {
                matches!(above.as_str(), ">" | ">=") && matches!(below.as_str(), "<" | "<=") && low < high
            }
            _ => false,
        },
        _ => false,
    }
}

/// An address and how many of its bits count.
fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Stars never follow each other, and a backslash is before a star or a backslash.
fn wildcard(text: &str) -> bool {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let sound = match character {
            '\\' => matches!(characters.next(), Some('*' | '\\')),
            '*' => characters.peek() != Some(&'*'),
            _ => true,
        };
        if !sound {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guides_show_is_a_pattern() {
        for text in [
            r#"{"body":{"Temperature":["hot"]}}"#,
            r#"{"a":[null,"",true,1,-2.5,"x"]}"#,
            r#"{"a":{"b":{"c":["deep"]}},"d":[1]}"#,
            r#"{"a":[{"exists":true}],"b":[{"exists":false}]}"#,
            r#"{"a":[{"prefix":"us-"},{"suffix":".png"},{"equals-ignore-case":"AlIcE"}]}"#,
            r#"{"a":[{"prefix":{"equals-ignore-case":"us-"}}]}"#,
            r#"{"a":[{"anything-but":"x"},{"anything-but":5},{"anything-but":["a","b"]},{"anything-but":[1,2]}]}"#,
            r#"{"a":[{"anything-but":{"prefix":"init"}},{"anything-but":{"suffix":["a","b"]}}]}"#,
            r#"{"a":[{"numeric":["=",100]},{"numeric":[">",0,"<=",5]},{"numeric":[">=",-5e9]}]}"#,
            r#"{"a":[{"cidr":"10.0.0.0/24"},{"cidr":"2001:db8::/32"}]}"#,
            r#"{"a":[{"wildcard":"dir/*.png"},{"wildcard":"a\\*b\\\\*"}]}"#,
            r#"{"$or":[{"a":["x"]},{"b":{"c":["y"]}}],"d":["z"]}"#,
            r#"{"a":{"$or":[{"b":[1]},{"c":[2]},{"d":[3]}]}}"#,
            r#"{"$or":["a field of that name"]}"#,
            r#"{"a":["first"],"a":["the last of equal names counts"]}"#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_for_its_reason() {
        for (text, expected) in [
            (r"plain", "the pattern is not JSON"),
            (r#"{"eventName": ["INSERT"=123}"#, "the pattern is not JSON"),
            (r"", "the pattern is not JSON"),
            (r#"{"a":[1]} x"#, "the pattern is not JSON"),
            (r#""text""#, "the pattern is not a JSON object"),
            (r"null", "the pattern is not a JSON object"),
            (r#"[{"a":[1]}]"#, "the pattern is not a JSON object"),
            (r"{}", "the pattern is empty"),
            (r#"{"a":{}}"#, "a is empty"),
            (r#"{"a":[]}"#, "a is empty"),
            (r#"{"a":"x"}"#, "a is neither an object nor a list of values"),
            (r#"{"a":null}"#, "a is neither an object nor a list of values"),
            (r#"{"a":[["x"]]}"#, "a has a list among its values"),
            (r#"{"a":[{}]}"#, "a has a comparison that is not one known operator"),
            (r#"{"a":[{"like":"x"}]}"#, "a has a comparison that is not one known operator"),
            (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "a has a comparison that is not one known operator"),
            (r#"{"$or":[{"a":["x"]}]}"#, "$or has a comparison that is not one known operator"),
            (r#"{"a":[{"exists":"yes"}]}"#, "a has an operand that exists cannot have"),
            (r#"{"a":[{"prefix":1}]}"#, "a has an operand that prefix cannot have"),
            (r#"{"a":[{"suffix":{"prefix":"x"}}]}"#, "a has an operand that suffix cannot have"),
            (
                r#"{"a":[{"equals-ignore-case":["x"]}]}"#,
                "a has an operand that equals-ignore-case cannot have",
            ),
            (r#"{"a":[{"anything-but":["x",1]}]}"#, "a has an operand that anything-but cannot have"),
            (r#"{"a":[{"anything-but":[]}]}"#, "a has an operand that anything-but cannot have"),
            (
                r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#,
                "a has an operand that anything-but cannot have",
            ),
            (r#"{"a":[{"numeric":["=",5000000001]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"numeric":["=","1"]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"numeric":["!",1]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"numeric":[">",5,"<",5]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"numeric":[]}]}"#, "a has an operand that numeric cannot have"),
            (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "a has an operand that cidr cannot have"),
            (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "a has an operand that cidr cannot have"),
            (r#"{"a":[{"wildcard":"a**b"}]}"#, "a has an operand that wildcard cannot have"),
            (r#"{"a":[{"wildcard":"a\\b"}]}"#, "a has an operand that wildcard cannot have"),
        ] {
            let words = check(text).expect_err(text).to_string();
            assert!(words.starts_with(expected), "{text}: {words}");
        }
    }

    #[test]
    fn hostile_patterns_end_soon() {
        assert_eq!(check(&"x".repeat(PATTERN_CHARS + 1)), Err(FilterError::Long));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(600), "}".repeat(600));
        assert!(matches!(check(&deep), Err(FilterError::Json(_))));
        let either = |n: usize| format!(r#""{n}":{{"$or":[{{"a":[1]}},{{"b":[1]}}]}}"#);
        let many = |n: usize| format!("{{{}}}", (0..n).map(either).collect::<Vec<_>>().join(","));
        assert_eq!(check(&many(9)), Ok(()));
        assert_eq!(check(&many(10)), Err(FilterError::Alternatives));
        assert_eq!(check(&many(90)), Err(FilterError::Alternatives));
    }
}
