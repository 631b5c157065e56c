//! What goes wrong, as AWS says it: one exhaustive match for each kind of error.

mod code_signing;
mod concurrency;
mod event_invoke;
mod layers;
pub(crate) mod mappings;
mod policies;
mod runtime_management;
mod tags;
mod urls;
mod versions;

use access::Denied;
use artifact::ArtifactError;
use base::limits;
use catalogue::{Busy, CatalogueError};
use engine::admission::AdmitError;
use engine::{InvokeError, RestoreError};
use flow::EventsError;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use wire::error::ServiceError;
use wire::lambda::exception;

use super::checks::Refusal;
use super::names::NameError;

/// The words for a revision id that is not the latest. Source: recorded answers.
const STALE: &str = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API \
                     to retrieve the latest Revision Id";

/// The words of a fault that is Samovar's own; its cause is in the server's log.
const FAULT: &str = "An internal error occurred; the server's log says more.";

/// An error on its way to a [`ServiceError`].
///
/// Operations use `?` with each of the errors below, and end with this one.
pub(crate) struct Failure(pub(crate) ServiceError);

impl From<Failure> for ServiceError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// Samovar is at fault: the log gets the cause, the caller does not.
pub(crate) fn fault(error: &dyn std::error::Error) -> ServiceError {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    tracing::error!(error = causes.join(": "), "an operation failed");
    exception::SERVICE.with(FAULT)
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        Self(match refusal {
            Refusal::Constraint { .. }
            | Refusal::UnknownRuntime(_)
            | Refusal::DeprecatedRuntime(_)
            | Refusal::RuntimeAndHandler
            | Refusal::NoCode
            | Refusal::TwoSources
            | Refusal::ImageForZip
            | Refusal::LargeEnvironment { .. }
            | Refusal::ReservedKeys(_)
            | Refusal::LevelWithText
            | Refusal::NoSnapshots(_)
            | Refusal::SnapshotOfLargeTmp
            | Refusal::HalfNetwork
            | Refusal::DeadLetterService
            | Refusal::DeadLetterRegion
            | Refusal::DeadLetterFifo(_)
            | Refusal::DeleteAlias
            | Refusal::DeleteLatest
            | Refusal::Marker
            | Refusal::Tenant
            | Refusal::TwoWeights => exception::INVALID_PARAMETER_VALUE.with(words),
            Refusal::ClientContext | Refusal::LargeClientContext | Refusal::Payload(_) => {
                exception::INVALID_REQUEST_CONTENT.with(words)
            }
            Refusal::LargeEvent { .. } => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                ServiceError::plain(status, "RequestEntityTooLargeException", words).upper()
            }
            Refusal::NotBuilt(_) => {
                ServiceError::plain(StatusCode::NOT_IMPLEMENTED, "NotImplementedException", words)
            }
        })
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        let words = error.to_string();
        Self(match error {
            NameError::NoAlias(_) | NameError::Region { .. } | NameError::Unknown(_) => {
                exception::RESOURCE_NOT_FOUND.with(words)
            }
            NameError::Qualified | NameError::TwoQualifiers => exception::INVALID_PARAMETER_VALUE.with(words),
        })
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let error = ServiceError::plain(StatusCode::FORBIDDEN, "AccessDeniedException", denied.to_string());
        Self(error.upper())
    }
}

impl From<ArtifactError> for Failure {
    fn from(error: ArtifactError) -> Self {
        Self(match &error {
            ArtifactError::Refused(refusal) => refused(refusal),
            ArtifactError::Missing(_)
            | ArtifactError::Blobs(_)
            | ArtifactError::Store(_)
            | ArtifactError::Corrupt { .. }
            | ArtifactError::Io { .. } => fault(&error),
        })
    }
}

/// What is wrong with an uploaded archive.
fn refused(refusal: &artifact::Refusal) -> ServiceError {
    use artifact::Refusal;
    let words = match refusal {
        Refusal::Empty => "Uploaded file must be a non-empty zip".to_owned(),
        Refusal::TooLarge { limit } => format!("Unzipped size must be smaller than {limit} bytes"),
        Refusal::NotZip { .. }
        | Refusal::TooManyEntries { .. }
        | Refusal::BadEntry { .. }
        // The helper runs within limits of its own; an archive that ends it is no archive.
        | Refusal::Died => {
            tracing::info!(%refusal, "an uploaded archive is refused");
            "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned()
        }
        Refusal::Io { .. } => return fault(refusal),
    };
    exception::INVALID_PARAMETER_VALUE.with(words)
}

