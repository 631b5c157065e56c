//! What Lambda refuses about the management of runtimes.

use std::sync::Arc;

/// What the management of runtimes refuses. All of it is ours: none of AWS's words are recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuntimeRefusal {
    /// The runtime is to stay at a version that is not named.
    #[error("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")]
    NoVersion,
    /// The runtime is to stay at a version that this Samovar does not have.
    #[error("The runtime version {asked} is not available: Samovar runs this function with {here}.")]
    OtherVersion {
        /// What is asked for.
        asked: String,
        /// What there is.
        here: String,
    },
    /// The function has no runtime.
    #[error("The function has no runtime whose version could be set.")]
    NoRuntime,
    /// Another runtime for a function that is to stay at a version of the one it has.
    #[error(
        "The version of the function's runtime is set to {0}. Set UpdateRuntimeOn to Auto or FunctionUpdate before you \
         change the runtime."
    )]
    Pinned(Arc<str>),
}
