//! Log groups: made, listed, kept for a while, removed.

use std::collections::BTreeMap;

use base::arn::Scope;
use record::logs::{GroupQuery, GroupSettings, LogGroup, Named};
use wire::error::ServiceError;
use wire::logs as api;
use wire::logs::exception;

use super::errors::{invalid, no_group, refused, violation};
use super::names::{group_arn, group_at};
use super::tags::checked;
use super::{Logs, PAGE, limit};

/// For how many days events may be kept. Source: CloudWatch Logs API reference, PutRetentionPolicy.
const RETENTIONS: &[u32] = &[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/// What AWS keeps for itself. Source: CloudWatch Logs API reference, CreateLogGroup.
const RESERVED: &str = "aws/";

impl Logs {
    pub(super) async fn create_group(
        &self,
        scope: &Scope,
        input: api::CreateLogGroupRequest,
    ) -> Result<(), ServiceError> {
        let name = &input.log_group_name;
        if name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED)) {
            return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
        }
        if let Some(class) = input.log_group_class.filter(|class| *class != api::LogGroupClass::Standard) {
            let class = class.as_str();
            return Err(invalid(format!("Samovar has log groups of the class STANDARD, not {class}.")));
        }
        if input.deletion_protection_enabled == Some(true) {
            return Err(invalid("Samovar does not implement the deletion protection of log groups."));
        }
        if let Some(key) = &input.kms_key_id {
            is_key(scope, name, key)?;
        }
        let tags = input.tags.unwrap_or_default();
        checked(&BTreeMap::new(), &tags, &group_arn(scope, name))?;
        let settings = GroupSettings { kms_key: input.kms_key_id, tags, ..GroupSettings::default() };
        self.logs.create_group(scope, name, settings).await.map_err(refused)
    }

    pub(super) async fn delete_group(
        &self,
        scope: &Scope,
        input: &api::DeleteLogGroupRequest,
    ) -> Result<(), ServiceError> {
        self.logs.delete_group(scope, &input.log_group_name).await.map_err(refused)
    }

    pub(super) async fn put_retention(
        &self,
        scope: &Scope,
        input: &api::PutRetentionPolicyRequest,
    ) -> Result<(), ServiceError> {
        let asked = input.retention_in_days;
        let Some(days) = RETENTIONS.iter().copied().find(|days| i64::from(*days) == i64::from(asked)) else {
            let constraint = format!("Member must satisfy enum value set: {RETENTIONS:?}");
            return Err(violation(&asked.to_string(), "retentionInDays", &constraint));
        };
        let change = move |settings: &mut GroupSettings| settings.retention_days = Some(days);
        self.logs.change_group(scope, &input.log_group_name, change).await.map_err(refused)
    }

    pub(super) async fn delete_retention(
        &self,
        scope: &Scope,
        input: &api::DeleteRetentionPolicyRequest,
    ) -> Result<(), ServiceError> {
        let change = |settings: &mut GroupSettings| settings.retention_days = None;
        self.logs.change_group(scope, &input.log_group_name, change).await.map_err(refused)
    }

    /// Keeps the key's name. Samovar encrypts logs with no key.
    pub(super) async fn associate_key(
        &self,
        scope: &Scope,
        input: api::AssociateKmsKeyRequest,
    ) -> Result<(), ServiceError> {
        let name =
            keyed(scope, input.log_group_name.as_deref(), input.resource_identifier.as_deref())?.to_owned();
        is_key(scope, &name, &input.kms_key_id)?;
        let change = |settings: &mut GroupSettings| settings.kms_key = Some(input.kms_key_id);
        self.logs.change_group(scope, &name, change).await.map_err(refused)
    }

    pub(super) async fn disassociate_key(
        &self,
        scope: &Scope,
        input: &api::DisassociateKmsKeyRequest,
    ) -> Result<(), ServiceError> {
        let name = keyed(scope, input.log_group_name.as_deref(), input.resource_identifier.as_deref())?;
        let change = |settings: &mut GroupSettings| settings.kms_key = None;
        self.logs.change_group(scope, name, change).await.map_err(refused)
    }

    pub(super) async fn groups(
        &self,
        scope: &Scope,
        input: &api::DescribeLogGroupsRequest,
    ) -> Result<api::DescribeLogGroupsResponse, ServiceError> {
        if input.log_group_class.is_some_and(|class| class != api::LogGroupClass::Standard) {
            return Ok(api::DescribeLogGroupsResponse { log_groups: Some(Vec::new()), next_token: None });
        }
        let named = named(scope, input)?;
        let brief = matches!(named, Named::Containing(_));
        let query = GroupQuery { named, limit: limit(input.limit, PAGE), token: input.next_token.as_deref() };
        let page = self.logs.describe_groups(scope, &query).await.map_err(refused)?;
        let groups = page.items.into_iter().map(|group| shown(scope, group, brief));
        Ok(api::DescribeLogGroupsResponse { log_groups: Some(groups.collect()), next_token: page.next })
    }
}

