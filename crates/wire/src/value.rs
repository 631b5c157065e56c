//! Requests and answers as dynamic values, between codecs (which walk schemas) and generated types.

use std::collections::BTreeMap;
use std::fmt;

use base::clock::Timestamp;
use bytes::Bytes;

use crate::schema::Shape;

/// A value of some shape.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Only inside lists and maps; a member that is null is absent. Validation refuses it.
    Null,
    /// Of a boolean shape.
    Boolean(bool),
    /// Of an integer or long shape.
    Integer(i64),
    /// Of a floating-point shape.
    Double(f64),
    /// Of a string shape.
    String(String),
    /// Of a blob shape.
    Blob(Bytes),
    /// Of a timestamp shape.
    Timestamp(Timestamp),
    /// Of a list shape.
    List(Vec<Value>),
    /// Of a map shape, in the order of arrival.
    Map(Vec<(String, Value)>),
    /// Of a structure shape.
    Structure(Structure),
}

/// The members of a structure that are present, by their index in the shape.
#[derive(Clone, PartialEq)]
pub struct Structure {
    slots: Vec<Option<Value>>,
}

/// A value is not of the shape that a type was generated from.
///
/// Codecs and validation make sure of shapes, so this tells of a defect in them and not of a bad request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value is not a {expected}")]
pub struct Mismatch {
    /// What the type needs.
    pub expected: &'static str,
}

/// A type that is read from a dynamic value.
pub trait FromValue: Sized {
    /// Reads it.
    fn from_value(value: Value) -> Result<Self, Mismatch>;
}

/// A type that is written as a dynamic value.
pub trait IntoValue {
    /// Writes it.
    fn into_value(self) -> Value;
}

impl Structure {
    /// A structure of this shape with no member present.
    pub fn of(shape: &'static Shape) -> Self {
        Self { slots: vec![None; shape.members().len()] }
    }

    /// The member at this index of the shape.
    pub fn get(&self, at: usize) -> Option<&Value> {
        self.slots.get(at).and_then(Option::as_ref)
    }

    /// Puts a member in its place; an index outside of the shape is ignored.
    pub fn set(&mut self, at: usize, value: Option<Value>) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = value;
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, at: usize) -> Option<Value> {
        self.slots.get_mut(at).and_then(Option::take)
    }

    /// The member at this index, read; absent is `None`.
    pub fn optional<T: FromValue>(&mut self, at: usize) -> Result<Option<T>, Mismatch> {
        self.take(at).map(T::from_value).transpose()
    }

    /// The member at this index, read; validation made sure that it is present.
    pub fn required<T: FromValue>(&mut self, at: usize) -> Result<T, Mismatch> {
        T::from_value(self.take(at).ok_or(Mismatch { expected: "required member" })?)
    }

    /// With this member written.
    #[must_use]
    pub fn with<T: IntoValue>(mut self, at: usize, member: T) -> Self {
        self.set(at, Some(member.into_value()));
        self
    }

    /// With this member written if it is present.
    #[must_use]
    pub fn with_some<T: IntoValue>(mut self, at: usize, member: Option<T>) -> Self {
        self.set(at, member.map(T::into_value));
        self
    }
}

impl Value {
    /// The structure in it.
    pub fn into_structure(self) -> Result<Structure, Mismatch> {
        match self {
            Self::Structure(structure) => Ok(structure),
            _ => Err(Mismatch { expected: "structure" }),
        }
    }
}

/// Shows kinds and sizes only: a value may hold secrets, and only its shape knows.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Boolean(flag) => write!(f, "Boolean({flag})"),
            Self::Integer(number) => write!(f, "Integer({number})"),
            Self::Double(number) => write!(f, "Double({number})"),
            Self::String(text) => write!(f, "String({} bytes)", text.len()),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
            Self::Timestamp(moment) => write!(f, "Timestamp({moment})"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => write!(f, "Map({} entries)", entries.len()),
            Self::Structure(structure) => structure.fmt(f),
        }
    }
}

impl fmt::Debug for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        f.debug_map().entries(present).finish()
    }
}

macro_rules! scalar {
    ($type:ty, $variant:ident, $expected:literal) => {
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                match value {
                    Value::$variant(inner) => Ok(inner),
                    _ => Err(Mismatch { expected: $expected }),
                }
            }
        }

        impl IntoValue for $type {
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    };
}

scalar!(bool, Boolean, "boolean");
scalar!(i64, Integer, "long");
scalar!(f64, Double, "double");
scalar!(String, String, "string");
scalar!(Bytes, Blob, "blob");
scalar!(Timestamp, Timestamp, "timestamp");

impl FromValue for i32 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        let error = Mismatch { expected: "integer" };
        match value {
            Value::Integer(number) => Self::try_from(number).map_err(|_| error),
            _ => Err(error),
        }
    }
}

impl IntoValue for i32 {
    fn into_value(self) -> Value {
        Value::Integer(self.into())
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::List(items) => items.into_iter().map(T::from_value).collect(),
            _ => Err(Mismatch { expected: "list" }),
        }
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Map(entries) => {
                entries.into_iter().map(|(key, value)| Ok((key, T::from_value(value)?))).collect()
            }
            _ => Err(Mismatch { expected: "map" }),
        }
    }
}

impl<T: IntoValue> IntoValue for BTreeMap<String, T> {
    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(key, value)| (key, value.into_value())).collect())
    }
}

/// The output of operations that answer without a body.
impl IntoValue for () {
    fn into_value(self) -> Value {
        Value::Structure(Structure { slots: Vec::new() })
    }
}
