//! The doors inside sandboxes, given to the engine before they exist.
//!
//! The engine opens a door in each sandbox, doors lead to Lambda, and Lambda runs functions through the engine: this
//! is where that circle closes.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use access::FunctionIdentity;
use engine::EndpointHost;

/// Doors that are bound once everything else is built, before the first environment starts.
#[derive(Default)]
pub struct LateEndpoints(OnceLock<Arc<dyn EndpointHost>>);

impl LateEndpoints {
    /// Says what serves from now on; only the first call counts.
    pub fn bind(&self, host: Arc<dyn EndpointHost>) {
        let _ = self.0.set(host);
    }
}

impl EndpointHost for LateEndpoints {
    fn serve(&self, listener: TcpListener, identity: Arc<FunctionIdentity>) -> Box<dyn Send> {
        self.0.get().expect("bound before anything may run").serve(listener, identity)
    }
}
