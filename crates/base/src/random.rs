//! The one dice.

use std::sync::{Arc, Mutex};

/// Gives random bytes: the kernel's, or a seeded sequence for tests. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dice {
    seeded: Option<Arc<Mutex<u64>>>,
}

impl Dice {
    /// Random bytes from the kernel.
    pub fn system() -> Self {
        Self::default()
    }

    /// A repeatable sequence, for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self { seeded: Some(Arc::new(Mutex::new(seed))) }
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.seeded {
            None => getrandom::fill(bytes).expect("the kernel gives random bytes"),
            Some(state) => {
                let mut state = state.lock().expect("no holder of the dice panics");
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&splitmix(&mut state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `2 * N` lower-case hexadecimal digits.
    pub fn hex<const N: usize>(&self) -> String {
        hex::encode(self.bytes::<N>())
    }

    /// `length` lower-case letters and digits, all equally likely.
    pub fn lower_alphanumeric(&self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        // What is above the last multiple of 36 would make the first letters likelier.
        let fair = std::iter::repeat_with(|| self.bytes::<1>()[0]).filter(|byte| *byte < 252);
        fair.take(length).map(|byte| char::from(LETTERS[usize::from(byte % 36)])).collect()
    }

    /// A number from 0 up to but not including 1, each of 2^53 equally likely.
    pub fn fraction(&self) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        (u64::from_le_bytes(self.bytes()) >> 11) as f64 / STEPS
    }

    /// A random version 4 UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}

/// Steele, Lea and Flood's SplitMix64 step.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_spread_from_zero_to_one_and_repeat_with_their_seed() {
        let draw = |seed| {
            let dice = Dice::seeded(seed);
            std::iter::repeat_with(|| dice.fraction()).take(10_000).collect::<Vec<_>>()
        };
        let drawn = draw(7);
        assert!(drawn.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        let below = drawn.iter().filter(|fraction| **fraction < 0.25).count();
        assert!((2_300..2_700).contains(&below), "{below} of 10,000 below a quarter");
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
    }
}
