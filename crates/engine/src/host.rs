//! What an environment's processes reach over its own network namespace.

pub mod dns;
pub mod extensions;
pub mod peer;
pub mod runtime;
pub mod telemetry;

use std::net::TcpListener;
use std::sync::Arc;

use access::FunctionIdentity;

/// Serves AWS APIs to one environment under the function's own identity.
pub trait EndpointHost: Send + Sync + 'static {
    /// Serves `listener` until the returned guard is dropped.
    ///
    /// Account and identity are `identity`'s, whatever key the function shows.
    fn serve(&self, listener: TcpListener, identity: Arc<FunctionIdentity>) -> Box<dyn Send>;
}
