//! The AWS operations, one module a service: each implements the trait that `wire` generates for it.

pub mod context;
pub mod lambda;
pub mod logs;

pub use context::Context;
