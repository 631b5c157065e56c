//! What has a document of its own in the store, and the parts that hang below it.
//!
//! A root's document is written with every change of the root or of a part, so the revision of that one document
//! guards everything below it. In memory a root carries its parts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base::arn::{Qualifier, Scope};
use bytes::Bytes;
use store::{Commit, Key, Revision};

use crate::follower::Event;
use crate::record;
use crate::snapshot::{Shelves, Snapshot};
use crate::{CatalogueError, CodeRef, Usage};

/// Names a root. Only the catalogue has such.
pub trait RootKey: Clone + Eq + fmt::Display + Send + Sync + 'static {
    /// What it names.
    type Root: Root<Key = Self>;
    /// Account and region.
    fn scope(&self) -> &Scope;
    /// Unique among the roots of one kind in a scope, and without slashes.
    fn name(&self) -> &str;
    /// The key of this name; none for what cannot be one.
    fn parse(scope: Scope, name: &str) -> Option<Self>;
}

/// Something with a document of its own, carrying the parts below it. What is said of parts and packages holds for a
/// root that has none until it says otherwise.
pub trait Root: Clone + fmt::Debug + Send + Sync + 'static {
    /// What documents of this kind are called in the store.
    const KIND: &'static str;
    /// Names it.
    type Key: RootKey<Root = Self>;

    /// Its name.
    fn key(&self) -> &Self::Key;
    /// That there is none.
    fn missing(key: &Self::Key) -> CatalogueError;
    /// The revision of its document as it was read.
    fn stored(&self) -> Revision;
    /// Notes the revision of its document.
    fn set_stored(&mut self, revision: Revision);
    /// The stored form of itself, without parts.
    fn write(&self) -> Bytes;
    /// Itself without parts.
    fn read(document: &Key, key: &Self::Key, body: &[u8]) -> Result<Self, CatalogueError>;
    /// Itself with the parts of `older`.
    fn with_parts_of(self, _older: &Self) -> Self {
        self
    }
    /// Tells which parts differ; where one side is missing, all of the other's.
    fn differences(_old: Option<&Self>, _new: Option<&Self>, _told: &mut Differences) {}
    /// Takes over a part as it is stored now; kinds that are not known belong to another version of Samovar.
    fn take_over(&mut self, _part: &PartChange<'_>) -> Result<(), CatalogueError> {
        Ok(())
    }
    /// Every package that it needs.
    fn codes(&self, _each: &mut dyn FnMut(&CodeRef)) {}
    /// What it adds to its account's usage: its packages, if it says nothing else.
    fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.codes(&mut |code| usage.code += code.size);
        usage
    }
    /// What subscribers hear when it changes or goes.
    fn event(_key: &Self::Key, _removed: bool) -> Option<Event> {
        None
    }
    /// Its place in a snapshot.
    fn shelves(snapshot: &Snapshot) -> &Shelves<Self>;
    /// The same, to change.
    fn shelves_mut(snapshot: &mut Snapshot) -> &mut Shelves<Self>;
}

/// The name of a part below its root.
pub trait PartName: Ord + Clone + fmt::Display {
    /// The name of this text.
    fn parse(text: &str) -> Option<Self>;
}

impl PartName for u64 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl PartName for Arc<str> {
    fn parse(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl PartName for Qualifier {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// Something with a document below a root's.
pub trait Part: Sized {
    /// What documents of this kind are called in the store.
    const KIND: &'static str;
    /// Tells it from its siblings.
    type Name: PartName;
    /// Names its root.
    type Owner: RootKey;

    /// The stored form.
    fn write(&self) -> Bytes;
    /// The part that is stored in `document`.
    fn read(
        document: &Key,
        owner: &Self::Owner,
        name: &Self::Name,
        body: &[u8],
    ) -> Result<Self, CatalogueError>;
}

/// The parts of one kind below one root.
pub type Parts<P> = BTreeMap<<P as Part>::Name, Arc<P>>;

/// A part's document as it is now.
#[derive(Debug, Clone, Copy)]
pub struct PartChange<'a> {
    pub(crate) document: &'a Key,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// None when it was deleted.
    pub(crate) body: Option<&'a [u8]>,
}

impl PartChange<'_> {
    /// Carries the change out among the parts of its kind.
    pub(crate) fn among<P: Part>(
        &self,
        owner: &P::Owner,
        parts: &mut Parts<P>,
    ) -> Result<(), CatalogueError> {
        let unnamed =
            || CatalogueError::Corrupt { key: self.document.clone(), reason: "the key has no name".into() };
        let name = P::Name::parse(self.name).ok_or_else(unnamed)?;
        match self.body {
            Some(body) => {
                let part = P::read(self.document, owner, &name, body)?;
                parts.insert(name, Arc::new(part));
            }
            None => drop(parts.remove(&name)),
        }
        Ok(())
    }
}

/// Collects what must be written to make one root of another.
#[derive(Debug)]
pub struct Differences {
    root: Key,
    commit: Commit,
}

impl Differences {
    /// What makes `new` of `old`, added to `commit`.
    pub(crate) fn between<R: Root>(key: &R::Key, old: Option<&R>, new: Option<&R>, commit: Commit) -> Commit {
        let mut told = Self { root: record::key_of::<R>(key), commit };
        let root = told.root.clone();
        R::differences(old, new, &mut told);
        match new {
            Some(new) => told.commit.put.push((root, new.write())),
            None => told.commit.delete.push(root),
        }
        told.commit
    }

    /// Adds the parts of one kind that differ.
    pub(crate) fn add<P: Part>(&mut self, old: Option<&Parts<P>>, new: Option<&Parts<P>>) {
        let (none, also_none) = (Parts::<P>::new(), Parts::<P>::new());
        let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&also_none));
        for (name, part) in new {
            if !old.get(name).is_some_and(|same| Arc::ptr_eq(same, part)) {
                self.commit.put.push((self.document::<P>(name), part.write()));
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(name)) {
            self.commit.delete.push(self.document::<P>(name));
        }
    }

    fn document<P: Part>(&self, name: &P::Name) -> Key {
        Key::new(format!("{}/{}/{name}", self.root, P::KIND))
    }
}
