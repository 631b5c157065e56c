//! What to do, as data: nothing here touches the machine.

pub mod egress;
pub mod files;
pub mod groups;
pub mod names;
pub mod plain;
pub mod rooms;
pub mod root;
pub mod views;
pub mod watch;
