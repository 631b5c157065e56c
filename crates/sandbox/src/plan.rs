//! What to do, as data: nothing here touches the machine.

pub mod groups;
pub mod names;
pub mod plain;
pub mod rooms;
pub mod root;
