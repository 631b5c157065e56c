//! One running copy of a function: what is decided ([`rules`]) and what is done ([`driver`]).

pub mod alarm;
pub mod counted;
pub mod driver;
pub mod frost;
pub mod output;
pub mod recipe;
mod restore;
pub mod rules;
pub mod telemetry;
pub mod variables;
