//! Whether a payload is JSON, and what AWS's parser says when it is not. Pure.

use std::fmt;

use serde::de::IgnoredAny;

/// Why a payload is not JSON, in the words and at the place of AWS's parser (Jackson).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    words: String,
    line: usize,
    column: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, line, column } = self;
        write!(f, "{words}\n at {SOURCE}; line: {line}, column: {column}]")
    }
}

/// How Jackson names a source that it must not show.
const SOURCE: &str = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";

/// What may stand where a value is expected.
const VALUES: &str = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";

/// Longest part of an unknown word that is repeated. Source: Jackson, `ErrorReportConfiguration`.
const TOKEN_CHARS: usize = 256;

/// Accepts exactly one JSON value in UTF-8, of any kind and depth, and builds nothing.
pub(crate) fn check(payload: &[u8]) -> Result<(), Fault> {
    // serde_json skips over strings without looking at their bytes, so UTF-8 is checked first.
    let good =
        std::str::from_utf8(payload).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    if good { Ok(()) } else { Err(explain(payload)) }
}

fn explain(payload: &[u8]) -> Fault {
    let mut reader = Reader { bytes: payload, at: 0, open: Vec::new() };
    match reader.document() {
        Err(fault) => fault,
        // Both parsers agree on what JSON is; this one is asked only about what the other refused.
        Ok(()) => reader.fault(reader.at, "Unexpected content after the value".to_owned()),
    }
}

type Step = Result<(), Fault>;

/// Reads a document the way Jackson does, for the sake of what it says at the first fault.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The brackets that are open: where each began, and whether it is an object's.
    open: Vec<(usize, bool)>,
}

