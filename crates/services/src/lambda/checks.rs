//! What Lambda's back end refuses, after the front end has checked a request against the model.

pub(crate) mod code_signing;
pub(crate) mod event_invoke;
pub(crate) mod layers;
pub(crate) mod mappings;
pub(crate) mod policies;
pub(crate) mod rules;
pub(crate) mod runtime_management;
pub(crate) mod tags;
pub(crate) mod urls;

use base::limits::CLIENT_CONTEXT_BYTES;

use super::runtimes::SUPPORTED;

/// A request that the back end refuses, in the words of AWS.
///
/// Texts are recorded unless their comment says otherwise (`Ours`: Samovar speaks of itself).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Bounds that the back end keeps tighter than the model, in the front end's words.
    #[error(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    )]
    Constraint {
        /// The value as text.
        value: String,
        /// The member's path.
        member: &'static str,
        /// What it must satisfy.
        constraint: String,
    },
    /// No runtime has this id.
    #[error(
        "Value {0} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{list}] or be a \
         valid ARN",
        list = SUPPORTED.join(", ")
    )]
    UnknownRuntime(String),
    /// The runtime has ended.
    #[error(
        "The runtime parameter of {0} is no longer supported for creating or updating AWS Lambda functions. We \
         recommend you use a supported runtime while creating or updating functions."
    )]
    DeprecatedRuntime(String),
    /// A zip package names no runtime or no handler.
    #[error("Runtime and Handler are mandatory parameters for functions created with deployment packages.")]
    RuntimeAndHandler,
    /// There is no code in the request.
    #[error("Please provide a source for function code.")]
    NoCode,
    /// Code from two places.
    #[error("Please do not provide other FunctionCode parameters when providing a ZipFile.")]
    TwoSources,
    /// An image for a function that is a zip.
    #[error("Please don't provide ImageUri when updating a function with packageType Zip.")]
    ImageForZip,
    /// Too many or too long environment variables.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you have \
         provided exceeded the 4KB limit. String measured: {measured}"
    )]
    LargeEnvironment {
        /// The variables as compact JSON, longer than [`base::limits::ENVIRONMENT_BYTES`].
        measured: String,
    },
    /// Environment variables that Lambda sets itself.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you have \
         provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
         this request: {}",
        .0.join(", ")
    )]
    ReservedKeys(Vec<String>),
    /// A log level needs JSON.
    #[error(
        "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change \
         the LogFormat to \"JSON\" and try again."
    )]
    LevelWithText,
    /// Snapshots are for some runtimes.
    #[error("{0} is not supported for SnapStart enabled functions.")]
    NoSnapshots(String),
    /// Snapshots hold no large `/tmp`. Ours, after the one above: the rule is documented, its words are not recorded.
    #[error("Ephemeral storage greater than 512 MB is not supported for SnapStart enabled functions.")]
    SnapshotOfLargeTmp,
    /// Half a network. Told by operators of several deployment tools.
    #[error("SubnetIds and SecurityIds must coexist or be both empty list.")]
    HalfNetwork,
    /// Given-up events go to no such service. Observed when a stack was made, in 2026.
    #[error(
        "Invalid dead letter queue ARN: The service specified by the TargetArn is not supported for dead letter \
         configuration."
    )]
    DeadLetterService,
    /// Given-up events stay in their region. Observed when a stack was made, in 2026.
    #[error(
        "Invalid dead letter queue ARN: The resource specified by the TargetArn must be in the same region as the \
         Lambda function it's associated with."
    )]
    DeadLetterRegion,
    /// Given-up events go to standard queues and topics. Observed of queues in 2025; of topics by analogy.
    #[error("Invalid dead letter queue ARN: FIFO {0} is not supported for dead letter configuration")]
    DeadLetterFifo(&'static str),
    /// Aliases have an operation of their own.
    #[error("Deletion of aliases is not currently supported.")]
    DeleteAlias,
    /// `$LATEST` lives as long as its function.
    #[error("$LATEST version cannot be deleted without deleting the function.")]
    DeleteLatest,
    /// An alias shares its invocations with one other version at most.
    #[error("Number of items in AdditionalVersionWeights cannot be greater than 1")]
    TwoWeights,
    /// A list cannot go on from there. Ours.
    #[error("Invalid Marker")]
    Marker,
    /// A tenant for a function without tenants.
    #[error(
        "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and \
         try again."
    )]
    Tenant,
    /// The client context is not base64 of JSON.
    #[error("Client context must be a valid Base64-encoded JSON object.")]
    ClientContext,
    /// The client context is longer than [`CLIENT_CONTEXT_BYTES`]. Ours.
    #[error("Client context must not be longer than {CLIENT_CONTEXT_BYTES} bytes.")]
    LargeClientContext,
    /// More than an event may have. Recorded of InvokeAsync; told by many of Invoke.
    #[error("{size} byte payload is too large for the Event invocation type (limit {limit} bytes)")]
    LargeEvent {
        /// Bytes it has.
        size: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The payload is not JSON; the parser's words.
    #[error("Could not parse request body into json: Could not parse payload into json: {0}")]
    Payload(String),
    /// Something that Lambda has and Samovar has not. Ours.
    #[error("Samovar does not implement {0}")]
    NotBuilt(&'static str),
}
