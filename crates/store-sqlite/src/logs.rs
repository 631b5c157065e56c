//! Logs as files: a directory a log, named by the SHA-256 of its name, and in it segments, each named by the
//! position of its first record. Segments but the last never change, and can be moved elsewhere whole.

mod appender;
mod cursor;
mod frame;
mod log;
mod read;
mod shelf;
mod syncer;

pub use appender::{Appender, Job, Work};
pub use read::{end, read, read_back};
pub use shelf::Shelf;
pub use syncer::Syncer;
