//! Everything at one revision of the store.

use std::collections::HashMap;
use std::sync::Arc;

use base::arn::Scope;
use store::Revision;

use crate::code_signing::CodeSigningConfig;
use crate::mapping::Mapping;
use crate::record::Place;
use crate::root::{PartChange, Root, RootKey};
use crate::shelf::Shelf;
use crate::{CatalogueError, Function, Layer, Usage};

/// Everything at one revision of the store. Cheap to clone and to change afterwards.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) code_signing: Shelves<CodeSigningConfig>,
    pub(crate) functions: Shelves<Function>,
    pub(crate) layers: Shelves<Layer>,
    pub(crate) mappings: Shelves<Mapping>,
    accounts: HashMap<Scope, Account>,
}

/// What is known of an account in a region as a whole.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    usage: Usage,
    /// The revision of the document that guards its concurrency.
    pool: Option<Revision>,
}

impl Snapshot {
    pub(crate) fn usage(&self, scope: &Scope) -> Usage {
        self.accounts.get(scope).map(|account| account.usage).unwrap_or_default()
    }

    /// The revision of the document that guards an account's concurrency, if there is one.
    pub(crate) fn pool(&self, scope: &Scope) -> Option<Revision> {
        self.accounts.get(scope)?.pool
    }

    pub(crate) fn set_pool(&mut self, scope: &Scope, revision: Option<Revision>) {
        self.accounts.entry(scope.clone()).or_default().pool = revision;
    }

    /// Keeps an account's usage while one root takes another's place.
    pub(crate) fn exchange_usage<R: Root>(&mut self, scope: &Scope, old: Option<&R>, new: Option<&R>) {
        let usage = &mut self.accounts.entry(scope.clone()).or_default().usage;
        *usage += new.map(Root::usage).unwrap_or_default();
        *usage -= old.map(Root::usage).unwrap_or_default();
    }
}

/// The roots of one kind.
#[derive(Debug, Clone)]
pub struct Shelves<R> {
    scopes: HashMap<Scope, Shelf<R>>,
}

impl<R> Default for Shelves<R> {
    fn default() -> Self {
        Self { scopes: HashMap::new() }
    }
}

impl<R: Root> Shelves<R> {
    pub(crate) fn get(&self, scope: &Scope, name: &str) -> Option<&Arc<R>> {
        self.scopes.get(scope)?.get(name)
    }

    /// Those after `after` if given, by name.
    pub(crate) fn list<'a>(
        &'a self,
        scope: &Scope,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<R>> {
        self.scopes.get(scope).into_iter().flat_map(move |shelf| shelf.after(after))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<R>> {
        self.scopes.values().flat_map(|shelf| shelf.after(None))
    }

    /// Takes over what a document holds now. Parts of what is not there belong to something that was removed.
    pub(crate) fn take_over(
        &mut self,
        place: &Place<'_>,
        revision: Revision,
        body: Option<&[u8]>,
    ) -> Result<(), CatalogueError> {
        match (place.part, body) {
            (Some((kind, name)), body) => {
                let Some(root) =
                    self.scopes.get_mut(&place.scope).and_then(|shelf| shelf.get_mut(place.name))
                else {
                    return Ok(());
                };
                let change = PartChange { document: place.document, kind, name, body };
                Arc::make_mut(root).take_over(&change)
            }
            (None, Some(body)) => self.renew(place, revision, body),
            (None, None) => {
                self.remove(&place.scope, place.name);
                Ok(())
            }
        }
    }

    fn renew(&mut self, place: &Place<'_>, revision: Revision, body: &[u8]) -> Result<(), CatalogueError> {
        let unnamed =
            || CatalogueError::Corrupt { key: place.document.clone(), reason: "the key has no name".into() };
        let key = R::Key::parse(place.scope.clone(), place.name).ok_or_else(unnamed)?;
        let mut root = R::read(place.document, &key, body)?;
        root.set_stored(revision);
        let shelf = self.scopes.entry(key.scope().clone()).or_default();
        match shelf.get_mut(place.name) {
            Some(older) => *older = Arc::new(root.with_parts_of(older)),
            None => drop(shelf.insert(Arc::new(root))),
        }
        Ok(())
    }

    fn remove(&mut self, scope: &Scope, name: &str) {
        let Some(shelf) = self.scopes.get_mut(scope) else { return };
        shelf.remove(name);
        if shelf.is_empty() {
            self.scopes.remove(scope);
        }
    }
}
