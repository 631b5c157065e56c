//! What an init is told when its sandbox is given to a function.

use base::units::Mib;

use crate::limits::{WAITING_ARGUMENTS, WAITING_BYTES};

/// First byte of the packet.
const CLAIMED: u8 = b'C';

/// From the launcher to a sealed init; nothing answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What the function's processes may hold.
    pub(crate) memory: Mib,
    /// The command of a runtime that a zygote is about to bear into the sandbox, when nobody waits in it yet.
    pub(crate) waiting: Option<Vec<String>>,
}

impl Claim {
    /// Length of the longest packet.
    pub(crate) const BYTES: usize = 5 + WAITING_BYTES + WAITING_ARGUMENTS;

    /// The claim as one packet.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let arguments = self.waiting.iter().flatten().flat_map(|argument| [argument.as_bytes(), &[0]]);
        let memory = self.memory.0.to_ne_bytes();
        [&[CLAIMED], memory.as_slice()].into_iter().chain(arguments).flatten().copied().collect()
    }

    /// The claim in a packet.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let (memory, arguments) = packet.strip_prefix(&[CLAIMED])?.split_first_chunk()?;
        let waiting = match arguments.strip_suffix(&[0]) {
            None if arguments.is_empty() => None,
            arguments => {
                let arguments = str::from_utf8(arguments?).ok()?.split('\0');
                Some(arguments.map(str::to_owned).collect())
            }
        };
        Some(Self { memory: Mib(u32::from_ne_bytes(*memory)), waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_travels_whole() {
        let argv = ["/usr/bin/python3", "-S", "/var/runtime/bootstrap.py"].map(String::from).to_vec();
        for waiting in [None, Some(argv), Some(vec![String::new()])] {
            let claim = Claim { memory: Mib(1_769), waiting };
            assert!(claim.packet().len() <= Claim::BYTES);
            assert_eq!(Claim::of(&claim.packet()), Some(claim));
        }
        for packet in [&[][..], b"C", b"M\0\0\0\0", b"C\0\0\0\0x", b"C\0\0\0\0\xff\0"] {
            assert_eq!(Claim::of(packet), None, "{packet:?}");
        }
    }
}
