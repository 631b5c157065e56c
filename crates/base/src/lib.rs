//! Nouns everybody shares: names, units, limits, the one clock and dice of the house, and how its tasks are polled.

pub mod arn;
pub mod clock;
pub mod fnv;
pub mod id;
pub mod limits;
pub mod random;
pub mod task;
pub mod units;
