//! Functions' resource policies: AddPermission, RemovePermission and GetPolicy, which change and show them by
//! statements, and PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy, which take them whole. Both see
//! the same policies.
//!
//! There is no blocking of public access here, so nothing answers `PublicPolicyException`.

use std::sync::Arc;

use base::id::RevisionId;
use catalogue::rules::Step;
use catalogue::rules::policies::{self as rules, PolicyError};
use catalogue::{Function, Grant, GrantedTo, Policy, PolicyName};
use wire::lambda as api;

use super::Lambda;
use super::checks::Refusal;
use super::checks::policies::PolicyRefusal;
use super::errors::Failure;
use super::names::Target;
use crate::Context;

/// The operation that shows a policy, as texts about its revisions name it.
const BY_STATEMENTS: &str = "GetPolicy";
/// The same for policies as a whole.
const WHOLE: &str = "GetResourcePolicy";

impl Lambda {
    pub(super) async fn add_permission(
        &self,
        context: &Context,
        input: api::AddPermissionRequest,
    ) -> Result<api::AddPermissionResponse, Failure> {
        let qualifier = input.qualifier.as_deref();
        let target = self.target(context, &input.function_name, qualifier, "lambda:AddPermission")?;
        if target.qualifier.as_deref() == Some("$LATEST") {
            return Err(PolicyRefusal::Latest.into());
        }
        let name = self.governed(&target, target.unknown()).await?;
        let expected = input.revision_id.clone();
        let statement = granted(&target, input)?.statement();
        let text = statement.text().to_owned();
        self.change_policy(&target, &name, BY_STATEMENTS, |policy, revision| {
            rules::grant(policy, statement.clone(), expected.as_deref(), revision).map(Some)
        })
        .await?;
        Ok(api::AddPermissionResponse { statement: Some(text) })
    }

    pub(super) async fn remove_permission(
        &self,
        context: &Context,
        input: api::RemovePermissionRequest,
    ) -> Result<(), Failure> {
        let qualifier = input.qualifier.as_deref();
        let target = self.target(context, &input.function_name, qualifier, "lambda:RemovePermission")?;
        let name = self.governed(&target, PolicyRefusal::NoPolicy(target.to_string())).await?;
        let (sid, expected) = (&input.statement_id, input.revision_id.as_deref());
        self.change_policy(&target, &name, BY_STATEMENTS, |policy, revision| {
            rules::revoke(policy, sid, expected, revision)
        })
        .await
        .map(drop)
    }

    pub(super) async fn get_policy(
        &self,
        context: &Context,
        input: api::GetPolicyRequest,
    ) -> Result<api::GetPolicyResponse, Failure> {
        let qualifier = input.qualifier.as_deref();
        let target = self.target(context, &input.function_name, qualifier, "lambda:GetPolicy")?;
        let policy = self.policy(&target).await?;
        Ok(api::GetPolicyResponse {
            policy: Some(policy.document()),
            revision_id: Some(policy.revision.to_string()),
        })
    }

    pub(super) async fn put_resource_policy(
        &self,
        context: &Context,
        input: api::PutResourcePolicyRequest,
    ) -> Result<api::PutResourcePolicyResponse, Failure> {
        let target = self.owner_of_policy(context, &input.resource_arn, "lambda:PutResourcePolicy")?;
        let name = self.governed(&target, target.unknown()).await?;
        let document = Policy::read(&input.policy, RevisionId::fresh(&self.parts.dice))?;
        let expected = input.revision_id.as_deref();
        let function = self
            .change_policy(&target, &name, WHOLE, |policy, _| {
                rules::replace(policy, document.clone(), expected).map(Some)
            })
            .await?;
        let policy = &function.policies[&name];
        Ok(api::PutResourcePolicyResponse {
            policy: Some(policy.document()),
            revision_id: Some(policy.revision.to_string()),
        })
    }

