//! What Lambda refuses about resource policies, beside what the policies themselves stand against.

/// What the operations on policies refuse. Source: recorded answers; client logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyRefusal {
    /// AddPermission does not take `$LATEST`; PutResourcePolicy does.
    #[error("We currently do not support adding policies for $LATEST.")]
    Latest,
    /// Nobody can be called that.
    #[error("The provided principal was invalid. Please check the principal and try again.")]
    Principal,
    /// A condition for another action.
    #[error("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")]
    UrlAuthType,
    /// RemovePermission of a function that is not there.
    #[error("No policy found for: {0}")]
    NoPolicy(String),
    /// There is nothing to show.
    #[error("The resource you requested does not exist.")]
    NoResource,
}
