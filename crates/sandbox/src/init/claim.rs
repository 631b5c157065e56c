//! What an init is told when its sandbox is given to a function.

use base::units::Mib;

/// First byte of the packet.
const CLAIMED: u8 = b'C';

/// From the launcher to a sealed init; nothing answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What the function's processes may hold.
    pub(crate) memory: Mib,
}

impl Claim {
    /// Length of the packet.
    pub(crate) const BYTES: usize = 5;

    /// The claim as one packet.
    pub(crate) fn packet(self) -> Vec<u8> {
        [&[CLAIMED], self.memory.0.to_ne_bytes().as_slice()].concat()
    }

    /// The claim in a packet.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let memory = packet.strip_prefix(&[CLAIMED])?.try_into().ok()?;
        Some(Self { memory: Mib(u32::from_ne_bytes(memory)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_travels_whole() {
        let claim = Claim { memory: Mib(1_769) };
        assert_eq!(claim.packet().len(), Claim::BYTES);
        assert_eq!(Claim::of(&claim.packet()), Some(claim));
        for packet in [&[][..], b"C", b"M\0\0\0\0", b"C\0\0\0\0\0"] {
            assert_eq!(Claim::of(packet), None, "{packet:?}");
        }
    }
}
