//! The identity of a result: a hash over everything that decides it, and over nothing else.
use std::fmt;

use serde::{Deserialize, Serialize};

/// 128 bits of BLAKE3 in hexadecimal (32 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The 32 hexadecimal characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects labelled fields; every field is length-prefixed, so that no two lists of fields collide.
#[derive(Debug, Clone)]
pub struct FingerprintBuilder {
    hasher: blake3::Hasher,
}

impl FingerprintBuilder {
    /// Starts from the kind of result and the version of the code that makes it.
    pub fn new(kind: &str, version: u32) -> Self {
        let mut builder = Self { hasher: blake3::Hasher::new() };
        builder.push("kind", kind.as_bytes());
        builder.push("version", &version.to_le_bytes());
        builder
    }

    /// Adds one field.
    #[must_use]
    pub fn field(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        self.push(label, value.as_ref());
        self
    }

    /// The fingerprint of all fields so far.
    pub fn finish(&self) -> Fingerprint {
        let hash = self.hasher.finalize();
        Fingerprint(hash.to_hex().as_str().chars().take(32).collect())
    }

    fn push(&mut self, label: &str, value: &[u8]) {
        for part in [label.as_bytes(), value] {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
    }
}

/// The first half of BLAKE3: enough to tell the items of any data set apart, in half the memory.
pub fn short_hash(bytes: &[u8]) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    u128::from_be_bytes(half)
}

/// The same of a digest that is there in hexadecimal.
pub fn short_digest(hexadecimal: &str) -> Option<u128> {
    u128::from_str_radix(hexadecimal.get(..32)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_concatenate_alike_do_not_collide() {
        let one = FingerprintBuilder::new("k", 1).field("ab", "c").finish();
        let two = FingerprintBuilder::new("k", 1).field("a", "bc").finish();
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 32);
    }
}
