//! Event source mappings: the records of them. The pollers that carry them out come later.
//!
//! No source is looked up: queues, streams and clusters do not exist here yet, so a mapping may name one that is
//! not there. What AWS refuses because of a source's state (a missing queue, a short visibility timeout, missing
//! rights) is accepted until sources come.

mod render;
mod request;

use std::sync::Arc;
use std::time::Duration;

use base::arn::{FunctionArn, Qualifier};
use catalogue::mapping::{Mapping, MappingKey, Settings, Source, SourceKind};
use catalogue::rules::mappings::{self as rules, MappingUpdate, NewMapping, Unsettled};
use catalogue::{CatalogueError, RootKey};
use wire::lambda as api;

use super::checks::mappings::{self as checks, MappingRefusal};
use super::errors::Failure;
use super::errors::mappings::MappingFailure;
use super::names::{NameError, Target};
use super::pages::Page;
use super::{Act, Lambda, tags};
use crate::Context;

/// Most mappings on one page, whatever is asked for. Source: recorded lists.
const PAGE: usize = 100;

/// How long a change takes to be brought about.
///
/// Ours: AWS takes seconds to a minute; long enough to be seen, and short enough not to be waited for.
const SETTLING: Duration = Duration::from_secs(1);

/// Time until an end that could not be written is written again.
const PAUSE: Duration = Duration::from_secs(1);

impl Lambda {
    pub(super) async fn create_event_source_mapping(
        &self,
        context: &Context,
        mut input: api::CreateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        let target = self.mapped(context, &input.function_name, "lambda:CreateEventSourceMapping")?;
        let id = self.parts.dice.uuid().to_string();
        let (source, start, settings) = wanted(&input, &id)?;
        let tags = tags::given(input.tags.take())?;
        let function = self.existing_target(&target).await?;
        let new = NewMapping {
            key: MappingKey { scope: context.scope.clone(), id: id.into() },
            function,
            source,
            start,
            settings,
            enabled: input.enabled.unwrap_or(true),
            tags,
        };
        let _alone = self.joint.lock().await;
        self.refuse_second(&new.key, &new.function, &new.source)?;
        let key = new.key.clone();
        let make = |_: Option<&Mapping>, step| Ok::<_, CatalogueError>(rules::create(new.clone(), step));
        let mapping = self.parts.catalogue.upsert(&key, make).await?;
        Ok(self.accepted(&mapping))
    }

    pub(super) async fn get_event_source_mapping(
        &self,
        context: &Context,
        input: api::GetEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        let mapping = self.existing_mapping(context, &input.uuid, "lambda:GetEventSourceMapping").await?;
        Ok(render::configuration(&mapping))
    }

    pub(super) async fn list_event_source_mappings(
        &self,
        context: &Context,
        input: api::ListEventSourceMappingsRequest,
    ) -> Result<api::ListEventSourceMappingsResponse, Failure> {
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let function = input.function_name.as_deref().map(|name| Target::read(&context.scope, name, None));
        let function = match function {
            // A name that no function can have is no mapping's either.
            Some(Err(NameError::Unknown(_))) => Some(None),
            Some(target) => Some(target?.arn()),
            None => None,
        };
        let wanted = |mapping: &Mapping| {
            let source = mapping.source.arn().map(AsRef::as_ref);
            input.event_source_arn.as_deref().is_none_or(|arn| source == Some(arn))
                && function.as_ref().is_none_or(|function| function.as_ref() == Some(&mapping.function))
        };
        let found = self.parts.catalogue.list(&context.scope, page.after.as_deref(), page.look_for(), wanted);
        let (shown, next_marker) = page.cut(found, |last| last.key.id.to_string());
        let mappings = shown.iter().map(|mapping| render::listed(mapping)).collect();
        Ok(api::ListEventSourceMappingsResponse { next_marker, event_source_mappings: Some(mappings) })
    }

    pub(super) async fn update_event_source_mapping(
        &self,
        context: &Context,
        input: api::UpdateEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        let mapping = self.existing_mapping(context, &input.uuid, "lambda:UpdateEventSourceMapping").await?;
        changed(&mapping, &input)?;
        let target = input
            .function_name
            .as_deref()
            .map(|name| self.mapped(context, name, "lambda:UpdateEventSourceMapping"))
            .transpose()?;
        let function = match &target {
            Some(target) => Some(self.existing_target(target).await?),
            None => None,
        };
        let _alone = self.joint.lock().await;
        if let Some(function) = &function {
            self.refuse_second(&mapping.key, function, &mapping.source)?;
        }
        let change = |mapping: &Mapping, step| {
            let settings = changed(mapping, &input)?;
            let update = MappingUpdate { function: function.clone(), enabled: input.enabled, settings };
            Ok::<_, MappingFailure>(rules::update(mapping, update, step)?)
        };
        let updated = self.parts.catalogue.change(&mapping.key, change).await;
        Ok(self.accepted(&*updated.map_err(|error| error.says("update"))?))
    }

    pub(super) async fn delete_event_source_mapping(
        &self,
        context: &Context,
        input: api::DeleteEventSourceMappingRequest,
    ) -> Result<api::EventSourceMappingConfiguration, Failure> {
        let mapping = self.existing_mapping(context, &input.uuid, "lambda:DeleteEventSourceMapping").await?;
        let change = |mapping: &Mapping, step| Ok::<_, MappingFailure>(rules::delete(mapping, step)?);
        let deleted = self.parts.catalogue.change(&mapping.key, change).await;
        Ok(self.accepted(&*deleted.map_err(|error| error.says("delete"))?))
    }

