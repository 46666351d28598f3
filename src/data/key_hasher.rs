//! The hasher of maps whose keys are hashes already: it takes what is there.
use std::hash::{BuildHasherDefault, Hasher};

/// For `HashMap<u128, V, KeyHashing>` with keys from [`super::short_hash`].
pub type KeyHashing = BuildHasherDefault<KeyHasher>;

/// Folds the bits of an integer key; of no use for anything else.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64 ^ key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
