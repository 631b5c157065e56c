//! What Lambda refuses about code signing.

/// What Lambda refuses about code signing, in its words.
///
/// Texts are recorded unless their comment says otherwise (`Ours`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodeSigningRefusal {
    /// An operation on a configuration that is not there.
    #[error("The Lambda code signing configuration {0} can not be found.")]
    Unknown(String),
    /// A function is to have a configuration that is not there.
    #[error(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {0}."
    )]
    Gone(String),
    /// A configuration that is to go is some function's. Ours.
    #[error("The code signing configuration {0} cannot be deleted because it is in use by a function.")]
    InUse(String),
    /// A package that no allowed publisher signed. Source: an operator's log of 2024.
    #[error(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client \
         is not configured to accept. Check the provided signature for {0}."
    )]
    Unsigned(String),
}
