//! The functions of one row's values.
//!
//! Source: the user guide, "Boolean, comparison, numeric, datetime, and other functions".

mod address;
mod text;

use super::QUERY_BYTES;
use super::value::Value;

/// A function and how many arguments it takes.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    name: &'static str,
    least: usize,
    most: usize,
    call: fn(&[Value]) -> Value,
}

const MANY: usize = usize::MAX;

/// Longest text that a function makes, in bytes; a longer one is missing.
const TEXT_BYTES: usize = QUERY_BYTES / 16;

const FUNCTIONS: [Function; 29] = [
    Function::new("abs", 1, 1, |a| number(a, f64::abs)),
    Function::new("ceil", 1, 1, |a| number(a, f64::ceil)),
    Function::new("floor", 1, 1, |a| number(a, f64::floor)),
    Function::new("log", 1, 1, |a| number(a, f64::ln)),
    Function::new("sqrt", 1, 1, |a| number(a, f64::sqrt)),
    Function::new("greatest", 1, MANY, |a| extreme(a, f64::max)),
    Function::new("least", 1, MANY, |a| extreme(a, f64::min)),
    Function::new("fromMillis", 1, 1, |a| {
        a[0].number().map_or(Value::Missing, |millis| Value::Time(millis as i64))
    }),
    Function::new("toMillis", 1, 1, |a| number(a, |millis| millis)),
    Function::new("ispresent", 1, 1, |a| Value::Truth(!a[0].is_missing())),
    Function::new("coalesce", 1, MANY, |a| {
        a.iter().find(|v| !v.is_missing()).cloned().unwrap_or(Value::Missing)
    }),
    Function::new("isempty", 1, 1, |a| Value::Truth(a[0].shown().is_empty())),
    Function::new("isblank", 1, 1, |a| Value::Truth(a[0].shown().trim().is_empty())),
    Function::new("concat", 1, MANY, text::concat),
    Function::new("ltrim", 1, 2, |a| text::trim(a, true, false)),
    Function::new("rtrim", 1, 2, |a| text::trim(a, false, true)),
    Function::new("trim", 1, 2, |a| text::trim(a, true, true)),
    Function::new("strlen", 1, 1, text::length),
    Function::new("toupper", 1, 1, |a| text::map(a, str::to_uppercase)),
    Function::new("tolower", 1, 1, |a| text::map(a, str::to_lowercase)),
    Function::new("substr", 2, 3, text::part),
    Function::new("replace", 3, 3, text::replace),
    Function::new("strcontains", 2, 2, text::contains),
    Function::new("isValidIp", 1, 1, |a| address::valid(a, |_| true)),
    Function::new("isValidIpv4", 1, 1, |a| address::valid(a, |ip| ip.is_ipv4())),
    Function::new("isValidIpv6", 1, 1, |a| address::valid(a, |ip| ip.is_ipv6())),
    Function::new("isIpInSubnet", 2, 2, |a| address::within(a, |_| true)),
    Function::new("isIpv4InSubnet", 2, 2, |a| address::within(a, |ip| ip.is_ipv4())),
    Function::new("isIpv6InSubnet", 2, 2, |a| address::within(a, |ip| ip.is_ipv6())),
];

impl Function {
    const fn new(name: &'static str, least: usize, most: usize, call: fn(&[Value]) -> Value) -> Self {
        Self { name, least, most, call }
    }

    /// A function by its name, in whatever case.
    pub fn find(name: &str) -> Option<Self> {
        FUNCTIONS.into_iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    pub fn takes(&self, arguments: usize) -> bool {
        (self.least..=self.most).contains(&arguments)
    }

    /// Its value. There are as many arguments as [`Function::takes`] said.
    pub fn call(&self, arguments: &[Value]) -> Value {
        match (self.call)(arguments) {
            Value::Text(text) if text.len() > TEXT_BYTES => Value::Missing,
            value => value,
        }
    }
}

fn number(arguments: &[Value], calculate: impl Fn(f64) -> f64) -> Value {
    arguments[0].number().map_or(Value::Missing, |number| Value::finite(calculate(number)))
}

fn extreme(arguments: &[Value], better: impl Fn(f64, f64) -> f64) -> Value {
    arguments.iter().filter_map(Value::number).reduce(better).map_or(Value::Missing, Value::finite)
}