    pub(super) async fn get_resource_policy(
        &self,
        context: &Context,
        input: api::GetResourcePolicyRequest,
    ) -> Result<api::GetResourcePolicyResponse, Failure> {
        let target = self.owner_of_policy(context, &input.resource_arn, "lambda:GetResourcePolicy")?;
        let policy = self.policy(&target).await?;
        Ok(api::GetResourcePolicyResponse {
            policy: Some(policy.document()),
            revision_id: Some(policy.revision.to_string()),
        })
    }

    pub(super) async fn delete_resource_policy(
        &self,
        context: &Context,
        input: api::DeleteResourcePolicyRequest,
    ) -> Result<(), Failure> {
        let target = self.owner_of_policy(context, &input.resource_arn, "lambda:DeleteResourcePolicy")?;
        let name = self.governed(&target, PolicyRefusal::NoResource).await?;
        let expected = input.revision_id.as_deref();
        self.change_policy(&target, &name, WHOLE, |policy, _| {
            rules::drop_all(policy, expected).map(|()| None)
        })
        .await
        .map(drop)
    }

    /// What a full ARN names, if its sender may do `action` to it.
    fn owner_of_policy(&self, context: &Context, arn: &str, action: &'static str) -> Result<Target, Failure> {
        if arn.split(':').nth(5).is_some_and(|kind| kind.starts_with("runtime/")) {
            return Err(Refusal::NotBuilt("resource policies of runtimes").into());
        }
        self.target(context, arn, None, action)
    }

    /// What the policy of a target is called, if the target is there; `missing` says that its function is not.
    async fn governed(&self, target: &Target, missing: impl Into<Failure>) -> Result<PolicyName, Failure> {
        let arn = target.arn().ok_or_else(|| target.unknown())?;
        let function = self.existing(target, missing).await?;
        match &arn.qualifier {
            Some(qualifier) if !function.has(qualifier) => Err(target.unknown_part().into()),
            _ => Ok(PolicyName(arn.qualifier)),
        }
    }

    /// The policy of a target.
    async fn policy(&self, target: &Target) -> Result<Arc<Policy>, Failure> {
        let arn = target.arn().ok_or(PolicyRefusal::NoResource)?;
        let function = self.existing(target, PolicyRefusal::NoResource).await?;
        let policy = function.policies.get(&PolicyName(arn.qualifier));
        Ok(Arc::clone(policy.ok_or(PolicyRefusal::NoResource)?))
    }

    /// Stores what `decide` makes of a policy; it gets the revision of what it makes.
    async fn change_policy(
        &self,
        target: &Target,
        name: &PolicyName,
        read_with: &'static str,
        decide: impl Fn(Option<&Policy>, RevisionId) -> Result<Option<Policy>, PolicyError> + Send + Sync,
    ) -> Result<Arc<Function>, Failure> {
        let key = target.key();
        let change = |function: &Function, step: Step| {
            rules::of_function(function, name, |policy| decide(policy, step.part))
        };
        let changed = self.parts.catalogue.change(&key, change).await;
        changed.map_err(|error| Failure::of_policy(error, read_with))
    }
}

/// The permission that a request asks for.
fn granted(target: &Target, input: api::AddPermissionRequest) -> Result<Grant, PolicyRefusal> {
    let to = GrantedTo::read(&input.principal).ok_or(PolicyRefusal::Principal)?;
    if input.function_url_auth_type.is_some() && input.action != "lambda:InvokeFunctionUrl" {
        return Err(PolicyRefusal::UrlAuthType);
    }
    Ok(Grant {
        sid: input.statement_id,
        to,
        action: input.action,
        resource: target.to_string(),
        source_arn: input.source_arn,
        source_account: input.source_account,
        url_auth_type: input.function_url_auth_type.map(|kind| kind.as_str().to_owned()),
        organization: input.principal_org_id,
        event_source_token: input.event_source_token,
        via_url: input.invoked_via_function_url,
    })
}
