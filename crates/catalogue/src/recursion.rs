//! What becomes of a function that keeps calling itself.

use serde::{Deserialize, Serialize};

/// What becomes of a function that keeps calling itself through other services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecursiveLoop {
    /// It is stopped.
    #[default]
    Terminate,
    /// It goes on.
    Allow,
}
