//! Statements as the AddPermission operations make them.

use base::arn::{AccountId, LayerVersionArn};
use serde::Serialize;

use super::{Statement, read};

/// What AddPermission and AddLayerVersionPermission are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `StatementId`.
    pub sid: String,
    /// Who may.
    pub to: GrantedTo,
    /// What. Actions that nobody knows are taken. Source: recorded in 2026.
    pub action: String,
    /// ARN of what it is done to.
    pub resource: String,
    /// Only on behalf of this resource, with `*` and `?`.
    pub source_arn: Option<String>,
    /// Only on behalf of this account.
    pub source_account: Option<String>,
    /// Only through a function URL with this kind of authentication.
    pub url_auth_type: Option<String>,
    /// Only members of this organization.
    pub organization: Option<String>,
    /// Only an Alexa skill that shows this token.
    pub event_source_token: Option<String>,
    /// Only through a function URL, or only otherwise.
    pub via_url: Option<bool>,
}

/// To whom a permission is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantedTo {
    /// Everyone.
    Everyone,
    /// ARN of an account's root, a user, a role or a role's session.
    Arn(String),
    /// A service.
    Service(String),
}

/// How the names of services end.
const SERVICES: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".amazon.com"];

impl GrantedTo {
    /// Reads the request's `Principal`; nothing when it is none.
    pub fn read(principal: &str) -> Option<Self> {
        if principal == "*" {
            return Some(Self::Everyone);
        }
        if read::is_account(principal) {
            return Some(Self::Arn(format!("arn:aws:iam::{principal}:root")));
        }
        if read::is_principal_arn(principal) {
            return Some(Self::Arn(principal.to_owned()));
        }
        let is_service = SERVICES.iter().any(|end| principal.strip_suffix(end).is_some_and(is_host));
        is_service.then(|| Self::Service(principal.to_owned()))
    }
}

impl Grant {
    /// The use of a layer version: for everyone or for all of an account, or only for those of them who are members
    /// of an organization.
    pub fn of_layer_version(
        arn: &LayerVersionArn,
        sid: &str,
        account: Option<&AccountId>,
        organization: Option<&str>,
    ) -> Self {
        let root = |account: &AccountId| GrantedTo::Arn(format!("arn:aws:iam::{account}:root"));
        Self {
            sid: sid.to_owned(),
            to: account.map_or(GrantedTo::Everyone, root),
            action: "lambda:GetLayerVersion".to_owned(),
            resource: arn.to_string(),
            source_arn: None,
            source_account: None,
            url_auth_type: None,
            organization: organization.map(str::to_owned),
            event_source_token: None,
            via_url: None,
        }
    }

    /// The statement, its members in the recorded order.
    pub fn statement(&self) -> Statement {
        let written = serde_json::to_string(&Written::of(self)).expect("text members are JSON");
        read::statement(&written).expect("a grant has every member that a statement needs")
    }

    fn conditions(&self) -> Conditions<'_> {
        let equals = [
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:FunctionUrlAuthType", &self.url_auth_type),
            ("aws:PrincipalOrgID", &self.organization),
            ("lambda:EventSourceToken", &self.event_source_token),
        ];
        let via = self.via_url.map(|via| if via { "true" } else { "false" });
        Conditions {
            string_equals: equals
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_deref()?)))
                .collect(),
            arn_like: self.source_arn.as_deref().map(|arn| ("AWS:SourceArn", arn)).into_iter().collect(),
            bool: via.map(|via| ("lambda:InvokedViaFunctionUrl", via)).into_iter().collect(),
        }
    }
}

/// A statement as it is written: the order of members is the order in the text.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a> {
    sid: &'a str,
    effect: &'a str,
    principal: WrittenPrincipal<'a>,
    action: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Conditions::is_empty")]
    condition: Conditions<'a>,
}

impl<'a> Written<'a> {
    fn of(grant: &'a Grant) -> Self {
        let principal = match &grant.to {
            GrantedTo::Everyone => WrittenPrincipal::Everyone("*"),
            GrantedTo::Arn(arn) => WrittenPrincipal::By { aws: Some(arn), service: None },
            GrantedTo::Service(name) => WrittenPrincipal::By { aws: None, service: Some(name) },
        };
        let Grant { sid, action, resource, .. } = grant;
        Self { sid, effect: "Allow", principal, action, resource, condition: grant.conditions() }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenPrincipal<'a> {
    Everyone(&'a str),
    By {
        #[serde(rename = "AWS", skip_serializing_if = "Option::is_none")]
        aws: Option<&'a str>,
        #[serde(rename = "Service", skip_serializing_if = "Option::is_none")]
        service: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Conditions<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    string_equals: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    arn_like: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    bool: Vec<(&'a str, &'a str)>,
}

impl Conditions<'_> {
    fn is_empty(&self) -> bool {
        [&self.string_equals, &self.arn_like, &self.bool].into_iter().all(Vec::is_empty)
    }
}

/// Writes pairs in the order they have.
fn as_map<S: serde::Serializer>(pairs: &[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}
