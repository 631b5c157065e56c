//! What to do, as data: nothing here touches the machine.

pub mod egress;
pub mod groups;
pub mod names;
pub mod rooms;
pub mod root;
