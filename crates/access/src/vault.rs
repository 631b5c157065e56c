//! What only the server may read: envelope encryption of environment variables, and signatures on its own links.
//!
//! Every record has its own random data key, which is stored beside it, wrapped by the master key. What is
//! sealed for one function opens for no other, because its name is authenticated with both.
//!
//! Sealed bytes: version (1) | id of the master key (4) | nonce (12) | wrapped data key (32 + 16) | nonce (12) |
//! ciphertext | tag (16). The id lets a later vault hold several master keys and re-wrap data keys.

mod key_file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base::clock::Timestamp;
use base::random::Dice;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalogue::{FunctionKey, SealedEnvironment};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub use self::key_file::OpenError;
use crate::secret::{KeyBytes, same};

const VERSION: u8 = 1;
const ID: usize = 4;
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
    #[error("data is sealed under a key that is not in this key file")]
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

/// Seals and opens with a master key that stays in it. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<Keys>,
    dice: Dice,
}

/// What is derived from the master key, each for one use.
struct Keys {
    id: [u8; ID],
    wrap: KeyBytes,
    sign: KeyBytes,
}

impl Vault {
    /// Opens the key file, and makes it with 32 random bytes if it is not there.
    pub fn open(key_file: &Path, dice: Dice) -> Result<Self, OpenError> {
        let master = key_file::open_or_make(key_file, &dice)?;
        let mut id = [0; ID];
        id.copy_from_slice(&derive(&master, b"samovar master key id").0[..ID]);
        let wrap = derive(&master, b"samovar wrap data keys");
        let sign = derive(&master, b"samovar sign");
        Ok(Self { keys: Arc::new(Keys { id, wrap, sign }), dice })
    }

    /// Seals `plain` so that it opens in the same `context` only.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let data_key = KeyBytes(self.dice.bytes());
        let nonces: [[u8; NONCE]; 2] = [self.dice.bytes(), self.dice.bytes()];
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend(self.keys.id);
        let wrapped = encrypt(&self.keys.wrap, &nonces[0], &bound(&sealed, context), &data_key.0);
        sealed.extend(nonces[0]);
        sealed.extend(wrapped);
        sealed.extend(nonces[1]);
        sealed.extend(encrypt(&data_key, &nonces[1], context, plain));
        sealed
    }

    /// Opens what was sealed in this `context`.
    pub fn open_sealed(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (head, ciphertext) = sealed.split_at_checked(HEAD).ok_or(VaultError::Form)?;
        let (prelude, keys) = head.split_at(1 + ID);
        let (version, id) = prelude.split_at(1);
        if version != [VERSION] {
            return Err(VaultError::Form);
        }
        if id != self.keys.id {
            return Err(VaultError::OtherKey);
        }
        let (wrap_nonce, rest) = keys.split_at(NONCE);
        let (wrapped, nonce) = rest.split_at(WRAPPED);
        let data_key = decrypt(&self.keys.wrap, wrap_nonce, &bound(prelude, context), wrapped)?;
        let data_key = KeyBytes(data_key.try_into().map_err(|_| VaultError::Form)?);
        decrypt(&data_key, nonce, context, ciphertext)
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
        let mut mac = mac(&self.keys.sign);
        mac.update(&(purpose.len() as u64).to_le_bytes());
        mac.update(purpose.as_bytes());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
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
        let right = self.sign("link", &link(method, path, expires));
        let shown = URL_SAFE_NO_PAD.decode(signature).map_err(|_| LinkError::Forged)?;
        if !same(&right, &shown) {
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
        write!(f, "Vault(key {})", hex::encode(self.keys.id))
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

fn derive(master: &KeyBytes, use_: &[u8]) -> KeyBytes {
    let mut mac = mac(master);
    mac.update(use_);
    KeyBytes(mac.finalize().into_bytes().into())
}

fn mac(key: &KeyBytes) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(&key.0).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests;
