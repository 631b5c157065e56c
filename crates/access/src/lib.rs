//! Who asks, what they may do, and what only the server may read.

mod gate;
mod policy;
mod principal;
mod secret;
mod vault;

pub use gate::{
    AccessKey, Act, Authorized, Caller, Denied, Gate, Guarded, ResourcePolicies, Shown, Stranger, Why,
};
pub use principal::{FunctionIdentity, Issued, Principal, ServiceCall};
pub use secret::Secret;
pub use vault::{KeyFile, KeyId, LinkError, OpenError, Vault, VaultError};
