//! System-call filters: a policy per syscall number, compiled into a balanced tree of BPF.
//!
//! The kernel runs the filter for every syscall number when it is installed and at every call later; a tree over
//! ranges of numbers took 30 to 43 us to install where a linear list took 555. Pure: nothing here acts.

mod assemble;
mod rules;

use std::collections::BTreeMap;

pub use assemble::compile;
pub use rules::{function, server, unpacker};

/// One BPF instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs.
    Allow,
    /// It fails with this `errno`.
    Errno(u16),
    /// The process dies by SIGSYS.
    Kill,
    /// `clone`: runs unless it asks for a namespace.
    CloneWithoutNamespaces,
    /// `socket`: runs for unix, internet and routing-information sockets that need no rights.
    PlainSocket,
    /// `socketpair`: runs for unix sockets. Others have none, but the kernel would load their modules to find out.
    UnixPair,
    /// `personality`: runs when it asks for the current one or sets the default.
    PlainPersonality,
    /// `setrlimit`: runs unless it sets the limit of core files, which keeps crashes from the host's collector.
    KeepsCoreLimit,
    /// `prlimit64`: the same; asking is allowed.
    KeepsCoreLimitOfAny,
}

/// What a filter says about every system call.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Exceptions, by syscall number.
    pub rules: BTreeMap<u32, Verdict>,
    /// For all other known numbers.
    pub otherwise: Verdict,
    /// For numbers newer than [`NEWEST_KNOWN`], whose meaning nobody has judged.
    pub unknown: Verdict,
}

impl Policy {
    /// The verdict on a number.
    pub fn verdict(&self, number: u32) -> Verdict {
        match number {
            FOREIGN_ABI.. => Verdict::Kill,
            _ if number > NEWEST_KNOWN => self.unknown,
            _ => self.rules.get(&number).copied().unwrap_or(self.otherwise),
        }
    }
}

/// Newest system call that the policies know, `mseal` of Linux 6.10; numbers above 423 are the same everywhere.
pub const NEWEST_KNOWN: u32 = 462;

/// From here on numbers belong to another calling convention (x32).
const FOREIGN_ABI: u32 = 0x4000_0000;

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Instruction>);
