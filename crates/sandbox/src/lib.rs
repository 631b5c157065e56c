//! Walls around one process tree.
//!
//! A single-threaded, privileged *launcher* ([`launch`]) forks the unprivileged server and, at the server's request,
//! sandboxes: each a tiny *init* as pid 1 of its own namespaces, which starts, watches and resets the runtime.
//! The server drives both ends: the launcher through a [`LauncherClient`], each init through the control socket of
//! its [`Built`] sandbox with the messages of [`protocol`]. With [`Isolation::None`] the same processes stand without
//! privilege and without walls.
//!
//! What a sandbox is made of is decided by the pure [`plan`] and [`seccomp`]; the other modules carry it out.
//! This crate never runs tokio, and is the home of the house's system calls.

mod cgroups;
pub mod client;
pub mod doctor;
pub mod freezer;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
mod init;
pub mod interpreters;
pub mod launcher;
pub mod limits;
pub mod meter;
pub mod plan;
pub mod protocol;
mod requests;
pub mod seccomp;
pub mod setup;
pub mod spec;
mod sys;
mod unpack;

pub use client::LauncherClient;
pub use freezer::Freezer;
pub use launcher::launch;
pub use meter::Meter;
pub use setup::{
    CpuPolicy, HostMount, InterpreterRoot, Isolation, LaunchError, LauncherSetup, RuntimeFile, ServerSide,
};
pub use spec::{BuildError, Built, NameSockets, Preparation, SandboxSpec};
