//! The master keys that a vault holds.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::KeyBytes;

/// Bytes of a key's id.
pub(super) const ID: usize = 4;

/// Tells one master key from another without telling the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; ID]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What is derived from a master key, each for one use.
pub(super) struct Keys {
    pub(super) id: KeyId,
    pub(super) wrap: KeyBytes,
    sign: KeyBytes,
}

impl Keys {
    pub(super) fn of(master: &KeyBytes) -> Self {
        let wrap = derive(master, b"samovar wrap data keys");
        let sign = derive(master, b"samovar sign");
        Self { id: id_of(master), wrap, sign }
    }

    pub(super) fn sign(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        let mut mac = mac(&self.sign);
        mac.update(&(purpose.len() as u64).to_le_bytes());
        mac.update(purpose.as_bytes());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

/// The current master key, which seals and signs, and older ones, which open and verify.
pub(super) struct Ring {
    pub(super) current: Keys,
    older: Vec<Keys>,
}

impl Ring {
    pub(super) fn new(current: Keys, mut older: Vec<Keys>) -> Self {
        // A rotation that was interrupted leaves the current key under both names.
        older.retain(|keys| keys.id != current.id);
        Self { current, older }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.older)
    }

    pub(super) fn get(&self, id: KeyId) -> Option<&Keys> {
        self.all().find(|keys| keys.id == id)
    }
}

/// The id of a master key.
pub(super) fn id_of(master: &KeyBytes) -> KeyId {
    let mut id = [0; ID];
    id.copy_from_slice(&derive(master, b"samovar master key id").0[..ID]);
    KeyId(id)
}

fn derive(master: &KeyBytes, use_: &[u8]) -> KeyBytes {
    let mut mac = mac(master);
    mac.update(use_);
    KeyBytes(mac.finalize().into_bytes().into())
}

fn mac(key: &KeyBytes) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(&key.0).expect("HMAC takes keys of any length")
}
