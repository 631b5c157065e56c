//! Logs as files: a directory a log, named by the SHA-256 of its name, and in it segments, each named by the
//! position of its first record. Segments but the last never change: they are compressed in the background, and the
//! oldest can be removed.

mod appender;
mod cursor;
mod frame;
mod log;
mod read;
mod sealed;
mod sealer;
mod shelf;
mod source;
mod syncer;

pub use appender::{Appender, Job, Work};
pub use read::{end, read, read_back, space, usage};
pub use sealer::run as seal_segments;
pub use shelf::Shelf;
pub use syncer::Syncer;
