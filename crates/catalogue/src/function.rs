//! Functions and their versions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base::arn::{FunctionArn, FunctionName, Qualifier, Scope};
use base::clock::Timestamp;
use base::id::{Digest, RevisionId};
use base::units::Concurrency;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use store::Revision;

use crate::root::{Parts, RootKey};
use crate::{
    Alias, Configuration, EventInvokeConfig, FunctionUrl, Policy, ProvisionedConcurrency, RecursiveLoop,
    RuntimeManagement, SnapStart,
};

/// A function's name where it is unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionKey {
    /// Account and region.
    pub scope: Scope,
    /// The bare name.
    pub name: FunctionName,
}

impl FunctionKey {
    /// The key of a function.
    pub fn new(scope: Scope, name: FunctionName) -> Self {
        Self { scope, name }
    }

    /// The unqualified ARN.
    pub fn arn(&self) -> FunctionArn {
        FunctionArn::new(self.scope.clone(), self.name.clone())
    }
}

impl RootKey for FunctionKey {
    type Root = Function;

    fn scope(&self) -> &Scope {
        &self.scope
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn parse(scope: Scope, name: &str) -> Option<Self> {
        Some(Self::new(scope, name.parse().ok()?))
    }
}

impl fmt::Display for FunctionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arn().fmt(f)
    }
}

/// A function as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub key: FunctionKey,
    /// The revision of its document, which moves with every change of it and of what hangs below it.
    pub(crate) stored: Revision,
    /// `$LATEST` as the API shows it: a change is seen from the moment it was accepted.
    pub latest: Arc<Version>,
    /// `$LATEST` as it runs: while a change is being brought about, or when it failed, what was before it.
    pub live: Arc<Version>,
    /// The number that the next published version gets. Never used twice under one name, not even after the
    /// function was deleted and made again. Source: recorded by a third party in 2026.
    pub next_version: u64,
    /// What the last publication made.
    pub published: Option<Published>,
    /// ARN of the code signing configuration that its packages must satisfy.
    pub code_signing: Option<Arc<str>>,
    /// What it has of its account's concurrency for itself; zero stops it.
    pub reserved: Option<Concurrency>,
    /// What becomes of it when it keeps calling itself.
    pub recursion: RecursiveLoop,
    /// Tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// Its aliases, by name.
    pub aliases: BTreeMap<Arc<str>, Arc<Alias>>,
    /// What becomes of asynchronous events, by qualifier.
    pub event_invoke: Parts<EventInvokeConfig>,
    /// Its HTTP endpoints, by qualifier: `$LATEST` or an alias, which may be gone.
    pub urls: Parts<FunctionUrl>,
    /// Its resource policies: of itself, of `$LATEST`, of versions and of aliases.
    pub policies: Parts<Policy>,
    /// Environments that its versions and aliases keep ready.
    pub provisioned: Parts<ProvisionedConcurrency>,
    /// When its versions get another version of their runtime; automatically where nothing is said.
    pub runtime_management: Parts<RuntimeManagement>,
    /// Its published versions, by number.
    pub versions: BTreeMap<u64, Arc<Version>>,
}

/// A version and what it was made of, which tells whether anything came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The version's number; the version may be deleted.
    pub version: u64,
    /// The generation of `$LATEST` that it was made of.
    pub generation: u64,
}

/// `$LATEST` or a published version: what an invocation runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The function's ARN, unqualified.
    pub arn: FunctionArn,
    /// [`Qualifier::Latest`] or [`Qualifier::Version`].
    pub qualifier: Qualifier,
    /// How it is set up. Versions that are set up alike hold one between them.
    pub configuration: Arc<Configuration>,
    /// What it runs.
    pub code: CodeRef,
    /// Whether it can run.
    pub state: State,
    /// How the last update went; none before the function was first active.
    pub last_update: Option<LastUpdate>,
    /// Changes with every step of its life.
    pub revision: RevisionId,
    /// When a customer last changed it.
    pub last_modified: Timestamp,
    /// Changes with every change of code or configuration, and is never used twice under one name, not even
    /// after the function was deleted and made again: environments belong to one generation.
    pub generation: u64,
}

impl Version {
    /// The ARN with `$LATEST` or the version's number.
    pub fn qualified_arn(&self) -> FunctionArn {
        self.arn.qualified(self.qualifier.clone())
    }

    /// Its own package and those of its layers.
    pub fn codes(&self) -> impl Iterator<Item = &CodeRef> {
        std::iter::once(&self.code).chain(self.configuration.layers.iter().map(|layer| &layer.code))
    }

    /// Its number; `$LATEST` has none.
    pub const fn number(&self) -> Option<u64> {
        match self.qualifier {
            Qualifier::Version(number) => Some(number),
            Qualifier::Latest | Qualifier::Alias(_) => None,
        }
    }

    /// Whether its environments continue from one init that was made when it was published.
    pub fn snap_starts(&self) -> bool {
        matches!(self.qualifier, Qualifier::Version(_))
            && self.configuration.snap_start == SnapStart::PublishedVersions
    }

    /// The function that it is a version of.
    pub fn key(&self) -> FunctionKey {
        FunctionKey::new(self.arn.scope.clone(), self.arn.name.clone())
    }

    /// Holds what is set up as in `sibling` once with it. Versions of one function differ in little, and there may be
    /// thousands.
    pub(crate) fn share(&mut self, sibling: &Self) {
        if self.configuration == sibling.configuration {
            self.configuration = Arc::clone(&sibling.configuration);
        } else {
            Arc::make_mut(&mut self.configuration).share(&sibling.configuration);
        }
    }
}

/// A package in the blob store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeRef {
    /// SHA-256 of the archive as it was uploaded.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
    /// Bytes of what is in it.
    pub unzipped: u64,
}

impl CodeRef {
    /// `CodeSha256` as the API shows it for zip archives: base64.
    pub fn sha256(&self) -> String {
        STANDARD.encode(self.digest.0)
    }
}

/// Whether a version can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is being made.
    Pending(Reason),
    /// It can run.
    Active,
    /// Its resources were reclaimed; invoking it brings it back.
    Inactive(Reason),
    /// It could not be made.
    Failed(Reason),
}

impl State {
    /// As the API writes it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending(_) => "Pending",
            Self::Active => "Active",
            Self::Inactive(_) => "Inactive",
            Self::Failed(_) => "Failed",
        }
    }

    /// Why it is not active.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Active => None,
            Self::Pending(reason) | Self::Inactive(reason) | Self::Failed(reason) => Some(reason),
        }
    }
}

/// How the last update went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastUpdate {
    /// It is in force.
    Successful,
    /// It is being brought about; what was before it runs.
    InProgress(Reason),
    /// It could not be brought about; what was before it runs.
    Failed(Reason),
}

impl LastUpdate {
    /// As the API writes it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::InProgress(_) => "InProgress",
            Self::Failed(_) => "Failed",
        }
    }

    /// Why it is not in force.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Successful => None,
            Self::InProgress(reason) | Self::Failed(reason) => Some(reason),
        }
    }
}

/// Why a function is not as its owner wants it, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `Creating`, `InternalError`, `InvalidZipFileException`...
    pub code: Arc<str>,
    /// A sentence.
    pub text: Arc<str>,
}

impl Reason {
    /// What AWS says while a function is created, and while any update is under way.
    ///
    /// Source: recorded in November 2025.
    pub fn creating() -> Self {
        Self { code: "Creating".into(), text: "The function is being created.".into() }
    }
}
