//! The model's patterns, matched as Java matches them: the whole text, `\d` and `\w` in ASCII.
//!
//! The `regex` crate has no look-around, which is what makes its time linear; the few patterns that look around
//! have equivalents here that do not.

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use regex::Regex;

/// Texts beyond this are not matched when their length already breaks a bound, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// The model's text, what to match instead, and what must not match.
///
/// `(?!\d+$)` before a run of word characters says that one of them is no digit.
const EQUIVALENTS: &[(&str, &str, Option<&str>)] = &[
    (r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", r"[0-9]*[a-zA-Z\-_][a-zA-Z0-9\-_]*", None),
    (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", r"[0-9]*[a-zA-Z\-_][a-zA-Z0-9\-_]*", None),
    (
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:([0-9]*[a-zA-Z\-_][a-zA-Z0-9\-_]*))?",
        None,
    ),
    (r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)", r"[_a-zA-Z0-9][^$]*", Some(r"system\x2e[\s\S]*")),
    (r"[0-9A-Za-z\.\-_]*(?<!\.)", r"[0-9A-Za-z\.\-_]*", Some(r"[\s\S]*\.")),
];

struct Matcher {
    accepts: Regex,
    refuses: Option<Regex>,
}

/// Whether the whole text matches the model's pattern.
///
/// A pattern that cannot be read matches everything; a test makes sure that there is none.
pub fn matches(pattern: &'static str, text: &str) -> bool {
    static MATCHERS: LazyLock<RwLock<HashMap<&'static str, Option<&'static Matcher>>>> =
        LazyLock::new(Default::default);
    let cached = MATCHERS.read().ok().and_then(|matchers| matchers.get(pattern).copied());
    let matcher = cached.unwrap_or_else(|| {
        // Kept for good: there are as many as the models have patterns.
        let matcher = compile(pattern).map(|matcher| &*Box::leak(Box::new(matcher)));
        match MATCHERS.write() {
            Ok(mut matchers) => *matchers.entry(pattern).or_insert(matcher),
            Err(_) => matcher,
        }
    });
    matcher.is_none_or(|matcher| {
        matcher.accepts.is_match(text) && !matcher.refuses.as_ref().is_some_and(|regex| regex.is_match(text))
    })
}

fn compile(pattern: &str) -> Option<Matcher> {
    let equivalent = EQUIVALENTS.iter().find(|(model, ..)| *model == pattern);
    let (accepts, refuses) = equivalent.map_or((pattern, None), |(_, accepts, refuses)| (*accepts, *refuses));
    let whole = |text: &str| Regex::new(&format!("^(?:{})$", translated(text))).ok();
    let refuses = match refuses {
        Some(text) => Some(whole(text)?),
        None => None,
    };
    Some(Matcher { accepts: whole(accepts)?, refuses })
}

/// Java's ASCII classes, which are Unicode in the `regex` crate, and a literal `-` after a class.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut inside = false;
    let mut after_class = false;
    while let Some(char) = chars.next() {
        let was_class = std::mem::take(&mut after_class);
        match char {
            '\\' => {
                let escaped = chars.next().unwrap_or('\\');
                after_class = inside && matches!(escaped, 'd' | 'w' | 's' | 'D' | 'W' | 'S');
                out.push_str(&escape(escaped, inside));
            }
            // `[\w-_]`: after a class no range can begin, so the `-` is itself.
            '-' if was_class => out.push_str(r"\-"),
            '[' if inside => out.push_str(r"\["),
            '[' => {
                inside = true;
                out.push('[');
            }
            ']' if inside => {
                inside = false;
                out.push(']');
            }
            '.' if !inside => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            _ => out.push(char),
        }
    }
    out
}

fn escape(escaped: char, inside: bool) -> String {
    let class = match escaped {
        'd' => "0-9",
        'w' => "a-zA-Z_0-9",
        's' => r" \t\n\x0B\f\r",
        'D' => return "[^0-9]".into(),
        'W' => return "[^a-zA-Z_0-9]".into(),
        'S' => return r"[^ \t\n\x0B\f\r]".into(),
        other => return format!("\\{other}"),
    };
    if inside { class.into() } else { format!("[{class}]") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::route::SERVICES;
    use crate::schema::{Kind, Shape};

    fn visit(shape: &'static Shape, seen: &mut HashSet<*const Shape>, patterns: &mut Vec<&'static str>) {
        if !seen.insert(shape) {
            return;
        }
        patterns.extend(shape.pattern);
        match shape.kind {
            Kind::Structure { members, .. } => {
                members.iter().for_each(|member| visit(member.shape, seen, patterns));
            }
            Kind::List(item) => visit(item, seen, patterns),
            Kind::Map { key, value } => {
                visit(key, seen, patterns);
                visit(value, seen, patterns);
            }
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_every_model_is_understood() {
        let (mut seen, mut patterns) = (HashSet::new(), Vec::new());
        for operation in SERVICES.iter().flat_map(|service| service.operations) {
            visit(operation.input, &mut seen, &mut patterns);
            operation.output.into_iter().for_each(|output| visit(output, &mut seen, &mut patterns));
        }
        assert!(patterns.len() > 80, "found only {} patterns", patterns.len());
        for pattern in patterns {
            assert!(compile(pattern).is_some(), "cannot read {pattern}");
        }
    }

    #[test]
    fn patterns_match_whole_texts_as_java_does() {
        let alias = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
        let url_name = EQUIVALENTS[2].0;
        let bucket = r"[0-9A-Za-z\.\-_]*(?<!\.)";
        let token = r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)";
        for (pattern, text, expected) in [
            (alias, "live", true),
            (alias, "1a", true),
            (alias, "12", false),
            (alias, "a b", false),
            (alias, "", false),
            (url_name, "f", true),
            (url_name, "f:live", true),
            (url_name, "f:1", false),
            (url_name, "function:1", true),
            (url_name, "arn:aws:lambda:us-east-1:123456789012:function:f:1x", true),
            (bucket, "a.b", true),
            (bucket, "a.", false),
            (bucket, "", true),
            (token, "system.x", false),
            (token, "systemx", true),
            (token, "a$", false),
            (r"\d{12}", "123456789012", true),
            (r"\d{12}", "12345678901\u{664}", false),
            (r"[^\s]+", "a\u{a0}b", true),
            (r"[^\s]+", "a b", false),
            (r"[\s\S]+", "a\n\u{a0}", true),
            (r"[\w-_]*", "a-_9", true),
            (r"[\w-_]*", "a.b", false),
            (r".*", "a\nb", false),
            (r"(|[a-zA-Z0-9$_-]+)", "", true),
            (r"(|[a-zA-Z0-9$_-]+)", "$LATEST\n", false),
            (r"^\d{12}$", "123456789012", true),
            (r"arn:x$|^arn:y", "arn:y", true),
            (r"arn:x$|^arn:y", "arn:yz", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
        }
    }
}
