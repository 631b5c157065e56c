//! What is kept of every invocation: log groups and their events, and the lines that the platform writes.
//!
//! The path of a line: [`lines::Splitter`] makes events of the bytes that a sandbox writes,
//! [`tail::Tail`] keeps the last ones for the caller who asked, [`level`] decides what is written, and a
//! [`LogWriter`] hands it to [`Logs`]. The platform's own lines come from [`report`].
//!
//! The path back: [`Logs`] finds pages of events, scans a range of time, or follows what is written; [`pattern`] picks
//! events by CloudWatch's filter patterns, and [`insights`] answers its query language over them.
//!
//! [`metrics`] count and time the same invocations.

pub mod insights;
pub mod level;
pub mod lines;
pub mod logs;
pub mod metrics;
pub mod pattern;
pub mod report;
pub mod tail;

pub use logs::{LogEvent, LogWriter, Logs};
pub use metrics::Metrics;