/// Which groups a listing is of.
fn named(scope: &Scope, input: &api::DescribeLogGroupsRequest) -> Result<Named, ServiceError> {
    match (&input.log_group_name_prefix, &input.log_group_name_pattern, &input.log_group_identifiers) {
        (None, None, None) => Ok(Named::All),
        (Some(prefix), None, None) => Ok(Named::Prefix(prefix.clone())),
        (None, Some(pattern), None) => Ok(Named::Containing(pattern.clone())),
        (None, None, Some(identifiers)) => {
            let names = identifiers.iter().filter_map(|identifier| super::names::group_in(scope, identifier));
            Ok(Named::These(names.map(Into::into).collect()))
        }
        (Some(_), Some(_), _) => {
            Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."))
        }
        (_, _, Some(_)) => {
            Err(invalid("logGroupIdentifiers cannot be combined with a log group name prefix or pattern."))
        }
    }
}

/// The group whose key is meant. The results of queries, which may have one too, are kept nowhere.
fn keyed<'a>(
    scope: &Scope,
    name: Option<&'a str>,
    resource: Option<&'a str>,
) -> Result<&'a str, ServiceError> {
    match (name, resource) {
        (Some(name), None) => Ok(name),
        (None, Some(resource)) => group_at(scope, resource).ok_or_else(no_group),
        (None, None) => Err(invalid("You must include either logGroupName or resourceIdentifier.")),
        (Some(_), Some(_)) => {
            Err(invalid("You must include either logGroupName or resourceIdentifier, but not both."))
        }
    }
}

/// Whether a key is named by its ARN. Source of the words: recorded answers.
fn is_key(scope: &Scope, group: &str, key: &str) -> Result<(), ServiceError> {
    let parts: Vec<&str> = key.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "kms", _, _, resource] if resource.starts_with("key/") => Ok(()),
        _ => Err(exception::ACCESS_DENIED.with(format!(
            "The specified KMS key does not exist or is not allowed to be used with Arn '{}'",
            group_arn(scope, group)
        ))),
    }
}

/// `brief` as answers to a name pattern are: without what else is known.
fn shown(scope: &Scope, group: LogGroup, brief: bool) -> api::LogGroup {
    let arn = group_arn(scope, &group.name);
    let shown = api::LogGroup {
        log_group_name: Some(group.name.as_ref().into()),
        creation_time: Some(group.created.as_millis()),
        arn: Some(format!("{arn}:*")),
        ..api::LogGroup::default()
    };
    if brief {
        return shown;
    }
    api::LogGroup {
        retention_in_days: group.retention_days.and_then(|days| i32::try_from(days).ok()),
        metric_filter_count: Some(0),
        stored_bytes: Some(i64::try_from(group.stored_bytes).unwrap_or(i64::MAX)),
        kms_key_id: group.kms_key,
        log_group_class: Some(api::LogGroupClass::Standard),
        log_group_arn: Some(arn),
        ..shown
    }
}