    /// Brings about what an earlier process accepted. Needs a tokio runtime.
    pub(super) fn resume_mappings(&self) {
        for mapping in self.parts.catalogue.everywhere(|mapping: &Mapping| !mapping.state.is_settled()) {
            self.bring_mapping_about(&mapping);
        }
    }

    /// The answer to a request that began a change, which is brought about meanwhile.
    fn accepted(&self, mapping: &Mapping) -> api::EventSourceMappingConfiguration {
        self.bring_mapping_about(mapping);
        render::configuration(mapping)
    }

    fn bring_mapping_about(&self, mapping: &Mapping) {
        if !mapping.state.is_settled() {
            tokio::spawn(self.clone().settle(mapping.key.clone(), mapping.change));
        }
    }

    /// Ends a change after its time. A store that refuses for long is asked for as long.
    async fn settle(self, key: MappingKey, change: u64) {
        self.parts.clock.sleep(SETTLING).await;
        loop {
            match self.end(&key, change).await {
                Ok(())
                | Err(
                    MappingFailure::Unsettled(_) | MappingFailure::Catalogue(CatalogueError::Missing { .. }),
                ) => return,
                Err(error) => tracing::warn!(%error, mapping = %key, "a mapping's new state is not written"),
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    async fn end(&self, key: &MappingKey, change: u64) -> Result<(), MappingFailure> {
        let catalogue = &self.parts.catalogue;
        let gone = catalogue.get(key).await.is_ok_and(|mapping| rules::is_gone(&mapping));
        if gone {
            let may = |mapping: &Mapping| match rules::is_gone(mapping) && mapping.change == change {
                true => Ok(()),
                false => Err(MappingFailure::from(Unsettled::Stale)),
            };
            return catalogue.remove(key, may).await;
        }
        catalogue.change(key, |mapping: &Mapping, _| Ok(rules::settle(mapping, change)?)).await.map(drop)
    }

    /// The function that a mapping names, if its sender may do `action` to it.
    fn mapped(&self, context: &Context, name: &str, action: &'static str) -> Result<Target, Failure> {
        match Target::read(&context.scope, name, None) {
            Err(NameError::Unknown(_)) => Err(MappingRefusal::Function.into()),
            _ => self.target(context, name, None, action),
        }
    }

    /// The ARN of what is invoked, which exists.
    async fn existing_target(&self, target: &Target) -> Result<FunctionArn, Failure> {
        let function = match self.parts.catalogue.get(&target.key()).await {
            Err(CatalogueError::NotFound { .. }) => return Err(MappingRefusal::Function.into()),
            other => other?,
        };
        let exists = match target.qualifier() {
            Some(Qualifier::Latest) => true,
            Some(Qualifier::Version(number)) => function.versions.contains_key(&number),
            Some(Qualifier::Alias(name)) => function.aliases.contains_key(&name),
            None => false,
        };
        match target.arn() {
            Some(arn) if exists => Ok(arn),
            _ => Err(MappingRefusal::Function.into()),
        }
    }

    /// The mapping of a request, if its sender may do `action` to what it invokes.
    async fn existing_mapping(
        &self,
        context: &Context,
        id: &str,
        action: &'static str,
    ) -> Result<Arc<Mapping>, Failure> {
        let missing = || MappingFailure::from(CatalogueError::Missing { what: id.to_owned() });
        let key = MappingKey::parse(context.scope.clone(), id).ok_or_else(missing)?;
        let mapping = self.parts.catalogue.get(&key).await.map_err(MappingFailure::from)?;
        let act = Act { action, resource: mapping.function.clone() };
        self.parts.gate.authorize(&context.principal, act)?;
        Ok(mapping)
    }

    /// Refuses that a function reads one source twice. Other qualifiers of it are other functions.
    fn refuse_second(
        &self,
        key: &MappingKey,
        function: &FunctionArn,
        source: &Source,
    ) -> Result<(), MappingRefusal> {
        let same = |mapping: &Mapping| {
            mapping.key != *key && mapping.function == *function && mapping.source.feeds_like(source)
        };
        let Some(first) = self.parts.catalogue.list(&key.scope, None, 1, same).pop() else {
            return Ok(());
        };
        let uuid = first.key.id.to_string();
        Err(MappingRefusal::Exists { pair: checks::pair(source, function), uuid })
    }
}

/// What a creation asks for.
fn wanted(
    input: &api::CreateEventSourceMappingRequest,
    id: &str,
) -> Result<(Source, Option<catalogue::mapping::Start>, Settings), MappingRefusal> {
    let kind = request::kind(input)?;
    let changes = request::changeable(input);
    let settings = request::applied(&Settings::default_of(kind), kind, &changes);
    checks::members(kind, &changes, settings.pollers.is_some())?;
    let source = request::source(kind, input, id)?;
    request::needs(kind, &changes)?;
    let start = request::start(&source, input)?;
    checks::values(kind, &changes)?;
    checks::settings(&source, &settings)?;
    Ok((source, start, settings))
}

/// The settings that a change makes of the mapping's.
fn changed(
    mapping: &Mapping,
    input: &api::UpdateEventSourceMappingRequest,
) -> Result<Settings, MappingRefusal> {
    let kind: SourceKind = mapping.source.kind();
    let settings = request::applied(&mapping.settings, kind, input);
    checks::members(kind, input, settings.pollers.is_some())?;
    checks::unchangeable(kind, input)?;
    checks::values(kind, input)?;
    checks::settings(&mapping.source, &settings)?;
    Ok(settings)
}