impl Reader<'_> {
    fn document(&mut self) -> Step {
        self.value()?;
        while let Some((_, object)) = self.open.last().copied() {
            self.member_end(object)?;
        }
        self.blanks();
        match self.peek() {
            None => Ok(()),
            Some(byte) => Err(self.unexpected(byte, &format!("expected a valid value ({VALUES})"))),
        }
    }

    /// A scalar whole; of an object or an array all up to the end of its first scalar.
    fn value(&mut self) -> Step {
        loop {
            self.blanks();
            match self.peek() {
                None => return Err(self.ended()),
                Some(b'{') => {
                    self.open.push((self.at, true));
                    self.at += 1;
                    self.blanks();
                    if self.peek() == Some(b'}') {
                        return Ok(());
                    }
                    self.name()?;
                }
                Some(b'[') => {
                    self.open.push((self.at, false));
                    self.at += 1;
                    self.blanks();
                    if self.peek() == Some(b']') {
                        return Ok(());
                    }
                }
                Some(b'"') => return self.string(),
                Some(b'-' | b'0'..=b'9') => return self.number(),
                Some(byte) if is_word(byte) => return self.word(),
                Some(byte) if byte >= 0x80 => {
                    return self.character().and_then(|()| Err(self.wide_character()));
                }
                Some(byte) => {
                    return Err(self.unexpected(byte, &format!("expected a valid value ({VALUES})")));
                }
            }
        }
    }

    /// What follows a value inside of brackets: their end, or a comma and the next value.
    fn member_end(&mut self, object: bool) -> Step {
        self.blanks();
        let (close, entries) = if object { (b'}', "Object entries") } else { (b']', "Array entries") };
        match self.peek() {
            None => Err(self.ended()),
            Some(byte) if byte == close => {
                self.at += 1;
                self.open.pop();
                Ok(())
            }
            Some(b',') => {
                self.at += 1;
                if object {
                    self.blanks();
                    self.name()?;
                }
                self.value()
            }
            Some(byte) => Err(self.unexpected(byte, &format!("was expecting comma to separate {entries}"))),
        }
    }

    fn name(&mut self) -> Step {
        match self.peek() {
            None => return Err(self.ended()),
            Some(b'"') => self.string()?,
            Some(byte) => return Err(self.unexpected(byte, "was expecting double-quote to start field name")),
        }
        self.blanks();
        match self.peek() {
            None => Err(self.ended()),
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(byte) => {
                Err(self.unexpected(byte, "was expecting a colon to separate field name and value"))
            }
        }
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    let words = "Unexpected end-of-input: was expecting closing quote for a string value";
                    return Err(self.fault(self.at, words.to_owned()));
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(byte) if byte < 0x20 => {
                    let words = format!(
                        "Illegal unquoted character ({}): has to be escaped using backslash to be included in string \
                         value",
                        shown(byte.into())
                    );
                    return Err(self.fault(self.at, words));
                }
                Some(_) => self.character()?,
            }
        }
    }

    fn escape(&mut self) -> Step {
        self.at += 1;
        match self.peek() {
            None => Err(self.ended()),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        None => return Err(self.ended()),
                        Some(byte) => {
                            let words = "expected a hex-digit for character escape sequence";
                            return Err(self.unexpected(byte, words));
                        }
                    }
                }
                Ok(())
            }
            Some(byte) => {
                Err(self.fault(self.at, format!("Unrecognized character escape {}", shown(byte.into()))))
            }
        }
    }

    fn number(&mut self) -> Step {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') if matches!(self.bytes.get(self.at + 1), Some(b'0'..=b'9')) => {
                return Err(
                    self.fault(self.at, "Invalid numeric value: Leading zeroes not allowed".to_owned())
                );
            }
            Some(b'0'..=b'9') => self.digits(),
            other => {
                return Err(self.bad_number(
                    other,
                    "expected digit (0-9) to follow minus sign, for valid numeric value",
                ));
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("Decimal point not followed by a digit")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("Exponent indicator not followed by a digit")?;
        }
        match self.peek() {
            Some(byte) if is_word(byte) => {
                let words = "Expected space separating root-level values";
                Err(self.unexpected(byte, words))
            }
            _ => Ok(()),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, words: &str) -> Step {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.bad_number(self.peek(), words));
        }
        self.digits();
        Ok(())
    }

    fn bad_number(&self, byte: Option<u8>, words: &str) -> Fault {
        match byte {
            Some(byte) => {
                let words =
                    format!("Unexpected character ({}) in numeric value: {words}", shown(byte.into()));
                self.fault(self.at, words)
            }
            None => self.ended(),
        }
    }

    /// `true`, `false` and `null`; everything else that looks like a word is repeated in the fault.
    fn word(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        if matches!(word, b"true" | b"false" | b"null") {
            return Ok(());
        }
        let word = String::from_utf8_lossy(&word[..word.len().min(TOKEN_CHARS)]).into_owned();
        Err(self.fault(self.at, format!("Unrecognized token '{word}': was expecting ({VALUES})")))
    }

    /// One character, of which every byte must be where UTF-8 wants it.
    fn character(&mut self) -> Step {
        let rest = &self.bytes[self.at..];
        let length = match rest.first() {
            Some(0..=0x7f) => 1,
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            Some(byte) => return Err(self.fault(self.at, format!("Invalid UTF-8 start byte 0x{byte:x}"))),
            None => return Err(self.ended()),
        };
        let bytes = &rest[..length.min(rest.len())];
        if std::str::from_utf8(bytes).is_ok() {
            self.at += length;
            return Ok(());
        }
        match bytes.iter().skip(1).position(|byte| byte & 0xc0 != 0x80) {
            Some(place) => {
                let at = self.at + 1 + place;
                Err(self.fault(at, format!("Invalid UTF-8 middle byte 0x{:x}", self.bytes[at])))
            }
            None if bytes.len() < length => Err(self.ended()),
            None => Err(self.fault(self.at, format!("Invalid UTF-8 start byte 0x{:x}", bytes[0]))),
        }
    }

    /// The fault of a character beyond ASCII where a value should begin; it was read already.
    fn wide_character(&self) -> Fault {
        let text = String::from_utf8_lossy(&self.bytes[..self.at]);
        let character = text.chars().next_back().unwrap_or_default();
        let words =
            format!("Unexpected character ({}): expected a valid value ({VALUES})", shown(character.into()));
        self.fault(self.at - character.len_utf8(), words)
    }

    fn unexpected(&self, byte: u8, words: &str) -> Fault {
        self.fault(self.at, format!("Unexpected character ({}): {words}", shown(byte.into())))
    }

    fn ended(&self) -> Fault {
        let words = match self.open.last() {
            None => "No content to map due to end-of-input".to_owned(),
            Some((start, object)) => {
                let kind = if *object { "Object" } else { "Array" };
                let (line, column) = self.place(*start);
                format!(
                    "Unexpected end-of-input: expected close marker for {kind} (start marker at {SOURCE}; line: \
                     {line}, column: {column}])"
                )
            }
        };
        self.fault(self.bytes.len(), words)
    }

    fn fault(&self, at: usize, words: String) -> Fault {
        let (line, column) = self.place(at);
        Fault { words, line, column }
    }

    /// Line and column of a byte, counted from one.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        (line + 1, before.len() - start + 1)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// A character as Jackson shows it.
