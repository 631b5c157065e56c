//! CreateAlias, GetAlias, UpdateAlias, DeleteAlias and ListAliases.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base::arn::Qualifier;
use catalogue::rules::{self, AliasError};
use catalogue::{Alias, AliasUpdate, CatalogueError, Function, FunctionKey, NewAlias, Routing, Weight};
use wire::lambda as api;

use super::Lambda;
use super::checks::Refusal;
use super::errors::Failure;
use super::names::Target;
use super::pages::Page;
use super::update::revision;
use crate::Context;

/// Most aliases on one page: as many as may be asked for. Source: recorded in 2026, 53 on one page.
const PAGE: usize = 10_000;

impl Lambda {
    pub(super) async fn create_alias(
        &self,
        context: &Context,
        input: api::CreateAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:CreateAlias")?;
        let key = target.latest()?;
        // An unknown function is told by the version that the alias was to lead to.
        let missing = || target.with(&input.function_version).unknown();
        self.existing(&target, missing()).await?;
        let new = NewAlias {
            name: input.name.into(),
            version: version(&input.function_version).ok_or_else(missing)?,
            routing: input.routing_config.map_or(Ok(None), |config| routing(&target, config))?,
            description: input.description.unwrap_or_default().into(),
        };
        let create = |function: &Function, step| rules::aliases::create(function, &new, step);
        let function = self.parts.catalogue.change(&key, create).await?;
        Ok(shown(&function.key, &function.aliases[&new.name]))
    }

    pub(super) async fn get_alias(
        &self,
        context: &Context,
        input: api::GetAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:GetAlias")?;
        target.latest()?;
        let missing = || target.with(&input.name).unknown_part();
        let function = self.existing(&target, missing()).await?;
        let alias = function.aliases.get(&*input.name).ok_or_else(missing)?;
        Ok(shown(&function.key, alias))
    }

    pub(super) async fn update_alias(
        &self,
        context: &Context,
        input: api::UpdateAliasRequest,
    ) -> Result<api::AliasConfiguration, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:UpdateAlias")?;
        let key = target.latest()?;
        let name: Arc<str> = input.name.into();
        let unknown = || AliasError::Unknown(key.arn().qualified(Qualifier::Alias(Arc::clone(&name))));
        let function = match self.parts.catalogue.get(&key).await {
            Err(CatalogueError::NotFound { .. }) => return Err(unknown().into()),
            other => other?,
        };
        if !function.aliases.contains_key(&name) {
            return Err(unknown().into());
        }
        let to = |text: String| version(&text).ok_or_else(|| target.with(&text).unknown());
        let update = AliasUpdate {
            expected: revision(input.revision_id.as_deref())?,
            version: input.function_version.map(to).transpose()?,
            routing: input.routing_config.map(|config| routing(&target, config)).transpose()?,
            description: input.description.map(Into::into),
        };
        let update = |function: &Function, step| rules::aliases::update(function, &name, &update, step);
        let function = self.parts.catalogue.change(&key, update).await?;
        Ok(shown(&function.key, &function.aliases[&name]))
    }

    pub(super) async fn delete_alias(
        &self,
        context: &Context,
        input: api::DeleteAliasRequest,
    ) -> Result<(), Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:DeleteAlias")?;
        let key = target.latest()?;
        self.existing(&target, target.unknown()).await?;
        let delete = |function: &Function, _| Ok::<_, Failure>(rules::aliases::delete(function, &input.name));
        self.parts.catalogue.change(&key, delete).await?;
        Ok(())
    }

    pub(super) async fn list_aliases(
        &self,
        context: &Context,
        input: api::ListAliasesRequest,
    ) -> Result<api::ListAliasesResponse, Failure> {
        let target = self.whole_function(context, &input.function_name, "lambda:ListAliases")?;
        target.latest()?;
        let function = self.existing(&target, target.unknown()).await?;
        let page = Page::read(input.marker.as_deref(), input.max_items, PAGE)?;
        let after = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = input.function_version;
        let leads = |alias: &&Arc<Alias>| {
            wanted.as_ref().is_none_or(|wanted| version(wanted).as_ref() == Some(&alias.version))
        };
        let found = function.aliases.range::<str, _>((after, Bound::Unbounded)).map(|(_, alias)| alias);
        let (aliases, next_marker) = page.cut(found.filter(leads), |last| last.name.to_string());
        let aliases = aliases.into_iter().map(|alias| shown(&function.key, alias)).collect();
        Ok(api::ListAliasesResponse { next_marker, aliases: Some(aliases) })
    }
}

/// The version that a request's `FunctionVersion` means; none for text that no version of ours is called.
fn version(text: &str) -> Option<Qualifier> {
    Qualifier::parse(text).ok().filter(|version| !matches!(version, Qualifier::Alias(_)))
}

/// The second version that a request asks for. An object without weights asks for none.
fn routing(target: &Target, config: api::AliasRoutingConfiguration) -> Result<Option<Routing>, Failure> {
    let weights = config.additional_version_weights.unwrap_or_default();
    if weights.len() > 1 {
        return Err(Refusal::TwoWeights.into());
    }
    let Some((text, weight)) = weights.into_iter().next() else { return Ok(None) };
    let Ok(Qualifier::Version(version)) = Qualifier::parse(&text) else {
        return Err(target.with(&text).unknown().into());
    };
    // The front end has made sure that it is from 0 to 1.
    Ok(Weight::new(weight).map(|weight| Routing { version, weight }))
}

fn shown(key: &FunctionKey, alias: &Alias) -> api::AliasConfiguration {
    let weights = |routing: Routing| api::AliasRoutingConfiguration {
        additional_version_weights: Some(BTreeMap::from([(
            routing.version.to_string(),
            routing.weight.get(),
        )])),
    };
    api::AliasConfiguration {
        alias_arn: Some(key.arn().qualified(Qualifier::Alias(Arc::clone(&alias.name))).to_string()),
        name: Some(alias.name.to_string()),
        function_version: Some(alias.version.to_string()),
        description: Some(alias.description.to_string()),
        routing_config: alias.routing.map(weights),
        revision_id: Some(alias.revision.to_string()),
    }
}
