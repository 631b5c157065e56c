//! What an operation answers.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::schema::Shape;
use crate::value::Value;

/// An operation's output, with headers that the model does not name.
#[derive(Debug)]
pub struct Answer<T> {
    /// The modelled output.
    pub output: T,
    /// Added to the modelled headers; replaces a header of the same name.
    pub headers: HeaderMap,
    /// What follows as it happens, for operations whose output holds an event stream.
    pub events: Option<Events>,
}

/// The answer of an operation whose output holds an event stream: `E` is what the stream carries.
#[derive(Debug)]
pub struct Streaming<T, E> {
    answer: Answer<T>,
    carries: PhantomData<fn(E)>,
}

/// Events as they happen. Taken one by one as the client reads, and dropped when it goes.
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

/// One event of a stream, or the exception that ends it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its name in the model's union.
    pub name: &'static str,
    /// Whether clients raise it.
    pub is_exception: bool,
    /// The shape of what is in it.
    pub shape: &'static Shape,
    /// What is in it.
    pub content: Value,
}

impl<T> Answer<T> {
    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With the output changed and the rest kept.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { output: change(self.output), headers: self.headers, events: self.events }
    }
}

impl<T> From<T> for Answer<T> {
    fn from(output: T) -> Self {
        Self { output, headers: HeaderMap::new(), events: None }
    }
}

impl<T, E: Into<Event> + 'static> Streaming<T, E> {
    /// An output, and the events that follow it.
    pub fn new(output: T, events: impl Stream<Item = E> + Send + 'static) -> Self {
        let events = Events(Box::pin(events.map(Into::into)));
        Self { answer: Answer { events: Some(events), ..Answer::from(output) }, carries: PhantomData }
    }

    /// With one more header.
    #[must_use]
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { answer: self.answer.header(name, value), carries: PhantomData }
    }

    /// The same, without what the stream's type says.
    pub fn into_answer(self) -> Answer<T> {
        self.answer
    }
}

impl Events {
    /// What comes next; nothing at the end.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.next().await
    }

    /// Each event in another form.
    pub(crate) fn mapped<U>(self, change: impl FnMut(Event) -> U + Send) -> impl Stream<Item = U> + Send {
        self.0.map(change)
    }
}

impl Event {
    /// An event of this name.
    pub const fn of(name: &'static str, shape: &'static Shape, content: Value) -> Self {
        Self { name, is_exception: false, shape, content }
    }

    /// An exception of this name.
    pub const fn exception(name: &'static str, shape: &'static Shape, content: Value) -> Self {
        Self { name, is_exception: true, shape, content }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
