//! Tags of groups, through the operations for resources and through the older ones for groups.

use std::collections::BTreeMap;

use base::arn::Scope;
use record::logs::GroupSettings;
use wire::error::ServiceError;
use wire::logs as api;
use wire::logs::exception;

use super::Logs;
use super::errors::{invalid, no_group, refused};
use super::names::{group_arn, group_at};

/// Tags of one group. Source: CloudWatch Logs API reference, TagResource.
const TAGS: usize = 50;

/// What tags of AWS's own begin with. Source: CloudWatch Logs API reference, TagResource.
const RESERVED: &str = "aws:";

type Tags = BTreeMap<String, String>;

impl Logs {
    pub(super) async fn label_resource(
        &self,
        scope: &Scope,
        input: api::TagResourceRequest,
    ) -> Result<(), ServiceError> {
        self.tag(scope, tagged(scope, &input.resource_arn)?, input.tags).await
    }

    pub(super) async fn unlabel_resource(
        &self,
        scope: &Scope,
        input: &api::UntagResourceRequest,
    ) -> Result<(), ServiceError> {
        self.untag(scope, tagged(scope, &input.resource_arn)?, &input.tag_keys).await
    }

    pub(super) fn tags_of_resource(
        &self,
        scope: &Scope,
        input: &api::ListTagsForResourceRequest,
    ) -> Result<api::ListTagsForResourceResponse, ServiceError> {
        let tags = self.tags(scope, tagged(scope, &input.resource_arn)?)?;
        Ok(api::ListTagsForResourceResponse { tags: Some(tags) })
    }

    pub(super) async fn tag_group(
        &self,
        scope: &Scope,
        input: api::TagLogGroupRequest,
    ) -> Result<(), ServiceError> {
        self.tag(scope, &input.log_group_name, input.tags).await
    }

    pub(super) async fn untag_group(
        &self,
        scope: &Scope,
        input: &api::UntagLogGroupRequest,
    ) -> Result<(), ServiceError> {
        self.untag(scope, &input.log_group_name, &input.tags).await
    }

    pub(super) fn tags_of_group(
        &self,
        scope: &Scope,
        input: &api::ListTagsLogGroupRequest,
    ) -> Result<api::ListTagsLogGroupResponse, ServiceError> {
        Ok(api::ListTagsLogGroupResponse { tags: Some(self.tags(scope, &input.log_group_name)?) })
    }

    async fn tag(&self, scope: &Scope, group: &str, tags: Tags) -> Result<(), ServiceError> {
        let arn = group_arn(scope, group);
        let mut outcome = Ok(());
        let change = |settings: &mut GroupSettings| {
            outcome = checked(&settings.tags, &tags, &arn);
            if outcome.is_ok() {
                settings.tags.extend(tags);
            }
        };
        self.logs.change_group(scope, group, change).await.map_err(refused)?;
        outcome
    }

    async fn untag(&self, scope: &Scope, group: &str, keys: &[String]) -> Result<(), ServiceError> {
        let change = |settings: &mut GroupSettings| settings.tags.retain(|key, _| !keys.contains(key));
        self.logs.change_group(scope, group, change).await.map_err(refused)
    }

    fn tags(&self, scope: &Scope, group: &str) -> Result<Tags, ServiceError> {
        Ok(self.logs.group_settings(scope, group).map_err(refused)?.tags)
    }
}

/// The group that an ARN names. Destinations, which have tags too, there are none of.
fn tagged<'a>(scope: &Scope, arn: &'a str) -> Result<&'a str, ServiceError> {
    if !arn.starts_with("arn:") {
        return Err(invalid(format!("'{arn}' is not the ARN of a log group.")));
    }
    group_at(scope, arn).ok_or_else(no_group)
}

/// Whether a resource may have `more` tags beside its own.
pub(super) fn checked(own: &Tags, more: &Tags, arn: &str) -> Result<(), ServiceError> {
    if let Some(key) = more.keys().find(|key| key.to_ascii_lowercase().starts_with(RESERVED)) {
        return Err(invalid(format!(
            "The tag key '{key}' begins with {RESERVED}, which is reserved for AWS."
        )));
    }
    let all = own.len() + more.keys().filter(|key| !own.contains_key(*key)).count();
    if all > TAGS {
        let message = format!("The resource has {all} tags, which exceeds the limit of {TAGS}.");
        return Err(exception::TOO_MANY_TAGS.with(message).member("resourceName", arn));
    }
    Ok(())
}
