//! What an account has in a region, added up.

use std::ops::{AddAssign, SubAssign};

/// What an account has in a region. Kept up to date with every change, never counted anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Functions.
    pub functions: u64,
    /// Bytes of all archives: of each function, again of each of its versions, and of each version of a layer.
    pub code: u64,
    /// Concurrency that functions have reserved.
    pub reserved: u64,
    /// Concurrency that functions have for themselves: reserved, or without that provisioned.
    pub claimed: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.functions += other.functions;
        self.code += other.code;
        self.reserved += other.reserved;
        self.claimed += other.claimed;
    }
}

impl SubAssign for Usage {
    fn sub_assign(&mut self, other: Self) {
        self.functions -= other.functions;
        self.code -= other.code;
        self.reserved -= other.reserved;
        self.claimed -= other.claimed;
    }
}
