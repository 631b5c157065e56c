//! Which account a request belongs to, and what its sender may do.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use base::arn::{AccountId, FunctionArn, Region, Scope};
use base::random::Dice;
use catalogue::{Catalogue, FunctionKey, Policy, PolicyName, UrlAuth};

use crate::policy::{Asked, Ruling, judge};
use crate::principal::{FunctionIdentity, Issued, Ledger, Principal};
use crate::secret::Secret;

/// Tells who asks and what they may do. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct Gate {
    mode: Mode,
    account: AccountId,
    region: Option<Region>,
    organization: Option<Arc<str>>,
    policies: Option<Arc<dyn ResourcePolicies>>,
    issued: Ledger,
}

/// What knows the resource policies of functions, their versions and their aliases.
pub trait ResourcePolicies: fmt::Debug + Send + Sync {
    /// The policy of exactly this resource. Costs no I/O.
    fn policy_of(&self, resource: &FunctionArn) -> Option<Arc<Policy>>;
}

impl ResourcePolicies for Catalogue {
    fn policy_of(&self, resource: &FunctionArn) -> Option<Arc<Policy>> {
        let function = self.peek(&FunctionKey::new(resource.scope.clone(), resource.name.clone()))?;
        function.policies.get(&PolicyName(resource.qualifier.clone())).cloned()
    }
}

#[derive(Debug, Clone)]
enum Mode {
    Open,
    Closed(Arc<HashMap<String, AccessKey>>),
}

/// A configured key.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: Secret,
    /// The account it belongs to; without one, the server's.
    pub account: Option<AccountId>,
}

/// What a request shows of its sender. Nothing of it is verified yet.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The access key id.
    pub access_key: &'a str,
    /// The session token that comes with temporary keys.
    pub token: Option<&'a str>,
    /// The region of the signature's scope.
    pub region: &'a str,
}

/// Who asks, and which account's and region's resources they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where names without account and region are looked up.
    pub scope: Scope,
    /// Who asks.
    pub principal: Principal,
}

/// Why a request has no caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger<E> {
    /// Nobody has this key. AWS answers 403 `UnrecognizedClientException`.
    #[error("access key is not known")]
    UnknownKey,
    /// The session token does not belong to the key. AWS answers 403 `UnrecognizedClientException`.
    #[error("session token does not belong to the access key")]
    WrongToken,
    /// The signature's scope names no region.
    #[error("region in the signature's scope is not a region name")]
    Region,
    /// The signature is not the key's.
    #[error(transparent)]
    Signature(E),
}

impl Gate {
    /// Takes any key: one of twelve digits names its account, every other stands for `account`.
    pub fn open(account: AccountId) -> Self {
        Self::with(Mode::Open, account)
    }

    /// Takes the configured keys only, each with a verified signature.
    pub fn closed(account: AccountId, keys: impl IntoIterator<Item = AccessKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        Self::with(Mode::Closed(Arc::new(keys)), account)
    }

    fn with(mode: Mode, account: AccountId) -> Self {
        Self { mode, account, region: None, organization: None, policies: None, issued: Ledger::default() }
    }

    /// The region of requests whose signature's scope leaves it empty; without one they are refused.
    pub fn with_region(self, region: Region) -> Self {
        Self { region: Some(region), ..self }
    }

    /// The organization that all accounts of this server belong to; without one they belong to none.
    pub fn with_organization(self, organization: Option<&str>) -> Self {
        Self { organization: organization.map(Into::into), ..self }
    }

    /// The resource policies that [`Gate::authorize`] asks; without them no resource has one.
    pub fn with_policies(self, policies: impl ResourcePolicies + 'static) -> Self {
        Self { policies: Some(Arc::new(policies)), ..self }
    }

