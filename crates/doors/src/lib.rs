//! Every listener that people and functions reach.
//!
//! The [`Endpoint`] serves AWS APIs on one port, with a small `/_samovar/` surface beside them; [`FunctionEndpoints`]
//! serve the same APIs inside sandboxes, under each function's own identity.

mod api;
mod body;
mod endpoint;
mod entry;
mod function_endpoint;
mod pace;
mod sent;
mod serve;
#[cfg(test)]
mod tests;

pub use api::Apis;
pub use endpoint::{Endpoint, EndpointSetup, Measures, Reset, ResetFuture};
pub use entry::rules::HostList;
pub use function_endpoint::FunctionEndpoints;
pub use serve::Door;
