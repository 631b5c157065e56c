//! What the back end refuses about tags.

use base::arn::Scope;

/// A request about tags that the back end refuses, in the words of AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagRefusal {
    /// No tags to put on a resource.
    #[error("An error occurred and the request cannot be processed.")]
    Nothing,
    /// Functions have tags, and their versions and aliases have none.
    #[error("Tags on function aliases and versions are not supported. Please specify a function ARN.")]
    Qualified,
    /// More tags than a resource may have.
    #[error("Number of tags exceeds resource tag limit.")]
    TooMany,
    /// A key of AWS's own. Recorded of other services, not of Lambda.
    #[error("aws: prefixed tag key names are not allowed for external use.")]
    Reserved,
    /// There is no such event source mapping.
    #[error("Event source mapping not found: {0}")]
    NoMapping(String),
    /// There is no such capacity provider.
    #[error("Capacity provider not found: {0}")]
    NoCapacityProvider(String),
}

/// What can have tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taggable<'a> {
    /// A function's ARN, with a qualifier if it has one.
    Function(&'a str),
    /// An event source mapping.
    Mapping {
        /// Where it is.
        scope: Scope,
        /// Its UUID.
        id: &'a str,
    },
    /// A code signing configuration.
    CodeSigningConfig {
        /// Where it is.
        scope: Scope,
        /// Its id.
        id: &'a str,
    },
    /// A capacity provider.
    CapacityProvider,
    /// What belongs to another service of the same name.
    NetworkConnector,
}

impl<'a> Taggable<'a> {
    /// Reads an ARN that the front end has let through.
    pub(crate) fn read(arn: &'a str) -> Self {
        let ["arn", _, "lambda", region, account, kind, id] = arn.split(':').collect::<Vec<_>>()[..] else {
            return Self::Function(arn);
        };
        let (Ok(account), Ok(region)) = (account.parse(), region.parse()) else { return Self::Function(arn) };
        let scope = Scope { account, region };
        match kind {
            "event-source-mapping" => Self::Mapping { scope, id },
            "code-signing-config" => Self::CodeSigningConfig { scope, id },
            "capacity-provider" => Self::CapacityProvider,
            "network-connector" => Self::NetworkConnector,
            _ => Self::Function(arn),
        }
    }
}
