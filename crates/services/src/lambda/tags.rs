//! Tags of functions, event source mappings and code signing configurations.

use std::collections::BTreeMap;

use catalogue::code_signing::CodeSigningKey;
use catalogue::mapping::MappingKey;
use catalogue::rules::tags::{self as rules, TagChange, TagError, Tagged, Tags};
use catalogue::{CatalogueError, FunctionKey, RootKey};
use wire::lambda as api;

use super::checks::Refusal;
use super::checks::code_signing::CodeSigningRefusal;
use super::checks::tags::{TagRefusal, Taggable};
use super::errors::Failure;
use super::names::NameError;
use super::{Lambda, render};
use crate::Context;

impl Lambda {
    pub(super) async fn tag_resource(
        &self,
        context: &Context,
        input: api::TagResourceRequest,
    ) -> Result<(), Failure> {
        if input.tags.is_empty() {
            return Err(TagRefusal::Nothing.into());
        }
        let resource = self.resource(context, &input.resource, "lambda:TagResource")?;
        self.retag(&resource, &TagChange::Put(kept(input.tags))).await
    }

    pub(super) async fn untag_resource(
        &self,
        context: &Context,
        input: api::UntagResourceRequest,
    ) -> Result<(), Failure> {
        let resource = self.resource(context, &input.resource, "lambda:UntagResource")?;
        let keys = input.tag_keys.into_iter().map(Into::into).collect();
        self.retag(&resource, &TagChange::Take(keys)).await
    }

    pub(super) async fn list_tags(
        &self,
        context: &Context,
        input: api::ListTagsRequest,
    ) -> Result<api::ListTagsResponse, Failure> {
        let resource = self.resource(context, &input.resource, "lambda:ListTags")?;
        let tags = match &resource {
            Resource::Function(key) => self.tags_of(key).await,
            Resource::Mapping(key) => self.tags_of(key).await,
            Resource::CodeSigningConfig(key) => self.tags_of(key).await,
        };
        let tags = tags.map_err(|error| resource.says(error))?;
        Ok(api::ListTagsResponse { tags: Some(render::tags(&tags).unwrap_or_default()) })
    }

    /// What an ARN names, if its sender may do `action` to it. Whether it is there is not looked up.
    fn resource(&self, context: &Context, arn: &str, action: &'static str) -> Result<Resource, Failure> {
        match Taggable::read(arn) {
            Taggable::Function(arn) => {
                let target = self.target(context, arn, None, action)?;
                match target.qualifier {
                    None => Ok(Resource::Function(target.key())),
                    Some(_) => Err(TagRefusal::Qualified.into()),
                }
            }
            Taggable::Mapping { scope, id } => MappingKey::parse(scope, &id.to_ascii_lowercase())
                .filter(|key| key.scope == context.scope)
                .map(Resource::Mapping)
                .ok_or_else(|| TagRefusal::NoMapping(arn.to_owned()).into()),
            Taggable::CodeSigningConfig { scope, id } => CodeSigningKey::parse(scope, id)
                .filter(|key| key.scope == context.scope)
                .map(Resource::CodeSigningConfig)
                .ok_or_else(|| CodeSigningRefusal::Unknown(arn.to_owned()).into()),
            Taggable::CapacityProvider => Err(TagRefusal::NoCapacityProvider(arn.to_owned()).into()),
            Taggable::NetworkConnector => Err(Refusal::NotBuilt("network connectors").into()),
        }
    }

    async fn retag(&self, resource: &Resource, change: &TagChange) -> Result<(), Failure> {
        let changed = match resource {
            Resource::Function(key) => self.retag_root(key, change).await,
            Resource::Mapping(key) => self.retag_root(key, change).await,
            Resource::CodeSigningConfig(key) => self.retag_root(key, change).await,
        };
        changed.map_err(|error| resource.says(error))
    }

    async fn retag_root<K: RootKey>(&self, key: &K, change: &TagChange) -> Result<(), TagError>
    where
        K::Root: Tagged,
    {
        self.parts.catalogue.change(key, |root, _| change.made_to(root)).await.map(drop)
    }

    async fn tags_of<K: RootKey>(&self, key: &K) -> Result<Tags, TagError>
    where
        K::Root: Tagged,
    {
        Ok(self.parts.catalogue.get(key).await?.tags().clone())
    }
}

/// What has tags, or would if it were there.
enum Resource {
    Function(FunctionKey),
    Mapping(MappingKey),
    CodeSigningConfig(CodeSigningKey),
}

impl Resource {
    /// An error about its tags, or that it is not there.
    fn says(&self, error: TagError) -> Failure {
        match error {
            TagError::Catalogue(CatalogueError::NotFound { arn }) => match self {
                Self::Function(_) => NameError::Unknown(arn).into(),
                Self::Mapping(_) => TagRefusal::NoMapping(arn).into(),
                Self::CodeSigningConfig(_) => CodeSigningRefusal::Unknown(arn).into(),
            },
            error => error.into(),
        }
    }
}

/// The tags of a new resource, if it may have them.
pub(super) fn given(tags: Option<BTreeMap<String, String>>) -> Result<Tags, Failure> {
    Ok(rules::merged(&Tags::new(), &kept(tags.unwrap_or_default()))?)
}

/// Tags as the catalogue holds them.
fn kept(tags: BTreeMap<String, String>) -> Tags {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
