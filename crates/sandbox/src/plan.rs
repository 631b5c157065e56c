//! What to do, as data: nothing here touches the machine.

pub mod egress;
pub mod files;
pub mod groups;
pub mod names;
pub mod plain;
pub mod rooms;
pub mod root;
pub mod stock;
pub mod views;
pub mod watch;
