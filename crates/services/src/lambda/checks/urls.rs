//! What the back end refuses about function URLs.

/// A request about a function URL that the back end refuses, in the words of AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlRefusal {
    /// There is no such function or alias.
    #[error("Function does not exist")]
    NoFunction,
    /// There is one already.
    #[error(
        "Failed to create function url config for [functionArn = {0}]. Error message:  FunctionUrlConfig exists for \
         this Lambda function"
    )]
    Exists(String),
    /// There is none.
    #[error("The resource you requested does not exist.")]
    NoUrl,
}
