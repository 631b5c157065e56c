//! What only the server may read: envelope encryption of environment variables, and signatures on its own links.
//!
//! Every record has its own random data key, which is stored beside it, wrapped by the master key. What is
//! sealed for one function opens for no other, because its name is authenticated with both.
//!
//! Sealed bytes: version (1) | id of the master key (4) | nonce (12) | wrapped data key (32 + 16) | nonce (12) |
//! ciphertext | tag (16). The id tells which of several master keys opens them: one is current and seals, older ones
//! only open. When a new one is made, data keys are wrapped anew, and what they encrypt stays as it is.

mod key_file;
mod ring;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base::clock::Timestamp;
use base::random::Dice;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalogue::{FunctionKey, SealedEnvironment};

pub use self::key_file::KeyFile;
pub use self::key_file::OpenError;
pub use self::ring::KeyId;
use self::ring::{ID, Keys, Ring};
use crate::secret::{KeyBytes, same};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const WRAPPED: usize = 32 + 16;
/// Bytes before the ciphertext.
const HEAD: usize = 1 + ID + NONCE + WRAPPED + NONCE;

/// Why sealed bytes did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// They are in no form that this Samovar knows.
    #[error("sealed data is damaged or of a newer form")]
    Form,
    /// They were sealed under another master key.
    #[error("data is sealed under a key that is not among this server's")]
    OtherKey,
    /// They were changed, or sealed for something else.
    #[error("sealed data is not authentic")]
    Forged,
}

/// Why a link is not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Its time is over.
    #[error("link has expired")]
    Expired,
    /// The server did not sign it.
    #[error("link is not signed by this server")]
    Forged,
}

/// Seals and opens with master keys that stay in it. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    ring: Arc<Ring>,
    dice: Dice,
}

impl Vault {
    /// Opens the key file, and makes it with 32 random bytes if it is not there; opens the retired keys beside it.
    pub fn open(key_file: &Path, dice: Dice) -> Result<Self, OpenError> {
        let current = Keys::of(&key_file::open_or_make(key_file, &dice)?);
        let read = |path: PathBuf| Ok(Keys::of(&key_file::open(&path)?));
        let retired = key_file::retired(key_file)?.into_iter().map(read).collect::<Result<_, OpenError>>()?;
        let ring = Ring::new(current, retired);
        Ok(Self { ring: Arc::new(ring), dice })
    }

    /// Puts a new master key into the key file's place; the one that was there is kept beside it, retired.
    ///
    /// Killed at any moment, this leaves a key file that opens everything.
    pub fn rotate(&self, key_file: &Path) -> Result<Self, OpenError> {
        key_file::replace(key_file, self.ring.current.id, &self.dice)?;
        Self::open(key_file, self.dice.clone())
    }

    /// The id of the key that seals.
    pub fn current(&self) -> KeyId {
        self.ring.current.id
    }

    /// The keys that a key file and its retired ones hold, the current one first. Needs no more than to read them.
    pub fn list(key_file: &Path) -> Result<Vec<KeyFile>, OpenError> {
        key_file::list(key_file)
    }

