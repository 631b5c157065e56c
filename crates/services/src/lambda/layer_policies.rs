//! Who beside its owner may use a layer version.

use base::arn::LayerVersionArn;
use base::id::RevisionId;
use base::limits::POLICY_BYTES;
use catalogue::rules::layers::{self as rules, LayerError};
use catalogue::{CatalogueError, Grantee, Layer, LayerPolicy, LayerStatement};
use serde::Serialize;
use wire::lambda as api;

use super::Lambda;
use super::checks::layers::{self as checks, LayerRefusal};
use super::errors::Failure;
use super::errors::layers::about_policy;
use super::layers::own;
use crate::Context;

impl Lambda {
    pub(super) async fn add_layer_version_permission(
        &self,
        context: &Context,
        input: api::AddLayerVersionPermissionRequest,
    ) -> Result<api::AddLayerVersionPermissionResponse, Failure> {
        let key = own(context, &input.layer_name, "lambda:AddLayerVersionPermission")?;
        let arn = key.version(checks::number(input.version_number)?);
        let expected = input.revision_id.as_deref().map(revision);
        let statement = LayerStatement {
            sid: input.statement_id.into(),
            grantee: grantee(&input.principal),
            organization: input.organization_id.map(Into::into),
        };
        let grant = |layer: &Layer, step| {
            let layer = rules::grant(layer, arn.number, &statement, expected, step)?;
            let policy = layer.versions.get(&arn.number).and_then(|version| version.policy.as_ref());
            let bytes = policy.map_or(0, |policy| document(policy, &arn).len());
            if bytes > POLICY_BYTES { Err(LayerError::PolicyTooLong { bytes }) } else { Ok(layer) }
        };
        let layer =
            self.parts.catalogue.change(&key, grant).await.map_err(|error| about_policy(error, &arn))?;
        let policy = layer.versions.get(&arn.number).and_then(|version| version.policy.as_ref());
        Ok(api::AddLayerVersionPermissionResponse {
            statement: Some(json(&Statement::of(&statement, &arn))),
            revision_id: policy.map(|policy| policy.revision.to_string()),
        })
    }

    pub(super) async fn remove_layer_version_permission(
        &self,
        context: &Context,
        input: api::RemoveLayerVersionPermissionRequest,
    ) -> Result<(), Failure> {
        let key = own(context, &input.layer_name, "lambda:RemoveLayerVersionPermission")?;
        let arn = key.version(checks::number(input.version_number)?);
        let expected = input.revision_id.as_deref().map(revision);
        let revoke =
            |layer: &Layer, step| rules::revoke(layer, arn.number, &input.statement_id, expected, step);
        self.parts.catalogue.change(&key, revoke).await.map_err(|error| about_policy(error, &arn))?;
        Ok(())
    }

    pub(super) async fn get_layer_version_policy(
        &self,
        context: &Context,
        input: api::GetLayerVersionPolicyRequest,
    ) -> Result<api::GetLayerVersionPolicyResponse, Failure> {
        let key = own(context, &input.layer_name, "lambda:GetLayerVersionPolicy")?;
        let arn = key.version(checks::number(input.version_number)?);
        let version = match self.parts.catalogue.get(&key).await {
            Err(CatalogueError::NoLayer { .. }) => None,
            other => other?.versions.get(&arn.number).cloned(),
        };
        let version = version.ok_or_else(|| LayerRefusal::NoVersion(arn.to_string()))?;
        let policy = version.policy.as_ref().ok_or(LayerRefusal::NoPolicy)?;
        Ok(api::GetLayerVersionPolicyResponse {
            policy: Some(document(policy, &arn)),
            revision_id: Some(policy.revision.to_string()),
        })
    }
}

/// The revision that the caller last saw. What is none is no policy's.
fn revision(text: &str) -> RevisionId {
    RevisionId(text.parse().unwrap_or_default())
}

/// Whom a principal means. The front end has made sure that it is everyone, an account or an account's root.
fn grantee(principal: &str) -> Grantee {
    let account = principal.split(':').find_map(|part| part.parse().ok());
    account.map_or(Grantee::Everyone, Grantee::Account)
}

/// The policy as JSON, in the recorded order of members.
fn document(policy: &LayerPolicy, arn: &LayerVersionArn) -> String {
    let statements = policy.statements.iter().map(|statement| Statement::of(statement, arn)).collect();
    json(&Document { version: "2012-10-17", id: "default", statements })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("policies have text keys and no failing members")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    id: &'static str,
    #[serde(rename = "Statement")]
    statements: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: &'a str,
    effect: &'static str,
    principal: Principal,
    action: &'static str,
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Principal {
    Everyone(&'static str),
    Account {
        #[serde(rename = "AWS")]
        aws: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition<'a> {
    string_equals: Organization<'a>,
}

#[derive(Serialize)]
struct Organization<'a> {
    #[serde(rename = "aws:PrincipalOrgID")]
    id: &'a str,
}

impl<'a> Statement<'a> {
    fn of(statement: &'a LayerStatement, arn: &LayerVersionArn) -> Self {
        let principal = match &statement.grantee {
            Grantee::Everyone => Principal::Everyone("*"),
            Grantee::Account(account) => Principal::Account { aws: format!("arn:aws:iam::{account}:root") },
        };
        let organization = statement.organization.as_deref();
        Self {
            sid: &statement.sid,
            effect: "Allow",
            principal,
            action: "lambda:GetLayerVersion",
            resource: arn.to_string(),
            condition: organization.map(|id| Condition { string_equals: Organization { id } }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_written_as_recorded() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:layer:l:1".parse().unwrap();
        let told = |principal: &str, organization: Option<&str>| {
            let organization = organization.map(Into::into);
            let statement = LayerStatement { sid: "s".into(), grantee: grantee(principal), organization };
            json(&Statement::of(&statement, &arn))
        };
        let whole = |principal: &str, condition: &str| {
            format!(
                r#"{{"Sid":"s","Effect":"Allow","Principal":{principal},"Action":"lambda:GetLayerVersion","Resource":"arn:aws:lambda:us-east-1:000000000000:layer:l:1"{condition}}}"#
            )
        };
        let account = r#"{"AWS":"arn:aws:iam::111111111111:root"}"#;
        assert_eq!(told("*", None), whole(r#""*""#, ""));
        assert_eq!(told("111111111111", None), whole(account, ""));
        assert_eq!(told("arn:aws:iam::111111111111:root", None), whole(account, ""));
        let members = r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-123"}}"#;
        assert_eq!(told("*", Some("o-123")), whole(r#""*""#, members));
    }
}
