//! Tags of functions, event source mappings and code signing configurations.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalogue::rules::tags as rules;
use catalogue::rules::tags::Tags;
use wire::lambda as api;

use super::Lambda;
use super::checks::Refusal;
use super::checks::tags::{TagRefusal, Taggable};
use super::errors::Failure;
use super::names::Target;
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
        let more = kept(input.tags);
        match self.tagged(context, &input.resource, "lambda:TagResource")? {
            Tagged::Function(target) => {
                self.existing(&target, target.unknown()).await?;
                let tag = |function: &_, _| rules::tag_function(function, &more);
                self.parts.catalogue.change(&target.key(), tag).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn untag_resource(
        &self,
        context: &Context,
        input: api::UntagResourceRequest,
    ) -> Result<(), Failure> {
        let keys: Vec<Arc<str>> = input.tag_keys.into_iter().map(Into::into).collect();
        match self.tagged(context, &input.resource, "lambda:UntagResource")? {
            Tagged::Function(target) => {
                let untag = |function: &_, _| rules::untag_function(function, &keys);
                self.parts.catalogue.change(&target.key(), untag).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn list_tags(
        &self,
        context: &Context,
        input: api::ListTagsRequest,
    ) -> Result<api::ListTagsResponse, Failure> {
        let tags = match self.tagged(context, &input.resource, "lambda:ListTags")? {
            Tagged::Function(target) => self.existing(&target, target.unknown()).await?.tags.clone(),
        };
        let shown = tags.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Ok(api::ListTagsResponse { tags: Some(shown.collect()) })
    }

    /// What an ARN names, if its sender may do `action` to it.
    fn tagged(&self, context: &Context, arn: &str, action: &'static str) -> Result<Tagged, Failure> {
        match Taggable::read(arn) {
            Taggable::Function(arn) => {
                let target = self.target(context, arn, None, action)?;
                match target.qualifier {
                    None => Ok(Tagged::Function(target)),
                    Some(_) => Err(TagRefusal::Qualified.into()),
                }
            }
            Taggable::Mapping => Err(TagRefusal::NoMapping(arn.to_owned()).into()),
            Taggable::CodeSigningConfig => Err(TagRefusal::NoCodeSigningConfig(arn.to_owned()).into()),
            Taggable::CapacityProvider => Err(TagRefusal::NoCapacityProvider(arn.to_owned()).into()),
            Taggable::NetworkConnector => Err(Refusal::NotBuilt("network connectors").into()),
        }
    }
}

/// A resource whose tags are asked for.
enum Tagged {
    Function(Target),
}

/// The tags of a new resource, if it may have them.
pub(super) fn given(tags: Option<BTreeMap<String, String>>) -> Result<Tags, Failure> {
    Ok(rules::merged(&Tags::new(), &kept(tags.unwrap_or_default()))?)
}

/// Tags as the catalogue holds them.
fn kept(tags: BTreeMap<String, String>) -> Tags {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
