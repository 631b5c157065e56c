//! AWS bytes to typed input and typed output to AWS bytes, without I/O.
//!
//! A door takes a request through [`route::service`], [`sigv4`], [`route::operation`], [`request::read`] and the
//! generated `dispatch`, and its outcome back through [`codec::respond`] or [`codec::refuse`].

pub mod answer;
pub mod codec;
pub mod error;
pub mod frame;
mod r#gen;
pub mod http;
pub mod request;
pub mod route;
pub mod schema;
pub mod sigv4;
pub mod validate;
pub mod value;

pub use r#gen::{lambda, logs};
