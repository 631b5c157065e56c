//! When a version gets another version of its runtime.

use std::sync::Arc;

/// When a version gets another version of its runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RuntimeManagement {
    /// As soon as there is one.
    #[default]
    Auto,
    /// With the next update of the function.
    FunctionUpdate,
    /// Never: it keeps the one with this ARN.
    Manual(Arc<str>),
}
