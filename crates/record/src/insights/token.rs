//! A query's text as tokens, each with its place.

use super::{QUERY_CHARACTERS, QUERY_REGEXES, QueryError};

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A field, function, command or operator word.
    Word(String),
    /// A field between backticks.
    Field(String),
    Number(f64),
    /// A number with letters right after it: `5m`.
    Period(f64, String),
    Text(String),
    Sign(&'static str),
    End,
}

/// Signs, the longer ones first.
const SIGNS: [&str; 18] =
    ["!=", "<=", ">=", "=~", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "[", "]", "|"];

/// Reads tokens from left to right, one ahead.
#[derive(Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    /// Where the token that was read last ended.
    last_end: usize,
    start: usize,
    end: usize,
    token: Token,
    regexes: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Result<Self, QueryError> {
        let mut tokens = Self { text, last_end: 0, start: 0, end: 0, token: Token::End, regexes: 0 };
        if text.chars().count() > QUERY_CHARACTERS {
            return Err(tokens.error(
                0,
                0,
                format!("the query is longer than {QUERY_CHARACTERS} characters"),
            ));
        }
        tokens.read()?;
        Ok(tokens)
    }

    pub const fn peek(&self) -> &Token {
        &self.token
    }

    /// Takes the token that is ahead.
    pub fn next(&mut self) -> Result<Token, QueryError> {
        let token = std::mem::replace(&mut self.token, Token::End);
        self.last_end = self.end;
        self.read()?;
        Ok(token)
    }

    /// Takes a sign when it is ahead.
    pub fn eat(&mut self, sign: &str) -> Result<bool, QueryError> {
        let there = matches!(self.token, Token::Sign(ahead) if ahead == sign);
        if there {
            self.next()?;
        }
        Ok(there)
    }

    /// Takes a word, in whatever case, when it is ahead.
    pub fn eat_word(&mut self, word: &str) -> Result<bool, QueryError> {
        let there = self.is_word(word);
        if there {
            self.next()?;
        }
        Ok(there)
    }

    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(ahead) if ahead.eq_ignore_ascii_case(word))
    }

    pub fn expect(&mut self, sign: &str) -> Result<(), QueryError> {
        match self.eat(sign)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("{sign} is missing"))),
        }
    }

    /// Where the token ahead begins, in bytes.
    pub const fn start(&self) -> usize {
        self.start
    }

    /// The text from a place up to the token that was read last.
    pub fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.last_end).unwrap_or_default()
    }

    /// The token ahead is wrong.
    pub fn unexpected(&self, why: &str) -> QueryError {
        let before = &self.text[..self.start];
        let line = before.matches('\n').count() + 1;
        let position = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let found = match &self.text[self.start..self.end] {
            "" => "end of query",
            found => found,
        };
        let message =
            format!("unexpected symbol found {found} at line {line} and position {position}: {why}");
        self.error(self.start, self.end, message)
    }

    /// Something from `start` up to the token that was read last is wrong.
    pub fn wrong(&self, start: usize, why: impl Into<String>) -> QueryError {
        self.error(start, self.last_end.max(start), why.into())
    }

    fn error(&self, start: usize, end: usize, message: String) -> QueryError {
        let characters = |to: usize| self.text[..to].chars().count();
        QueryError { start: characters(start), end: characters(end), message }
    }

    /// Takes `/regex/`, whose first stroke is the token ahead; `\/` is a stroke inside.
    pub fn regex(&mut self) -> Result<Option<String>, QueryError> {
        if self.token != Token::Sign("/") {
            return Ok(None);
        }
        self.regexes += 1;
        if self.regexes > QUERY_REGEXES {
            return Err(self.unexpected(&format!("more than {QUERY_REGEXES} regular expressions")));
        }
        let mut regex = String::new();
        let mut chars = self.text[self.end..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '/' => {
                    self.end += at + 1;
                    self.last_end = self.end;
                    self.read()?;
                    return Ok(Some(regex));
                }
                '\\' => match chars.next() {
                    Some((_, '/')) => regex.push('/'),
                    Some((_, c)) => regex.extend(['\\', c]),
                    None => break,
                },
                c => regex.push(c),
            }
        }
        Err(self.unexpected("a closing / is missing"))
    }

    fn read(&mut self) -> Result<(), QueryError> {
        let mut rest = self.text[self.end..].trim_start();
        while rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
        }
        self.start = self.text.len() - rest.len();
        self.end = self.start;
        let Some(first) = rest.chars().next() else {
            self.token = Token::End;
            return Ok(());
        };
        let length;
        (self.token, length) = match first {
            '"' | '\'' => self.quoted(rest, first)?,
            '`' => match rest[1..].split_once('`') {
                Some((name, _)) => (Token::Field(name.into()), name.len() + 2),
                None => return Err(self.unexpected("a closing ` is missing")),
            },
            c if c.is_ascii_digit() => number(rest),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            c if in_word(c) => {
                let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
                (Token::Word(word.into()), word.len())
            }
            ',' => (Token::Sign(","), 1),
            c => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    self.end += c.len_utf8();
                    return Err(self.unexpected("it has no meaning here"));
                }
            },
        };
        self.end += length;
        Ok(())
    }

    fn quoted(&self, rest: &str, quote: char) -> Result<(Token, usize), QueryError> {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => return Ok((Token::Text(text), at + 1)),
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\'' | '\\'))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.unexpected("a closing quotation mark is missing"))
    }
}

/// Letters of names that need no backticks. Source: the user guide, "fields".
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || "@_.$".contains(c)
}

/// A number or a period; `rest` begins with a digit, or a dot and a digit.
fn number(rest: &str) -> (Token, usize) {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut length = digits(rest);
    if rest[length..].starts_with('.') {
        length += 1 + digits(&rest[length + 1..]);
    }
    if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        if let more @ 1.. = digits(&exponent[sign..]) {
            length += 1 + sign + more;
        }
    }
    let value = rest[..length].parse().unwrap_or_default();
    let unit = &rest[length..];
    let unit = &unit[..unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len())];
    match unit {
        "" => (Token::Number(value), length),
        unit => (Token::Period(value, unit.into()), length + unit.len()),
    }
}
