//! Aliases: names that stand for one version, or for two by weight.

use std::sync::Arc;

use base::arn::Qualifier;
use base::id::RevisionId;

/// A name for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Its name, unique within the function; never all digits.
    pub name: Arc<str>,
    /// What it stands for: [`Qualifier::Latest`] or [`Qualifier::Version`], never another alias.
    pub version: Qualifier,
    /// A second version that gets a part of the invocations.
    pub routing: Option<Routing>,
    /// Free text; empty when none was given.
    pub description: Arc<str>,
    /// Its own, not the function's; changes with every update, also with one that changes nothing else.
    pub revision: RevisionId,
}

impl Alias {
    /// Whether it leads to this version, be it as the first or as the second.
    pub fn leads_to(&self, number: u64) -> bool {
        self.version == Qualifier::Version(number)
            || self.routing.is_some_and(|routing| routing.version == number)
    }

    /// What an invocation runs that drew `draw`, a number from 0 up to but not including 1.
    pub fn drawn(&self, draw: f64) -> Qualifier {
        match self.routing {
            Some(Routing { version, weight: Weight(weight) }) if draw < weight => Qualifier::Version(version),
            _ => self.version.clone(),
        }
    }
}

/// The second version of an alias and its part of the invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routing {
    /// The version.
    pub version: u64,
    /// Its part.
    pub weight: Weight,
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight(f64);

// No weight is a NaN: every other number equals itself.
impl Eq for Weight {}

impl Weight {
    /// A weight; none for what is not from 0 to 1.
    pub fn new(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then_some(Self(part))
    }

    /// The number from 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// An alias to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlias {
    /// See [`Alias::name`].
    pub name: Arc<str>,
    /// See [`Alias::version`].
    pub version: Qualifier,
    /// See [`Alias::routing`].
    pub routing: Option<Routing>,
    /// See [`Alias::description`].
    pub description: Arc<str>,
}

/// A change of an alias. What is `None` stays; where the outer is `Some` and the inner `None`, it is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AliasUpdate {
    /// The revision that the caller last saw.
    pub expected: Option<RevisionId>,
    /// See [`Alias::version`].
    pub version: Option<Qualifier>,
    /// See [`Alias::routing`].
    pub routing: Option<Option<Routing>>,
    /// See [`Alias::description`].
    pub description: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn an_alias(weight: f64) -> Alias {
        Alias {
            name: "live".into(),
            version: Qualifier::Version(1),
            routing: Some(Routing { version: 2, weight: Weight::new(weight).unwrap() }),
            description: "".into(),
            revision: RevisionId(uuid::Uuid::nil()),
        }
    }

    #[test]
    fn a_draw_below_the_weight_gets_the_second_version() {
        const ALMOST_ONE: f64 = 1.0 - f64::EPSILON;
        for (weight, draw, version) in [
            (0.25, 0.0, 2),
            (0.25, 0.2499, 2),
            (0.25, 0.25, 1),
            (0.0, 0.0, 1),
            (1.0, ALMOST_ONE, 2),
            (1.0, 0.0, 2),
        ] {
            let drawn = an_alias(weight).drawn(draw);
            assert_eq!(drawn, Qualifier::Version(version), "{draw} under {weight}");
        }
    }

    #[test]
    fn an_alias_leads_to_both_of_its_versions() {
        let leads = |number| an_alias(0.0).leads_to(number);
        assert_eq!([leads(1), leads(2), leads(3)], [true, true, false]);
    }

    #[test]
    fn weights_are_parts_of_a_whole() {
        for (part, is) in
            [(0.0, true), (1.0, true), (0.1, true), (-0.1, false), (1.01, false), (f64::NAN, false)]
        {
            assert_eq!(Weight::new(part).is_some(), is, "{part}");
        }
    }
}
