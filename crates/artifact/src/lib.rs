//! Code in, read-only directory out.
//!
//! [`unzip`] is what a confined helper process runs on an archive; [`Artifacts`] is the server's side: packages kept by
//! the SHA-256 of their archive, and a cache of directories that sandboxes mount.

mod artifacts;
pub mod unzip;

pub use artifacts::{ArtifactError, Artifacts, CodeDir, Package, Unpacker};
pub use unzip::{Refusal, Unpacked};
