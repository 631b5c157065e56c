//! Tags of whatever can have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::limits::RESOURCE_TAGS;

use crate::code_signing::CodeSigningConfig;
use crate::mapping::Mapping;
use crate::{CatalogueError, Function, Root};

/// Keys and values.
pub type Tags = BTreeMap<Arc<str>, Arc<str>>;

/// What the keys of AWS's own tags begin with, in any case. Source: Lambda Developer Guide, "Using tags".
const RESERVED: &str = "aws:";

/// Why tags were not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TagError {
    /// There would be more than [`RESOURCE_TAGS`].
    #[error("a resource has at most {RESOURCE_TAGS} tags")]
    TooMany,
    /// Nobody may make, change or remove what begins with `aws:`.
    #[error("tag key {0:?} is reserved")]
    Reserved(Arc<str>),
    /// The catalogue did not do it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// The tags that a resource with `own` has once `more` are put on it.
pub fn merged(own: &Tags, more: &Tags) -> Result<Tags, TagError> {
    free(more.keys())?;
    let mut tags = own.clone();
    tags.extend(more.iter().map(|(key, value)| (Arc::clone(key), Arc::clone(value))));
    if tags.len() > RESOURCE_TAGS { Err(TagError::TooMany) } else { Ok(tags) }
}

/// The tags that a resource with `own` has once those of `keys` are taken from it, as far as it has them.
pub fn stripped(own: &Tags, keys: &[Arc<str>]) -> Result<Tags, TagError> {
    free(keys.iter())?;
    let kept = own.iter().filter(|(key, _)| !keys.contains(key));
    Ok(kept.map(|(key, value)| (Arc::clone(key), Arc::clone(value))).collect())
}

/// A change of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// Puts these on, in the place of those with the same keys.
    Put(Tags),
    /// Takes those with these keys off.
    Take(Vec<Arc<str>>),
}

impl TagChange {
    /// What the change makes of a resource. Its revision stays: tags are no part of what runs.
    pub fn made_to<R: Tagged>(&self, resource: &R) -> Result<R, TagError> {
        Ok(resource.with_tags(match self {
            Self::Put(tags) => {
                resource.may_be_tagged()?;
                merged(resource.tags(), tags)?
            }
            Self::Take(keys) => stripped(resource.tags(), keys)?,
        }))
    }
}

/// What can have tags.
pub trait Tagged: Root {
    /// Its tags.
    fn tags(&self) -> &Tags;
    /// Itself with other tags.
    #[must_use]
    fn with_tags(&self, tags: Tags) -> Self;
    /// Whether tags may be put on it now; they may always be taken off.
    fn may_be_tagged(&self) -> Result<(), CatalogueError> {
        Ok(())
    }
}

impl Tagged for Function {
    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn with_tags(&self, tags: Tags) -> Self {
        Self { tags, ..self.clone() }
    }

    /// Not while a change of it is under way. Source: Lambda Developer Guide, "Lambda function states".
    fn may_be_tagged(&self) -> Result<(), CatalogueError> {
        super::may_change(self, None)
    }
}

impl Tagged for Mapping {
    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn with_tags(&self, tags: Tags) -> Self {
        Self { tags, ..self.clone() }
    }
}

impl Tagged for CodeSigningConfig {
    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn with_tags(&self, tags: Tags) -> Self {
        Self { tags, ..self.clone() }
    }
}

fn free<'a>(mut keys: impl Iterator<Item = &'a Arc<str>>) -> Result<(), TagError> {
    let reserved =
        |key: &&Arc<str>| key.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
    keys.find(reserved).map_or(Ok(()), |key| Err(TagError::Reserved(Arc::clone(key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::a_function;

    fn tags(text: &str) -> Tags {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }

    #[test]
    fn tags_are_merged_by_key_and_fifty_are_enough() {
        assert_eq!(merged(&tags("a=1 b=2"), &tags("b=3 c=4")).unwrap(), tags("a=1 b=3 c=4"));
        let many = |count: u32| -> Tags { (0..count).map(|n| (n.to_string().into(), "".into())).collect() };
        assert_eq!(merged(&Tags::new(), &many(50)).unwrap().len(), 50);
        assert_eq!(merged(&many(50), &tags("0=again")).unwrap().len(), 50);
        assert!(matches!(merged(&many(50), &tags("more")), Err(TagError::TooMany)));
        assert!(matches!(merged(&Tags::new(), &many(51)), Err(TagError::TooMany)));
    }

    #[test]
    fn what_is_not_there_is_taken_off_without_complaint() {
        for (own, keys, left) in
            [("a=1 b=2", "a", "b=2"), ("a=1", "b", "a=1"), ("a=1 b=2", "a b c", ""), ("", "a", "")]
        {
            let keys: Vec<Arc<str>> = keys.split_whitespace().map(Into::into).collect();
            assert_eq!(stripped(&tags(own), &keys).unwrap(), tags(left), "{own} - {keys:?}");
        }
    }

    #[test]
    fn a_function_that_changes_takes_no_tags_and_gives_them_up() {
        let pending = a_function("f").with_tags(tags("a=1"));
        let put = TagChange::Put(tags("b=2"));
        assert!(matches!(put.made_to(&pending), Err(TagError::Catalogue(CatalogueError::Busy { .. }))));
        let taken = TagChange::Take(vec!["a".into()]).made_to(&pending).unwrap();
        assert_eq!(taken, a_function("f"), "nothing but the tags is another");
    }

    #[test]
    fn what_begins_with_aws_is_nobodys() {
        for key in ["aws:x", "AWS:x", "Aws:"] {
            assert!(matches!(merged(&Tags::new(), &tags(key)), Err(TagError::Reserved(_))), "{key}");
            assert!(matches!(stripped(&Tags::new(), &[key.into()]), Err(TagError::Reserved(_))), "{key}");
        }
        for key in ["aws", "awsx:", "é:aws:", "my:aws:key"] {
            assert!(merged(&Tags::new(), &tags(key)).is_ok(), "{key}");
        }
    }
}
