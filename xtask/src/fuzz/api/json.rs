//! JSON that may be wrong: members twice, numbers of any size, text that is no JSON at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Text(String),
    /// Base64 inside JSON.
    Bytes(Vec<u8>),
    List(Vec<Json>),
    /// In order, and a name may come twice.
    Object(Vec<(String, Json)>),
    /// Written as it is: numbers, and what no value is.
    Raw(String),
}

impl Json {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As a body has it.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    /// As paths, queries and headers have it.
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.write(),
        }
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Bytes(bytes) => out.push_str(&quoted(&STANDARD.encode(bytes))),
            Self::Raw(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    comma(at, out);
                    item.write_to(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    comma(at, out);
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }

    /// How many values there are in it, itself included.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Object(members) => members.iter().map(|(_, value)| value.size()).sum(),
            _ => 0,
        }
    }

    /// The value of that number, counted from itself on, depth first.
    pub fn at(&mut self, number: usize) -> Option<&mut Self> {
        let mut left = number;
        self.seek(&mut left)
    }

    fn seek(&mut self, left: &mut usize) -> Option<&mut Self> {
        if *left == 0 {
            return Some(self);
        }
        *left -= 1;
        match self {
            Self::List(items) => items.iter_mut().find_map(|item| item.seek(left)),
            Self::Object(members) => members.iter_mut().find_map(|(_, value)| value.seek(left)),
            _ => None,
        }
    }
}

fn comma(at: usize, out: &mut String) {
    if at > 0 {
        out.push(',');
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_found_in_the_order_in_which_they_are_written() {
        let number = |text: &str| Json::Raw(text.into());
        let mut json = Json::Object(vec![
            ("a".into(), Json::List(vec![number("1"), number("1e999")])),
            ("a".into(), Json::text("é\"")),
        ]);
        assert_eq!(json.write(), r#"{"a":[1,1e999],"a":"é\""}"#);
        assert_eq!(json.size(), 5);
        let found: Vec<String> = (0..6).filter_map(|at| Some(json.at(at)?.write())).collect();
        assert_eq!(found[1..], ["[1,1e999]", "1", "1e999", r#""é\"""#]);
    }
}
