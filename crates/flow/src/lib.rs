//! Events nobody waits for: they are stored before anybody is told that they were taken, and run until they are done.

mod events;

pub use events::{Events, EventsError, EventsSetup, Invoker};
