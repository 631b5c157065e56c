//! Who asks, what they may do, and what only the server may read.

mod gate;
mod principal;
mod secret;
mod vault;

pub use gate::{AccessKey, Authorized, Caller, Denied, Gate, Guarded, Shown, Stranger};
pub use principal::{FunctionIdentity, Issued, Principal};
pub use secret::Secret;
pub use vault::{LinkError, OpenError, Vault, VaultError};