/// An archive is longer than a request may bring.
pub(crate) fn large_archive() -> ServiceError {
    let words = format!("Zipped size must be smaller than {} bytes", limits::ZIP_BYTES);
    ServiceError::plain(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", words)
}

/// The function does not run on managed instances. Source: a tool author's probe of August 2026; the form of its body
/// is that of other refusals of access.
pub(crate) fn no_capacity_provider() -> ServiceError {
    let words = "The function provided by the arn does not contain a capacity provider configuration";
    ServiceError::plain(StatusCode::FORBIDDEN, "AccessDeniedException", words).upper()
}

impl From<CatalogueError> for Failure {
    fn from(error: CatalogueError) -> Self {
        Self(match &error {
            // Operations on what is no function say by themselves that it is not there.
            CatalogueError::NotFound { arn } => {
                exception::RESOURCE_NOT_FOUND.with(format!("Function not found: {arn}"))
            }
            CatalogueError::TooLarge { bytes } => exception::INVALID_PARAMETER_VALUE.with(format!(
                "Function code combined with layers exceeds the maximum allowed size of {} bytes. The actual size is \
                 {bytes} bytes.",
                limits::UNZIPPED_BYTES
            )),
            CatalogueError::AlreadyExists { name } => {
                exception::RESOURCE_CONFLICT.with(format!("Function already exist: {name}"))
            }
            CatalogueError::Busy { key, busy: Busy::Creating } => exception::RESOURCE_CONFLICT.with(format!(
                "The operation cannot be performed at this time. The resource {key} is currently in the following \
                 state: 'Pending'. StateReasonCode: 'Creating'"
            )),
            CatalogueError::Busy { key, busy: Busy::Updating } => exception::RESOURCE_CONFLICT.with(format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {key}"
            )),
            CatalogueError::CodeStorage { .. } => {
                // Source: deployment tools' reports of 2017 to 2025.
                exception::CODE_STORAGE_EXCEEDED.with("Code storage limit exceeded.")
            }
            CatalogueError::RevisionMismatch => exception::PRECONDITION_FAILED.with(STALE),
            CatalogueError::Contended { .. } => exception::TOO_MANY_REQUESTS
                .with("Rate Exceeded.")
                .member("Reason", "CallerRateLimitExceeded"),
            CatalogueError::Stale { .. } | CatalogueError::Corrupt { .. } | CatalogueError::Store(_) => fault(&error),
        })
    }
}

/// The version's init is being made. Source: Lambda Developer Guide, "Troubleshooting SnapStart errors".
pub(crate) fn not_ready() -> ServiceError {
    exception::SNAP_START_NOT_READY.with(
        "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.",
    )
}

/// The function's state stands against it.
pub(crate) fn not_now(state: &str) -> ServiceError {
    exception::RESOURCE_CONFLICT.with(format!(
        "The operation cannot be performed at this time. The function is currently in the following state: {state}"
    ))
}

impl From<InvokeError> for Failure {
    fn from(error: InvokeError) -> Self {
        Self(match &error {
            InvokeError::Throttled { reason } => throttled(*reason),
            InvokeError::NoPlace { .. } | InvokeError::NoMemory { .. } => full(&error),
            InvokeError::Sandbox(start) if start.is_passing() => full(&error),
            InvokeError::TooLarge { .. } => wire::request::too_large("Invoke", limits::SYNC_REQUEST_BYTES),
            InvokeError::Runtime(words) => exception::INVALID_RUNTIME.with(words.clone()),
            // The service model's words; those of the second are documented.
            InvokeError::Restore(RestoreError::Failed) => exception::SNAP_START.with(
                "The afterRestore() runtime hook encountered an error. For more information, check the Amazon \
                 CloudWatch logs.",
            ),
            InvokeError::Restore(RestoreError::TimedOut) => exception::SNAP_START_TIMEOUT
                .with("Lambda couldn't restore the snapshot within the timeout limit."),
            InvokeError::ShuttingDown => ending(&error),
            InvokeError::Code(_) | InvokeError::Variables(_) | InvokeError::Sandbox(_) => fault(&error),
        })
    }
}

impl From<EventsError> for Failure {
    fn from(error: EventsError) -> Self {
        Self(match &error {
            EventsError::Store(_) => fault(&error),
            EventsError::ShuttingDown => ending(&error),
        })
    }
}

/// The server ends; another may be there in a moment.
fn ending(error: &dyn std::error::Error) -> ServiceError {
    ServiceError::plain(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", error.to_string())
}

/// The machine carries no more now. AWS has no reason for that; the nearest is the account's, and the message says
/// what it is.
fn full(error: &InvokeError) -> ServiceError {
    tracing::warn!(%error, "an invocation found no place");
    let words = format!("Rate Exceeded. This machine is full: {error}.");
    exception::TOO_MANY_REQUESTS.with(words).member("Reason", "ConcurrentInvocationLimitExceeded")
}

fn throttled(error: AdmitError) -> ServiceError {
    let (reason, after) = match error {
        AdmitError::Account { .. } => ("ConcurrentInvocationLimitExceeded", None),
        AdmitError::Reserved { .. } => ("ReservedFunctionConcurrentInvocationLimitExceeded", None),
        AdmitError::Requests { reserved: true, after, .. } => {
            ("ReservedFunctionInvocationRateLimitExceeded", Some(after))
        }
        AdmitError::Requests { reserved: false, after, .. } => {
            ("FunctionInvocationRateLimitExceeded", Some(after))
        }
        // AWS names no reason for it; what it bounds is how fast concurrency may grow.
        AdmitError::Starts { after, .. } => ("ConcurrentInvocationLimitExceeded", Some(after)),
    };
    let refused = exception::TOO_MANY_REQUESTS.with("Rate Exceeded.").member("Reason", reason);
    match after {
        // Whole seconds. Source: the service model's `retryAfterSeconds`.
        Some(after) => refused.header(RETRY_AFTER, HeaderValue::from(after.as_secs() + 1)),
        None => refused,
    }
}
