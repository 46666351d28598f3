//! Randomness per item: drawn from (seed, epoch, item), so that workers, order and resumes do not matter.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of one item in one epoch.
#[derive(Debug, Clone)]
pub struct ItemRng(ChaCha8Rng);

/// The generator of `item` in `epoch`.
pub fn item_rng(seed: u64, epoch: u64, item: &str) -> ItemRng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&epoch.to_le_bytes());
    hasher.update(item.as_bytes());
    ItemRng(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
}

impl ItemRng {
    /// Uniform in `low..high`; `low` if the interval is empty.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * unit
    }

    /// Uniform among 0, 1, … `count - 1`.
    pub fn below(&mut self, count: u32) -> u32 {
        // 64 random bits scaled down: the bias is below 2^-32.
        ((u128::from(self.0.next_u64()) * u128::from(count)) >> 64) as u32
    }

    /// A random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }
}