fn shown(code: u32) -> String {
    match char::from_u32(code) {
        Some(character) if !character.is_control() => format!("'{character}' (code {code})"),
        _ => format!("(CTRL-CHAR, code {code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_value_is_accepted() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for payload in
            ["{}", "[]", "null", "true", "-0.5e+3", "\"\\u00e9é\"", " {\"a\": [1, {\"b\": null}]}\r\n", &deep]
        {
            assert_eq!(check(payload.as_bytes()), Ok(()), "{payload:.40}");
        }
    }

    #[test]
    fn faults_are_told_in_the_words_of_jackson() {
        let values = VALUES;
        let start = |line: usize, column: usize| {
            format!("(start marker at {SOURCE}; line: {line}, column: {column}])")
        };
        for (payload, words, line, column) in [
            (&b"{\"a\": nope}"[..], format!("Unrecognized token 'nope': was expecting ({values})"), 1, 11),
            (b"{\"a\":1", format!("Unexpected end-of-input: expected close marker for Object {}", start(1, 1)), 1, 7),
            (b"[\n [1", format!("Unexpected end-of-input: expected close marker for Array {}", start(2, 2)), 2, 4),
            (b"{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name".into(), 1, 2),
            (b"{\"a\":1,}", "Unexpected character ('}' (code 125)): was expecting double-quote to start field name".into(), 1, 8),
            (b"{\"a\" 1}", "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value".into(), 1, 6),
            (b"{\"a\":1 \"b\"", "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries".into(), 1, 8),
            (b"[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries".into(), 1, 4),
            (b"[1,]", format!("Unexpected character (']' (code 93)): expected a valid value ({values})"), 1, 4),
            (b"{} x", format!("Unexpected character ('x' (code 120)): expected a valid value ({values})"), 1, 4),
            (b"\"a", "Unexpected end-of-input: was expecting closing quote for a string value".into(), 1, 3),
            (b"\"a\nb\"", "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value".into(), 1, 3),
            (b"\"\\x\"", "Unrecognized character escape 'x' (code 120)".into(), 1, 3),
            (b"01", "Invalid numeric value: Leading zeroes not allowed".into(), 1, 1),
            (b"\"a\x87\"", "Invalid UTF-8 start byte 0x87".into(), 1, 3),
            (b"\xff\xfe", "Invalid UTF-8 start byte 0xff".into(), 1, 1),
            (b"\xc2\x99", format!("Unexpected character ((CTRL-CHAR, code 153)): expected a valid value ({values})"), 1, 1),
            (b"  ", "No content to map due to end-of-input".into(), 1, 3),
        ] {
            let fault = check(payload).expect_err(&words);
            assert_eq!(fault, Fault { words, line, column }, "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn no_bytes_whatever_break_the_reader() {
        let dice = base::random::Dice::seeded(7);
        let alphabet = b"{}[]\",:\\u0e-1.tfn \n\xc3\xa9\xff";
        for _ in 0..20_000 {
            let payload: Vec<u8> =
                dice.bytes::<12>().iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect();
            if let Err(fault) = check(&payload) {
                assert!(!fault.words.starts_with("Unexpected content"), "{fault} in {payload:?}");
            }
        }
    }
}
