//! JSON bodies, read and written along a shape.
//!
//! Reading goes straight from the bytes to values: a package's base64 is decoded from the request's own buffer.

use std::cell::{Cell, RefCell};
use std::fmt;

use base::clock::Timestamp;
use base::limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{scalar, serialization};
use crate::error::ServiceError;
use crate::schema::{Kind, Location, Member, Shape, TimestampFormat};
use crate::value::{Structure, Value};

/// Reads a JSON body as this shape; for a structure, those of its members that travel in the body.
///
/// An empty body is an empty object. Depth is bounded by the parser (128 levels), the number of values by
/// [`limits::JSON_VALUES`].
pub fn read(shape: &'static Shape, body: &[u8]) -> Result<Value, ServiceError> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    let reading = Reading { budget: Cell::new(limits::JSON_VALUES), refusal: RefCell::new(None) };
    let mut parser = serde_json::Deserializer::from_slice(body);
    let place = Place { shape, format: None, reading: &reading };
    let read = place.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    // `null` says of a structure no more than `{}`: what it lacks is for validation to tell.
    let whole = |value| match (value, &shape.kind) {
        (Value::Null, Kind::Structure { .. }) => Value::Structure(Structure::of(shape)),
        (value, _) => value,
    };
    read.map(whole).map_err(|error| {
        let refusal = reading.refusal.take();
        serialization(refusal.unwrap_or_else(|| format!("Could not parse request body into json: {error}")))
    })
}

/// What is kept while one body is read.
struct Reading {
    /// How many more values there may be.
    budget: Cell<usize>,
    /// Why reading stopped, when it was not the parser's own error.
    refusal: RefCell<Option<String>>,
}

/// A place in the body where a value of a shape is due.
#[derive(Clone, Copy)]
struct Place<'a> {
    shape: &'static Shape,
    format: Option<TimestampFormat>,
    reading: &'a Reading,
}

