//! The keys that conditions may ask for.
//!
//! Source: IAM User Guide, "AWS global condition context keys"; Service Authorization Reference, "AWS Lambda".

use std::borrow::Cow;

use super::Asked;
use crate::principal::{Principal, ServiceCall};

/// What a request has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// This.
    Is(Cow<'a, str>),
    /// Nothing: the key is for other requests.
    Absent,
    /// Nobody can say: Samovar has no such key.
    Unknown,
}

impl<'a> Asked<'a> {
    /// What the request has under `key`, in lower case.
    pub(super) fn value(&self, key: &str) -> Value<'a> {
        let call = match self.principal {
            Principal::Service(call) => Some(&**call),
            Principal::Account(_) | Principal::Function(_) => None,
        };
        let of_call = |member: fn(&'a ServiceCall) -> Option<&'a str>| borrowed(call.and_then(member));
        match key {
            "aws:principalaccount" => borrowed(self.principal.account().map(|account| account.as_str())),
            "aws:principalarn" => self.principal_arn(),
            "aws:principalisawsservice" => truth(call.is_some()),
            "aws:principalorgid" => borrowed(self.organization.filter(|_| call.is_none())),
            "aws:principalservicename" => of_call(|call| Some(&call.service)),
            "aws:sourceaccount" => {
                of_call(|call| call.source_account.as_ref().map(|account| account.as_str()))
            }
            "aws:sourcearn" => of_call(|call| call.source_arn.as_deref()),
            "lambda:eventsourcetoken" => of_call(|call| call.event_source_token.as_deref()),
            "lambda:functionurlauthtype" => borrowed(self.url.map(|url| url.as_str())),
            // Seen as "false" with plain invocations, and with nothing but invocations.
            "lambda:invokedviafunctionurl" if self.action == "lambda:InvokeFunction" => {
                truth(self.url.is_some())
            }
            "lambda:invokedviafunctionurl" => Value::Absent,
            _ => Value::Unknown,
        }
    }

    fn principal_arn(&self) -> Value<'a> {
        match self.principal {
            Principal::Account(_) => Value::Is(self.principal.to_string().into()),
            Principal::Function(identity) => borrowed(Some(&*identity.role)),
            Principal::Service(_) => Value::Absent,
        }
    }
}

fn borrowed(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Absent, |value| Value::Is(value.into()))
}

fn truth<'a>(truth: bool) -> Value<'a> {
    Value::Is(if truth { "true" } else { "false" }.into())
}