    /// Seals `plain` so that it opens in the same `context` only.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let data_key = KeyBytes(self.dice.bytes());
        let nonces: [[u8; NONCE]; 2] = [self.dice.bytes(), self.dice.bytes()];
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend(self.ring.current.id.0);
        self.wrap(&mut sealed, context, &data_key, nonces[0]);
        sealed.extend(nonces[1]);
        sealed.extend(encrypt(&data_key, &nonces[1], context, plain));
        sealed
    }

    /// Opens what was sealed in this `context`.
    pub fn open_sealed(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let Parts { nonce, ciphertext, .. } = Parts::of(sealed)?;
        decrypt(&self.unwrap(context, sealed)?, nonce, context, ciphertext)
    }

    /// The same sealed under the current master key; nothing when it is already.
    pub fn reseal(&self, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let Parts { id, nonce, ciphertext, .. } = Parts::of(sealed)?;
        if id == self.ring.current.id {
            return Ok(None);
        }
        let data_key = self.unwrap(context, sealed)?;
        let mut resealed = Vec::with_capacity(sealed.len());
        resealed.push(VERSION);
        resealed.extend(self.ring.current.id.0);
        self.wrap(&mut resealed, context, &data_key, self.dice.bytes());
        resealed.extend(nonce);
        resealed.extend(ciphertext);
        Ok(Some(resealed))
    }

    /// Adds a data key to a prelude, wrapped by the current master key.
    fn wrap(&self, prelude: &mut Vec<u8>, context: &[u8], data_key: &KeyBytes, nonce: [u8; NONCE]) {
        let wrapped = encrypt(&self.ring.current.wrap, &nonce, &bound(prelude, context), &data_key.0);
        prelude.extend(nonce);
        prelude.extend(wrapped);
    }

    /// The data key that is wrapped in sealed bytes.
    fn unwrap(&self, context: &[u8], sealed: &[u8]) -> Result<KeyBytes, VaultError> {
        let Parts { prelude, id, wrap_nonce, wrapped, .. } = Parts::of(sealed)?;
        let keys = self.ring.get(id).ok_or(VaultError::OtherKey)?;
        let data_key = decrypt(&keys.wrap, wrap_nonce, &bound(prelude, context), wrapped)?;
        Ok(KeyBytes(data_key.try_into().map_err(|_| VaultError::Form)?))
    }

    /// Seals a function's environment variables.
    pub fn seal_environment(
        &self,
        function: &FunctionKey,
        variables: &BTreeMap<String, String>,
    ) -> SealedEnvironment {
        let mut plain = serde_json::to_vec(variables).expect("text keys and values are JSON");
        let sealed = self.seal(&environment_of(function), &plain);
        plain.fill(0);
        std::hint::black_box(&plain);
        SealedEnvironment(sealed.into())
    }

    /// A function's environment variables sealed under the current master key; nothing when they are already.
    pub fn reseal_environment(
        &self,
        function: &FunctionKey,
        sealed: &SealedEnvironment,
    ) -> Result<Option<SealedEnvironment>, VaultError> {
        let resealed = self.reseal(&environment_of(function), &sealed.0)?;
        Ok(resealed.map(|bytes| SealedEnvironment(bytes.into())))
    }

    /// Opens a function's environment variables.
    pub fn open_environment(
        &self,
        function: &FunctionKey,
        sealed: &SealedEnvironment,
    ) -> Result<BTreeMap<String, String>, VaultError> {
        let mut plain = self.open_sealed(&environment_of(function), &sealed.0)?;
        let variables = serde_json::from_slice(&plain).map_err(|_| VaultError::Form);
        plain.fill(0);
        std::hint::black_box(&plain);
        variables
    }

    /// The server's signature on `bytes`; those made for one purpose are worth nothing for another.
    pub fn sign(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.ring.current.sign(purpose, bytes)
    }

    /// The signature of a link that is good for one method on one path until `expires`, as it goes into a query.
    pub fn sign_link(&self, method: &str, path: &str, expires: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.sign("link", &link(method, path, expires)))
    }

    /// Whether a link's signature is the server's and its time is not over.
    pub fn verify_link(
        &self,
        method: &str,
        path: &str,
        expires: Timestamp,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), LinkError> {
        let shown = URL_SAFE_NO_PAD.decode(signature).map_err(|_| LinkError::Forged)?;
        let link = link(method, path, expires);
        if !self.ring.all().any(|keys| same(&keys.sign("link", &link), &shown)) {
            Err(LinkError::Forged)
        } else if now > expires {
            Err(LinkError::Expired)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault(key {})", self.current())
    }
}

/// Sealed bytes, taken apart.
struct Parts<'a> {
    /// Version and id.
    prelude: &'a [u8],
    id: KeyId,
    wrap_nonce: &'a [u8],
    wrapped: &'a [u8],
    nonce: &'a [u8],
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Result<Self, VaultError> {
        let (head, ciphertext) = sealed.split_at_checked(HEAD).ok_or(VaultError::Form)?;
        let (prelude, keys) = head.split_at(1 + ID);
        let (version, id) = prelude.split_at(1);
        if version != [VERSION] {
            return Err(VaultError::Form);
        }
        let id = KeyId(id.try_into().map_err(|_| VaultError::Form)?);
        let (wrap_nonce, rest) = keys.split_at(NONCE);
        let (wrapped, nonce) = rest.split_at(WRAPPED);
        Ok(Self { prelude, id, wrap_nonce, wrapped, nonce, ciphertext })
    }
}

fn link(method: &str, path: &str, expires: Timestamp) -> Vec<u8> {
    format!("{method}\n{path}\n{}", expires.as_micros()).into_bytes()
}

fn environment_of(function: &FunctionKey) -> Vec<u8> {
    format!("environment\n{}", function.arn()).into_bytes()
}

/// What the wrapping of a data key authenticates: the prelude has a fixed length, so the two cannot be confused.
fn bound(prelude: &[u8], context: &[u8]) -> Vec<u8> {
    [prelude, context].concat()
}

fn encrypt(key: &KeyBytes, nonce: &[u8; NONCE], context: &[u8], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(&key.0.into());
    let payload = Payload { msg: plain, aad: context };
    cipher.encrypt(&Nonce::from(*nonce), payload).expect("records are far below AES-GCM's 64 GB")
}

fn decrypt(key: &KeyBytes, nonce: &[u8], context: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| VaultError::Form)?;
    let cipher = Aes256Gcm::new(&key.0.into());
    let payload = Payload { msg: ciphertext, aad: context };
    cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| VaultError::Forged)
}

#[cfg(test)]
mod tests;