    /// The server's own account.
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// Whether any key is taken.
    pub const fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open)
    }

    /// Who sent a request. `verify` checks the signature with a key's secret; it is called unless the gate is open.
    pub fn identify<E>(
        &self,
        shown: Shown<'_>,
        verify: impl FnOnce(&Secret) -> Result<(), E>,
    ) -> Result<Caller, Stranger<E>> {
        let region = match &self.region {
            Some(region) if shown.region.is_empty() => region.clone(),
            _ => shown.region.parse().map_err(|_| Stranger::Region)?,
        };
        if let Some(temporary) = self.issued.find(shown.access_key) {
            if !shown.token.is_some_and(|token| temporary.token.is(token)) {
                return Err(Stranger::WrongToken);
            }
            if !self.is_open() {
                verify(&temporary.secret).map_err(Stranger::Signature)?;
            }
            return Ok(Caller::function(temporary.identity, Some(region)));
        }
        let account = match &self.mode {
            Mode::Open => shown.access_key.parse().unwrap_or_else(|_| self.account.clone()),
            Mode::Closed(keys) => {
                let key = keys.get(shown.access_key).ok_or(Stranger::UnknownKey)?;
                verify(&key.secret).map_err(Stranger::Signature)?;
                key.account.clone().unwrap_or_else(|| self.account.clone())
            }
        };
        Ok(Caller::account(account, region))
    }

    /// Makes temporary keys for one environment. They are good until the result is dropped.
    pub fn issue(&self, identity: FunctionIdentity, dice: &Dice) -> Issued {
        self.issued.issue(identity, dice)
    }

    /// Lets `caller` do what `request` asks for, if they may. This is the one place that decides.
    ///
    /// An account's own principals may do everything in their account, and everything elsewhere that the policy of
    /// exactly the requested resource allows them; services have nothing but that policy. What it denies is
    /// denied to everyone.
    pub fn authorize<T: Guarded>(&self, caller: &Principal, request: T) -> Result<Authorized<T>, Denied> {
        let resource = request.resource();
        let policy = self.policies.as_ref().and_then(|policies| policies.policy_of(resource));
        let owner = &resource.scope.account;
        if policy.is_some() || caller.account() != Some(owner) {
            let act = Act { action: request.action(), resource: &resource.to_string(), url: request.url() };
            self.permit(caller, act, owner, policy.as_deref())?;
        }
        Ok(Authorized { principal: caller.clone(), request })
    }

    /// A request that was let in before and has been stored since. Nobody is asked again: what was accepted is done,
    /// as AWS does it.
    pub fn readmit<T>(&self, caller: &Principal, request: T) -> Authorized<T> {
        Authorized { principal: caller.clone(), request }
    }

    /// The same decision about a resource of `owner` that is no function, under the policy that it has.
    pub fn permit(
        &self,
        caller: &Principal,
        act: Act<'_>,
        owner: &AccountId,
        policy: Option<&Policy>,
    ) -> Result<(), Denied> {
        let Act { action, resource, url } = act;
        let own = caller.account() == Some(owner);
        let asked =
            Asked { principal: caller, action, resource, url, organization: self.organization.as_deref() };
        let why = match policy.map_or(Ruling::Silent, |policy| judge(policy, &asked)) {
            Ruling::Denied if own && is_rescue(caller, action) => return Ok(()),
            Ruling::Denied => Why::Denied,
            Ruling::Allowed => return Ok(()),
            Ruling::Silent if own => return Ok(()),
            Ruling::Silent => Why::NotAllowed,
        };
        Err(Denied { principal: caller.clone(), action, resource: resource.into(), why })
    }
}

/// Whether this is a way back out of a policy that denies everything to everyone: the account itself can always
/// see and remove the policies of what it owns, as with queues and buckets.
fn is_rescue(caller: &Principal, action: &str) -> bool {
    let rescues = [
        "lambda:DeleteResourcePolicy",
        "lambda:GetPolicy",
        "lambda:GetResourcePolicy",
        "lambda:PutResourcePolicy",
        "lambda:RemovePermission",
    ];
    matches!(caller, Principal::Account(_)) && rescues.contains(&action)
}

impl Caller {
    /// Someone with an account's key.
    pub fn account(account: AccountId, region: Region) -> Self {
        Self { scope: Scope { account: account.clone(), region }, principal: Principal::Account(account) }
    }

    /// A function, known by its socket or by its temporary keys; `region` is the one it speaks to, its own if
    /// it does not say.
    pub fn function(identity: Arc<FunctionIdentity>, region: Option<Region>) -> Self {
        let region = region.unwrap_or_else(|| identity.scope.region.clone());
        let scope = Scope { account: identity.scope.account.clone(), region };
        Self { scope, principal: Principal::Function(identity) }
    }
}

/// Something that only those may do who are allowed to.
pub trait Guarded {
    /// The action as policies name it: `lambda:InvokeFunction`.
    fn action(&self) -> &'static str;
    /// What it is done to, as the caller named it.
    fn resource(&self) -> &FunctionArn;
    /// Whom the function URL lets in that the request came through, if it came through one.
    fn url(&self) -> Option<UrlAuth> {
        None
    }
}

/// Something that somebody wants to do to a resource.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// The action as policies name it: `lambda:GetLayerVersion`.
    pub action: &'static str,
    /// The resource's ARN as the caller named it.
    pub resource: &'a str,
    /// See [`Guarded::url`].
    pub url: Option<UrlAuth>,
}

/// A request that its sender may make. Only a [`Gate`] makes one.
#[derive(Debug, Clone)]
pub struct Authorized<T> {
    principal: Principal,
    request: T,
}

impl<T> Authorized<T> {
    /// Who made it.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The request itself.
    pub fn into_inner(self) -> T {
        self.request
    }
}

impl<T> Deref for Authorized<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.request
    }
}

/// Somebody may not do something. The message is AWS's for 403 `AccessDeniedException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("User: {principal} is not authorized to perform: {action} on resource: {resource} {}", .why.words(.action))]
pub struct Denied {
    /// Who.
    pub principal: Principal,
    /// What they wanted to do.
    pub action: &'static str,
    /// To what: an ARN.
    pub resource: Box<str>,
    /// Why not.
    pub why: Why,
}

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing allows it.
    NotAllowed,
    /// A policy denies it.
    Denied,
}

impl Why {
    fn words(self, action: &str) -> String {
        match self {
            Self::NotAllowed => format!("because no resource-based policy allows the {action} action"),
            Self::Denied => "with an explicit deny in a resource-based policy".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
