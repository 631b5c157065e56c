//! What a qualifier means for one function.

use std::sync::Arc;

use base::arn::Qualifier;

use crate::{Function, PolicyName, Version};

impl Function {
    /// The version that answers show under a qualifier; an alias stands for its first version.
    pub fn shown(&self, qualifier: &Qualifier) -> Option<&Arc<Version>> {
        match qualifier {
            Qualifier::Latest => Some(&self.latest),
            Qualifier::Version(number) => self.versions.get(number),
            Qualifier::Alias(name) => match &self.aliases.get(name)?.version {
                Qualifier::Alias(_) => None,
                version => self.shown(version),
            },
        }
    }

    /// The version that an invocation runs under a qualifier; `draw` decides among the two of an alias and is
    /// asked for a number from 0 up to but not including 1.
    pub fn runs(&self, qualifier: &Qualifier, draw: impl FnOnce() -> f64) -> Option<&Arc<Version>> {
        match qualifier {
            Qualifier::Latest => Some(&self.live),
            Qualifier::Version(number) => self.versions.get(number),
            Qualifier::Alias(name) => match self.aliases.get(name)?.drawn(draw()) {
                Qualifier::Latest => Some(&self.live),
                Qualifier::Version(number) => self.versions.get(&number),
                Qualifier::Alias(_) => None,
            },
        }
    }

    /// Whether there is such a version or alias.
    pub fn has(&self, qualifier: &Qualifier) -> bool {
        self.shown(qualifier).is_some()
    }

    /// Whether environments of this version and generation may take further invocations.
    pub fn still_runs(&self, version: &Qualifier, generation: u64) -> bool {
        let current = match version {
            Qualifier::Latest => Some(&self.live),
            Qualifier::Version(number) => self.versions.get(number),
            Qualifier::Alias(_) => None,
        };
        current.is_some_and(|current| current.generation == generation)
    }

    /// `$LATEST` and then its versions in the order of their numbers, those after `after` if given. The version
    /// that `after` names need not exist any more.
    pub fn versions_after(&self, after: Option<&Qualifier>) -> impl Iterator<Item = &Arc<Version>> + use<'_> {
        let latest = after.is_none().then_some(&self.latest);
        let past = match after {
            Some(Qualifier::Version(number)) => number.saturating_add(1),
            _ => 0,
        };
        latest.into_iter().chain(self.versions.range(past..).map(|(_, version)| version))
    }

    /// Removes what hangs on a version or alias that goes: each setting that is kept by qualifier has its line
    /// here. URLs have none, because they outlive their alias and live on with another one of its name.
    pub(crate) fn forget(&mut self, qualifier: &Qualifier) {
        self.event_invoke.remove(qualifier);
        self.policies.remove(&PolicyName(Some(qualifier.clone())));
        self.provisioned.remove(qualifier);
        self.runtime_management.remove(qualifier);
    }
}
