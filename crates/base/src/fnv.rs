//! FNV-1a: a hash that is the same on every machine and for ever, for names that differ in a few letters.
//!
//! It keeps nothing secret and resists nobody. Source: draft-eastlake-fnv, "The FNV Non-Cryptographic Hash Algorithm".

/// 32 bits.
pub fn hash32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// 64 bits. `seed` parts families of hashes; 0 is the published one.
pub fn hash64(seed: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_are_found() {
        assert_eq!((hash32(""), hash32("a"), hash32("foobar")), (0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968));
        assert_eq!((hash64(0, b"a"), hash64(0, b"foobar")), (0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8));
    }
}
