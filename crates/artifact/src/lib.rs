//! Code in, read-only directory out.
//!
//! [`unzip`] is the synchronous part that a confined helper process runs on hostile archives; [`Artifacts`]
//! keeps packages in the blob store and their unpacked directories beside it.

mod artifacts;
mod native;
mod record;
pub mod unzip;

pub use artifacts::{ArtifactError, Artifacts, CodeDir, InProcess, Package, Unpacker};
pub use native::{Abi, NativeModule};
pub use unzip::{Bootstrap, Refusal, Unpacked, UnzipLimits};
