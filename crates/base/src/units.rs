//! Units that live in types.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MEMORY_PER_VCPU;

/// Mebibytes; what Lambda calls MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mib(pub u32);

impl Mib {
    /// The same amount in bytes.
    pub const fn bytes(self) -> u64 {
        self.0 as u64 * 1024 * 1024
    }

    /// Whole mebibytes that hold `bytes`, rounded up.
    pub const fn holding(bytes: u64) -> Self {
        Self(bytes.div_ceil(1024 * 1024) as u32)
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB", self.0)
    }
}

/// How many invocations may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Concurrency(pub u32);

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Thousandths of a virtual CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MilliCpu(pub u32);

impl MilliCpu {
    /// The share that comes with a function's memory: [`MEMORY_PER_VCPU`] is one vCPU.
    pub const fn of_memory(memory: Mib) -> Self {
        Self((memory.0 * 1000).div_ceil(MEMORY_PER_VCPU.0))
    }
}
