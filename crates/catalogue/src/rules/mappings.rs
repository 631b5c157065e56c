//! The life of an event source mapping: what each request and each end of a change makes of it.
//!
//! Source: recorded answers of 2024 to 2026.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::arn::FunctionArn;
use store::Revision;

use super::Step;
use crate::mapping::{Mapping, MappingKey, MappingState, Settings, Source, SourceKind, Start};

/// What a mapping says of its last batch before there was one.
const UNPROCESSED: &str = "No records processed";

/// A mapping to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMapping {
    /// See [`Mapping::key`].
    pub key: MappingKey,
    /// See [`Mapping::function`].
    pub function: FunctionArn,
    /// See [`Mapping::source`].
    pub source: Source,
    /// See [`Mapping::start`].
    pub start: Option<Start>,
    /// See [`Mapping::settings`].
    pub settings: Settings,
    /// See [`Mapping::enabled`].
    pub enabled: bool,
    /// Tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// A change of a mapping. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingUpdate {
    /// See [`Mapping::function`].
    pub function: Option<FunctionArn>,
    /// See [`Mapping::enabled`].
    pub enabled: Option<bool>,
    /// See [`Mapping::settings`].
    pub settings: Settings,
}

/// Why a mapping cannot change now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// An earlier change is not at its end.
    #[error("an earlier change is still being brought about")]
    InUse,
    /// The change that is to be ended was ended, or another one came after it.
    #[error("another change came between")]
    Stale,
}

/// A mapping that was just asked for. A queue's that is not enabled has nothing to bring about.
pub fn create(new: NewMapping, step: Step) -> Mapping {
    let settled = !new.enabled && new.source.kind() == SourceKind::Sqs;
    Mapping {
        key: new.key,
        stored: Revision::default(),
        function: new.function,
        source: new.source,
        start: new.start,
        settings: new.settings,
        enabled: new.enabled,
        state: if settled { MappingState::Disabled } else { MappingState::Creating },
        processed: UNPROCESSED.into(),
        change: 1,
        last_modified: step.now,
        tags: new.tags,
    }
}

/// The mapping with a change in progress.
pub fn update(mapping: &Mapping, update: MappingUpdate, step: Step) -> Result<Mapping, Unsettled> {
    let enabled = update.enabled.unwrap_or(mapping.enabled);
    let state = match (mapping.enabled, enabled) {
        (false, true) => MappingState::Enabling,
        (true, false) => MappingState::Disabling,
        (false, false) | (true, true) => MappingState::Updating,
    };
    let function = update.function.unwrap_or_else(|| mapping.function.clone());
    Ok(Mapping { function, enabled, settings: update.settings, ..begin(mapping, state, step)? })
}

/// The mapping as it goes.
pub fn delete(mapping: &Mapping, step: Step) -> Result<Mapping, Unsettled> {
    begin(mapping, MappingState::Deleting, step)
}

fn begin(mapping: &Mapping, state: MappingState, step: Step) -> Result<Mapping, Unsettled> {
    if !mapping.state.is_settled() {
        return Err(Unsettled::InUse);
    }
    Ok(Mapping { state, change: mapping.change + 1, last_modified: step.now, ..mapping.clone() })
}

/// The mapping at the end of this change; one that was being deleted is to be removed instead, see [`is_gone`].
pub fn settle(mapping: &Mapping, change: u64) -> Result<Mapping, Unsettled> {
    if mapping.change != change || mapping.state.is_settled() || mapping.state == MappingState::Deleting {
        return Err(Unsettled::Stale);
    }
    let state = if mapping.enabled { MappingState::Enabled } else { MappingState::Disabled };
    Ok(Mapping { state, ..mapping.clone() })
}

/// Whether nothing is left to be done for the mapping but to remove it.
pub fn is_gone(mapping: &Mapping) -> bool {
    mapping.state == MappingState::Deleting
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::rules::tests::step;

    /// A mapping of `source` that was just made.
    pub(crate) fn a_mapping(source: Source, enabled: bool) -> Mapping {
        let function = crate::rules::tests::a_function("f").key;
        let kind = source.kind();
        let new = NewMapping {
            key: MappingKey {
                scope: function.scope.clone(),
                id: "0a0b0c0d-0000-4000-8000-000000000001".into(),
            },
            function: function.arn(),
            source,
            start: kind.is_stream().then_some(Start::Latest),
            settings: Settings::default_of(kind),
            enabled,
            tags: BTreeMap::new(),
        };
        create(new, step(1))
    }

    /// Plays steps, `<word>` each, on a new mapping and tells the states.
    fn check(source: &str, enabled: bool, steps: &str, expected: &Expect) {
        let source = match source {
            "queue" => Source::Sqs { queue: "arn:aws:sqs:us-east-1:000000000000:q".into() },
            _ => Source::Kinesis { stream: "arn:aws:kinesis:us-east-1:000000000000:stream/s".into() },
        };
        let mut mapping = a_mapping(source, enabled);
        let mut told = vec![format!("create: {}", mapping.state)];
        for word in steps.split_whitespace() {
            let change =
                |enabled| MappingUpdate { function: None, enabled, settings: mapping.settings.clone() };
            let done = match word {
                "enable" => update(&mapping, change(Some(true)), step(2)),
                "disable" => update(&mapping, change(Some(false)), step(2)),
                "update" => update(&mapping, change(None), step(2)),
                "delete" => delete(&mapping, step(2)),
                "settle" => settle(&mapping, mapping.change),
                _ => settle(&mapping, mapping.change - 1),
            };
            match done {
                Ok(changed) => {
                    told.push(format!("{word}: {}", changed.state));
                    mapping = changed;
                }
                Err(error) => told.push(format!("{word}: {error}")),
            }
        }
        expected.assert_eq(&told.join("\n"));
    }

    #[test]
    fn what_is_asked_for_is_brought_about_and_then_settled() {
        check(
            "queue",
            true,
            "settle disable settle enable settle update settle delete",
            &expect![[r"
                create: Creating
                settle: Enabled
                disable: Disabling
                settle: Disabled
                enable: Enabling
                settle: Enabled
                update: Updating
                settle: Enabled
                delete: Deleting"]],
        );
    }

    #[test]
    fn only_a_queue_that_is_not_enabled_is_settled_at_once() {
        check(
            "queue",
            false,
            "settle update settle",
            &expect![[r"
            create: Disabled
            settle: another change came between
            update: Updating
            settle: Disabled"]],
        );
        check(
            "stream",
            false,
            "settle enable",
            &expect![[r"
            create: Creating
            settle: Disabled
            enable: Enabling"]],
        );
    }

    #[test]
    fn nothing_changes_while_a_change_is_brought_about() {
        check(
            "stream",
            true,
            "update delete settle update earlier settle delete update delete settle",
            &expect![[r"
                create: Creating
                update: an earlier change is still being brought about
                delete: an earlier change is still being brought about
                settle: Enabled
                update: Updating
                earlier: another change came between
                settle: Enabled
                delete: Deleting
                update: an earlier change is still being brought about
                delete: an earlier change is still being brought about
                settle: another change came between"]],
        );
    }
}
