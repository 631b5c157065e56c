//! All functions at one revision of the store.

use std::collections::HashMap;
use std::sync::Arc;

use base::arn::Scope;

use crate::shelf::Shelf;
use crate::{Function, FunctionKey};

/// All functions at one revision of the store. Cheap to clone and to change afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    scopes: HashMap<Scope, Shelf>,
}

impl Snapshot {
    pub(crate) fn get(&self, key: &FunctionKey) -> Option<&Arc<Function>> {
        self.scopes.get(&key.scope)?.get(&key.name)
    }

    pub(crate) fn list<'a>(
        &'a self,
        scope: &Scope,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Function>> {
        self.scopes.get(scope).into_iter().flat_map(move |shelf| shelf.after(after))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.scopes.values().flat_map(|shelf| shelf.after(None))
    }

    /// Puts `function` in its place and answers what was there.
    pub(crate) fn insert(&mut self, function: Arc<Function>) -> Option<Arc<Function>> {
        self.scopes.entry(function.key.scope.clone()).or_default().insert(function)
    }

    pub(crate) fn remove(&mut self, key: &FunctionKey) -> Option<Arc<Function>> {
        let shelf = self.scopes.get_mut(&key.scope)?;
        let removed = shelf.remove(&key.name);
        if shelf.is_empty() {
            self.scopes.remove(&key.scope);
        }
        removed
    }
}
