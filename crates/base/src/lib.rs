//! Nouns everybody shares: names, units, limits, and the one clock and dice of the house.

pub mod arn;
pub mod clock;
pub mod id;
pub mod limits;
pub mod random;
pub mod units;