impl Place<'_> {
    fn refuse<E: Error>(self, why: impl Into<String>) -> E {
        let why = why.into();
        let error = E::custom(&why);
        self.reading.refusal.replace(Some(why));
        error
    }

    /// Takes `values` from the budget: a few bytes of JSON may become many bytes of memory.
    fn charge<E: Error>(self, values: usize) -> Result<(), E> {
        match self.reading.budget.get().checked_sub(values) {
            Some(left) => {
                self.reading.budget.set(left);
                Ok(())
            }
            None => Err(self.refuse("Request body holds too many values")),
        }
    }

    /// A scalar stands where another shape is due. The words are Coral's, AWS's service framework.
    fn unexpected<E: Error>(self, token: &str) -> E {
        let due = match self.shape.kind {
            Kind::String { .. } => "a String",
            Kind::Integer => "an Integer",
            Kind::Long => "a Long",
            Kind::Double => "a Double",
            Kind::Boolean => "a Boolean",
            Kind::Blob => "a Blob",
            Kind::Timestamp => "milliseconds since epoch",
            Kind::List(_) => return self.refuse("Expected list or null"),
            Kind::Map { .. } | Kind::Structure { .. } => return self.refuse("Expected null"),
        };
        self.refuse(format!("{token} can not be converted to {due}"))
    }

    fn number(self, number: f64) -> Option<Value> {
        Some(match self.shape.kind {
            Kind::Integer => Value::Integer(scalar::saturated_integer(number)),
            Kind::Long => Value::Integer(number as i64),
            Kind::Double => Value::Double(number),
            Kind::Timestamp => Value::Timestamp(scalar::from_epoch(number)),
            _ => return None,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.charge(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.name)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        match self.shape.kind {
            Kind::Boolean => Ok(Value::Boolean(flag)),
            _ => Err(self.unexpected(if flag { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        match self.shape.kind {
            Kind::Long => Ok(Value::Integer(number)),
            _ => self.visit_f64(number as f64),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        self.number(number).ok_or_else(|| self.unexpected("NUMBER_VALUE"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.shape.kind {
            Kind::String { .. } => Ok(Value::String(text.to_owned())),
            Kind::Blob => match STANDARD.decode(text) {
                Ok(bytes) => Ok(Value::Blob(bytes.into())),
                Err(_) => Err(self.unexpected("STRING_VALUE")),
            },
            Kind::Double => match text {
                "NaN" => Ok(Value::Double(f64::NAN)),
                "Infinity" => Ok(Value::Double(f64::INFINITY)),
                "-Infinity" => Ok(Value::Double(f64::NEG_INFINITY)),
                _ => Err(self.unexpected("STRING_VALUE")),
            },
            Kind::Timestamp if self.format.is_some_and(|format| format != TimestampFormat::EpochSeconds) => {
                scalar::read_timestamp(text)
                    .map(Value::Timestamp)
                    .ok_or_else(|| self.unexpected("STRING_VALUE"))
            }
            _ => Err(self.unexpected("STRING_VALUE")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Kind::List(member) = self.shape.kind else {
            return Err(self.refuse("Unexpected list, found where not expected."));
        };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Place { shape: member, format: None, ..self })? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        match self.shape.kind {
            Kind::Structure { members, .. } => self.structure(members, entries),
            Kind::Map { value, .. } => self.map(value, entries),
            _ => Err(self.refuse("Start of structure or map found where not expected.")),
        }
    }
}

impl Place<'_> {
    fn structure<'de, A: MapAccess<'de>>(
        self,
        members: &'static [Member],
        mut entries: A,
    ) -> Result<Value, A::Error> {
        self.charge(members.len())?;
        let mut structure = Structure::of(self.shape);
        while let Some(Name(name)) = entries.next_key()? {
            let known = members
                .iter()
                .position(|member| member.location == Location::Body && member.wire_name == name.as_ref());
            let Some(at) = known else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let member = &members[at];
            let place = Place { shape: member.shape, format: member.timestamp_format, reading: self.reading };
            let value = entries.next_value_seed(place)?;
            structure.set(at, Some(value).filter(|value| *value != Value::Null));
        }
        Ok(Value::Structure(structure))
    }

    fn map<'de, A: MapAccess<'de>>(self, value: &'static Shape, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(Place { shape: value, format: None, ..self })?));
        }
        Ok(Value::Map(map))
    }
}

/// A member's name, borrowed from the body where it holds no escapes.
struct Name<'de>(std::borrow::Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(name.into()))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(name.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

/// Writes a value as JSON; of structures, the members that are present and travel in the body.
pub fn write(shape: &Shape, value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, shape, None, value);
    out
}

fn write_value(out: &mut Vec<u8>, shape: &Shape, format: Option<TimestampFormat>, value: &Value) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Boolean(flag) => out.extend(flag.to_string().bytes()),
        Value::Integer(number) => out.extend(number.to_string().bytes()),
        Value::Double(number) => write_double(out, *number),
        Value::String(text) => write_string(out, text),
        Value::Blob(bytes) => {
            out.push(b'"');
            out.extend(STANDARD.encode(bytes).bytes());
            out.push(b'"');
        }
        Value::Timestamp(moment) => write_timestamp(out, format, *moment),
        Value::List(items) => {
            let member = if let Kind::List(member) = shape.kind { member } else { shape };
            write_between(out, *b"[]", items, |out, item| write_value(out, member, None, item));
        }
        Value::Map(entries) => {
            let inner = if let Kind::Map { value, .. } = shape.kind { value } else { shape };
            write_between(out, *b"{}", entries, |out, (key, value)| {
                write_string(out, key);
                out.push(b':');
                write_value(out, inner, None, value);
            });
        }
        Value::Structure(structure) => {
            let body = |(_, member): &(usize, &Member)| member.location == Location::Body;
            let present = shape.members().iter().enumerate().filter(body);
            let present = present.filter_map(|(at, member)| Some((member, structure.get(at)?)));
            write_between(out, *b"{}", present, |out, (member, value)| {
                write_string(out, member.wire_name);
                out.push(b':');
                write_value(out, member.shape, member.timestamp_format, value);
            });
        }
    }
}

fn write_between<T>(
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    out.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(close);
}

/// Writes a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn write_double(out: &mut Vec<u8>, number: f64) {
    match number {
        _ if number.is_nan() => out.extend(b"\"NaN\""),
        f64::INFINITY => out.extend(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend(b"\"-Infinity\""),
        _ => out.extend(format!("{number:?}").bytes()),
    }
}

fn write_timestamp(out: &mut Vec<u8>, format: Option<TimestampFormat>, moment: Timestamp) {
    match format.unwrap_or(TimestampFormat::EpochSeconds) {
        TimestampFormat::EpochSeconds => out.extend(scalar::epoch(moment).bytes()),
        format => write_string(out, &scalar::write_timestamp(format, moment)),
    }
}
