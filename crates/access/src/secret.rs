//! Text that no log, trace or error may show.

use std::fmt;
use std::sync::Arc;

/// Text that no log, trace or error may show. Cheap to clone.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a secret into custody.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for those who sign with it or pass it on.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `text` is the secret, in a time that does not tell where they differ.
    pub fn is(&self, text: &str) -> bool {
        same(self.0.as_bytes(), text.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

/// Key material that is overwritten when it is not needed any more, as far as safe code can.
pub(crate) struct KeyBytes(pub(crate) [u8; 32]);

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from finding that nobody reads the zeros.
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_whole_and_never_shown() {
        let secret = Secret::new("hunter2");
        assert!(secret.is("hunter2"));
        for other in ["hunter", "hunter22", "", "Hunter2"] {
            assert!(!secret.is(other), "{other}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
