//! Who beside its owner may use a layer version.

use std::sync::Arc;

use base::arn::{AccountId, LayerVersionArn};
use base::id::RevisionId;
use catalogue::rules::Step;
use catalogue::rules::policies::{self as rules, PolicyError};
use catalogue::{CatalogueError, Grant, Layer, Policy};
use wire::lambda as api;

use super::Lambda;
use super::checks::layers::{self as checks, LayerRefusal};
use super::errors::Failure;
use crate::Context;

/// The operation that shows a policy, as texts about its revisions name it.
const READ_WITH: &str = "GetLayerPolicy";

impl Lambda {
    pub(super) async fn add_layer_version_permission(
        &self,
        context: &Context,
        input: api::AddLayerVersionPermissionRequest,
    ) -> Result<api::AddLayerVersionPermissionResponse, Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:AddLayerVersionPermission")?;
        let arn = key.version(checks::number(input.version_number)?);
        let (account, organization) = (account(&input.principal), input.organization_id.as_deref());
        let grant = Grant::of_layer_version(&arn, &input.statement_id, account.as_ref(), organization);
        let (statement, expected) = (grant.statement(), input.revision_id.as_deref());
        let layer = self
            .change_layer_policy(&arn, |policy, revision| {
                rules::grant(policy, statement.clone(), expected, revision).map(Some)
            })
            .await?;
        let policy = layer.versions.get(&arn.number).and_then(|version| version.policy.as_ref());
        Ok(api::AddLayerVersionPermissionResponse {
            statement: Some(statement.text().to_owned()),
            revision_id: policy.map(|policy| policy.revision.to_string()),
        })
    }

    pub(super) async fn remove_layer_version_permission(
        &self,
        context: &Context,
        input: api::RemoveLayerVersionPermissionRequest,
    ) -> Result<(), Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:RemoveLayerVersionPermission")?;
        let arn = key.version(checks::number(input.version_number)?);
        let (sid, expected) = (&input.statement_id, input.revision_id.as_deref());
        self.change_layer_policy(&arn, |policy, revision| rules::revoke(policy, sid, expected, revision))
            .await
            .map(drop)
    }

    pub(super) async fn get_layer_version_policy(
        &self,
        context: &Context,
        input: api::GetLayerVersionPolicyRequest,
    ) -> Result<api::GetLayerVersionPolicyResponse, Failure> {
        let key = self.own_layer(context, &input.layer_name, "lambda:GetLayerVersionPolicy")?;
        let arn = key.version(checks::number(input.version_number)?);
        let missing = || LayerRefusal::NoVersion(arn.to_string());
        let version = self.layer_version(&arn).await?.ok_or_else(missing)?;
        let none = || Failure::of_policy(PolicyError::Missing, READ_WITH);
        let policy = version.policy.as_ref().ok_or_else(none)?;
        Ok(api::GetLayerVersionPolicyResponse {
            policy: Some(policy.document()),
            revision_id: Some(policy.revision.to_string()),
        })
    }

    /// Stores what `decide` makes of a version's policy; it gets the revision of what it makes.
    async fn change_layer_policy(
        &self,
        arn: &LayerVersionArn,
        decide: impl Fn(Option<&Policy>, RevisionId) -> Result<Option<Policy>, PolicyError> + Send + Sync,
    ) -> Result<Arc<Layer>, Failure> {
        let change = |layer: &Layer, step: Step| {
            rules::of_layer_version(layer, arn.number, |policy| decide(policy, step.part))
        };
        match self.parts.catalogue.change(&arn.layer, change).await {
            Err(PolicyError::Catalogue(CatalogueError::NotFound { .. })) => {
                Err(LayerRefusal::NoVersion(arn.to_string()).into())
            }
            other => other.map_err(|error| Failure::of_policy(error, READ_WITH)),
        }
    }
}

/// The account that a principal means; none for everyone. The front end has made sure that it is everyone, an account
/// or an account's root.
fn account(principal: &str) -> Option<AccountId> {
    principal.split(':').find_map(|part| part.parse().ok())
}
