//! What a data set looks like in numbers.
mod counter;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::stage::StageError;
use crate::store::{StoreError, write_whole};

pub use counter::Counter;

/// The file of a data set that holds them.
pub const STATISTICS_FILE: &str = "statistics.json";

/// Counts and distributions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub images: u64,
    pub texts: u64,
    pub pairs: u64,
    pub formats: BTreeMap<String, u64>,
    pub width: Quantiles,
    pub height: Quantiles,
    /// Bytes of an encoded image.
    pub bytes: Quantiles,
    /// Images whose bytes an earlier one has.
    pub identical_images: u64,
    /// Images that look like an earlier one: perceptual hashes that differ in at most three bits.
    pub near_identical_images: u64,
    /// Tokens of a text with `[CLS]` and `[SEP]`.
    pub tokens: Quantiles,
    /// Texts of more than 52 tokens.
    pub truncated_texts: u64,
    pub unknown_tokens: u64,
    pub all_tokens: u64,
    /// Texts that an earlier one equals but for case, width, punctuation and white space.
    pub repeated_texts: u64,
    /// `chinese`, `latin`, `mixed` or `other`.
    pub scripts: BTreeMap<String, u64>,
    pub images_per_text: BTreeMap<u64, u64>,
    pub texts_per_image: BTreeMap<u64, u64>,
}

/// A distribution in five numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    pub min: u64,
    pub p5: u64,
    pub median: u64,
    pub p95: u64,
    pub max: u64,
}

impl Statistics {
    /// Reads what ingest wrote beside the tables.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(STATISTICS_FILE);
        let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let key = path.display().to_string();
        serde_json::from_slice(&json).map_err(|source| StoreError::Json { key, source })
    }

    /// Writes them beside the tables.
    pub(super) fn save(&self, folder: &Path) -> Result<(), StageError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| StageError::internal(error.to_string()))?;
        Ok(write_whole(&folder.join(STATISTICS_FILE), &json)?)
    }
}

/// How often each value occurs; values beyond 4096 keep three significant digits, so that the counts stay few.
#[derive(Debug, Default)]
struct Counts(BTreeMap<u64, u64>);

impl Counts {
    fn add(&mut self, value: u64) {
        let unit = 10u64.pow(value.max(1).ilog10().saturating_sub(2));
        let value = if value <= 4096 { value } else { value / unit * unit };
        *self.0.entry(value).or_default() += 1;
    }

    fn quantiles(&self) -> Quantiles {
        let total: u64 = self.0.values().sum();
        let at = |share: f64| {
            let rank = (share * total.saturating_sub(1) as f64).round() as u64;
            let mut before = 0;
            let found = self.0.iter().find(|(_, count)| {
                before += **count;
                before > rank
            });
            found.map_or(0, |(value, _)| *value)
        };
        Quantiles { min: at(0.0), p5: at(0.05), median: at(0.5), p95: at(0.95), max: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let mut counts = Counts::default();
        (1..=101).for_each(|value| counts.add(value));
        assert_eq!(counts.quantiles(), Quantiles { min: 1, p5: 6, median: 51, p95: 96, max: 101 });
        assert_eq!(Counts::default().quantiles(), Quantiles::default());
        let mut large = Counts::default();
        large.add(123_456_789);
        assert_eq!(large.quantiles().max, 123_000_000);
    }
}
