//! What an operation answers.

use http::{HeaderMap, HeaderName, HeaderValue};

/// An operation's output, with headers that the model does not name.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The modelled output.
    pub output: T,
    /// Added to the modelled headers; replaces a header of the same name.
    pub headers: HeaderMap,
}

impl<T> Answer<T> {
    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With the output changed and the headers kept.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { output: change(self.output), headers: self.headers }
    }
}

impl<T> From<T> for Answer<T> {
    fn from(output: T) -> Self {
        Self { output, headers: HeaderMap::new() }
    }
}
