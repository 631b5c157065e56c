//! Reading a JSON message for the conditions of a pattern.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::selector::Step;
use super::{Json, Test};
use crate::pattern::expression::bit;

/// Which conditions hold, as bits; `None` when the message is not JSON.
pub fn held(json: &Json, message: &[u8]) -> Option<u128> {
    let mut held = json.absent;
    let all = u128::MAX >> (u128::BITS as usize - json.conditions.len());
    let mut reader = serde_json::Deserializer::from_slice(message);
    Place { json, held: &mut held, active: all, depth: 0 }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(held)
}

/// A value in the message, to which the first `depth` steps of the `active` conditions lead.
struct Place<'j, 'h> {
    json: &'j Json,
    held: &'h mut u128,
    active: u128,
    depth: usize,
}

impl Place<'_, '_> {
    /// The active conditions whose next step fits.
    fn step(&self, fits: impl Fn(&Step) -> bool) -> u128 {
        step(self.json, self.active, self.depth, fits)
    }

    /// Judges the conditions whose selectors end here.
    fn judge(&mut self, holds: impl Fn(&Test) -> bool) {
        for number in bits(self.active) {
            let condition = &self.json.conditions[number];
            if condition.path.len() != self.depth {
                continue;
            }
            if matches!(condition.test, Test::NotExists) {
                *self.held &= !bit(number);
            } else if holds(&condition.test) {
                *self.held |= bit(number);
            }
        }
    }

    fn number<E>(mut self, value: f64, written: impl Fn() -> String) -> Result<(), E> {
        self.judge(|test| matches!(test, Test::Compare(comparison) if comparison.number(value, &written)));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.active {
            0 => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.judge(|test| matches!(test, Test::IsNull));
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        let written: &[u8] = if value { b"true" } else { b"false" };
        self.judge(|test| match test {
            Test::Is(wanted) => value == *wanted,
            Test::Compare(comparison) => comparison.text(written),
            _ => false,
        });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value as f64, || value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value as f64, || value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.number(value, || value.to_string())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.judge(|test| matches!(test, Test::Compare(comparison) if comparison.text(value.as_bytes())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.judge(|_| false);
        for index in 0.. {
            let active = self.step(|step| *step == Step::Index(index) || *step == Step::AnyIndex);
            let item = Place { json: self.json, held: self.held, active, depth: self.depth + 1 };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.judge(|_| false);
        let Self { json, held, active, depth } = self;
        while let Some(active) = members.next_key_seed(Key { json, active, depth })? {
            members.next_value_seed(Place { json, held: &mut *held, active, depth: depth + 1 })?;
        }
        Ok(())
    }
}

/// The name of a member; becomes the conditions that go on there.
struct Key<'j> {
    json: &'j Json,
    active: u128,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = u128;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u128, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<u128, E> {
        Ok(step(self.json, self.active, self.depth, |step| match step {
            Step::Key(key) => **key == *name,
            step => *step == Step::AnyKey,
        }))
    }
}

fn step(json: &Json, active: u128, depth: usize, fits: impl Fn(&Step) -> bool) -> u128 {
    let goes_on = |number: &usize| json.conditions[*number].path.get(depth).is_some_and(&fits);
    bits(active).filter(goes_on).fold(0, |bits, number| bits | bit(number))
}

/// The numbers of the bits that are set.
fn bits(mut bits: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let number = bits.trailing_zeros();
        (number < u128::BITS).then(|| {
            bits &= bits - 1;
            number as usize
        })
    })
}
