//! Reading a pattern's text from left to right.

use super::PatternError;

/// What is left of a pattern, and how many regular expressions it has had.
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a str,
    regexes: usize,
}

impl<'a> Cursor<'a> {
    pub const fn new(rest: &'a str) -> Self {
        Self { rest, regexes: 0 }
    }

    pub const fn rest(&self) -> &'a str {
        self.rest
    }

    pub fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Takes a token, after spaces, when it is there.
    pub fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word of letters, after spaces, in whatever case, when it is there.
    pub fn eat_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let Some((head, tail)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = !tail.starts_with(|c: char| c.is_ascii_alphanumeric());
        let there = ends && head.eq_ignore_ascii_case(word);
        if there {
            self.rest = tail;
        }
        there
    }

    /// Takes characters as long as `take` likes them.
    pub fn take_while(&mut self, take: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !take(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// The inside of `"..."` with `\"` and `\\` resolved; the cursor is at the opening quote.
    pub fn quoted(&mut self) -> Result<String, PatternError> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(PatternError::syntax("a quotation mark is missing")),
                c if c == quote => return Ok(text),
                Some('\\') => match self.next() {
                    Some(c @ ('"' | '\\' | '\'')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => return Err(PatternError::syntax("a quotation mark is missing")),
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// The inside of `%...%`; the cursor is at the opening sign.
    pub fn regex(&mut self) -> Result<&'a str, PatternError> {
        self.regexes += 1;
        if self.regexes > super::PATTERN_REGEXES {
            let most = super::PATTERN_REGEXES;
            return Err(PatternError::syntax(format!("more than {most} regular expressions")));
        }
        self.next();
        let end = self.rest.find('%').ok_or_else(|| PatternError::syntax("a closing % is missing"))?;
        let inside = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(inside)
    }
}
