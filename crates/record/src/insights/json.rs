//! The fields that a query wants of a JSON text: `userIdentity.type`, `items.0.id`.
//!
//! The text is read once; what no field leads to is skipped, not built.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::Value;

/// A slot, and what is left of the way to its value.
pub type Wanted<'p> = (usize, &'p str);

/// Fills the slots with what the JSON at the beginning of `text` has; leaves them when it is no JSON.
pub fn find(text: &[u8], wanted: &[Wanted<'_>], row: &mut [Value]) {
    let mut reader = serde_json::Deserializer::from_slice(text);
    if (Place { wanted, row }).deserialize(&mut reader).is_err() {
        for (slot, _) in wanted {
            row[*slot] = Value::Missing;
        }
    }
}

/// A value in the text, and the fields that lie in it.
struct Place<'p, 'r> {
    wanted: &'r [Wanted<'p>],
    row: &'r mut [Value],
}

impl Place<'_, '_> {
    fn is(self, value: &Value) {
        for (slot, rest) in self.wanted {
            if rest.is_empty() && self.row[*slot].is_missing() {
                self.row[*slot] = value.clone();
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.wanted {
            [] => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.is(&Value::Truth(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.is(&Value::text(value.to_string()));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.is(&Value::text(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.is(&Value::text(format!("{value:?}")));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.is(&Value::text(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let wanted = within(self.wanted, &index.to_string());
            if items.next_element_seed(Place { wanted: &wanted, row: &mut *self.row })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(wanted) = members.next_key_seed(Key(self.wanted))? {
            members.next_value_seed(Place { wanted: &wanted, row: &mut *self.row })?;
        }
        Ok(())
    }
}

/// The name of a member; becomes the fields that lie in it.
struct Key<'p, 'r>(&'r [Wanted<'p>]);

impl<'de, 'p> DeserializeSeed<'de> for Key<'p, '_> {
    type Value = Vec<Wanted<'p>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'p, '_> {
    type Value = Vec<Wanted<'p>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(within(self.0, name))
    }
}

/// The fields that lie in the member `name`; a name may have dots itself.
fn within<'p>(wanted: &[Wanted<'p>], name: &str) -> Vec<Wanted<'p>> {
    let rest = |path: &'p str| match path.strip_prefix(name)? {
        "" => Some(""),
        rest => rest.strip_prefix('.').filter(|rest| !rest.is_empty()),
    };
    wanted.iter().filter_map(|(slot, path)| Some((*slot, rest(path)?))).collect()
}
