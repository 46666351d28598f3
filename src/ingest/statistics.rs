//! What a data set looks like in numbers.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use arrow_array::Array;
use serde::{Deserialize, Serialize};

use super::near_duplicates::{NEAR_BITS, near_pairs};
use super::table_file;
use super::text_key::text_key;
use super::union_find::UnionFind;
use crate::data::table::Table;
use crate::data::{KeyHashing, short_digest, short_hash};
use crate::stage::StageError;
use crate::store::{StoreError, TableReader, write_whole};

/// The file of a data set that holds them.
pub const STATISTICS_FILE: &str = "statistics.json";

/// Tokens that a text may have before the reference cuts it.
const CONTEXT_LENGTH: u32 = 52;

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

    /// Reads the tables of a data set.
    pub fn of_tables(folder: &Path) -> Result<Self, StoreError> {
        let (mut of_images, mut of_texts) = (Self::default(), Self::default());
        let (images, texts) = rayon::join(|| of_images.read_images(folder), || of_texts.read_texts(folder));
        images.and(texts)?;
        let mut all = Self {
            images: of_images.images,
            formats: of_images.formats,
            width: of_images.width,
            height: of_images.height,
            bytes: of_images.bytes,
            identical_images: of_images.identical_images,
            near_identical_images: of_images.near_identical_images,
            ..of_texts
        };
        all.read_pairs(folder)?;
        Ok(all)
    }

    fn read_images(&mut self, folder: &Path) -> Result<(), StoreError> {
        let (mut widths, mut heights, mut sizes) = (Counts::default(), Counts::default(), Counts::default());
        let (mut digests, mut hashes) = (HashSet::with_hasher(KeyHashing::default()), Vec::new());
        for batch in TableReader::open(&folder.join(table_file(Table::Images)), Table::Images)? {
            let batch = batch?;
            let (width, height, bytes) = (batch.u32("width")?, batch.u32("height")?, batch.u64("bytes")?);
            let (formats, digest) = (batch.text("format")?, batch.text("digest")?);
            let hash = batch.u64("perceptual_hash")?;
            for row in 0..batch.rows() {
                self.images += 1;
                hashes.extend(hash.is_valid(row).then(|| hash.value(row)));
                widths.add(width.value(row).into());
                heights.add(height.value(row).into());
                sizes.add(bytes.value(row));
                match self.formats.get_mut(formats.value(row)) {
                    Some(count) => *count += 1,
                    None => drop(self.formats.insert(formats.value(row).to_owned(), 1)),
                }
                let digest = short_digest(digest.value(row));
                self.identical_images += u64::from(digest.is_some_and(|digest| !digests.insert(digest)));
            }
        }
        self.near_identical_images = in_other_sets(&hashes);
        (self.width, self.height, self.bytes) = (widths.quantiles(), heights.quantiles(), sizes.quantiles());
        Ok(())
    }

    fn read_texts(&mut self, folder: &Path) -> Result<(), StoreError> {
        let mut lengths = Counts::default();
        let mut keys = HashSet::with_hasher(KeyHashing::default());
        for batch in TableReader::open(&folder.join(table_file(Table::Texts)), Table::Texts)? {
            let batch = batch?;
            let (texts, tokens, unknown) = (batch.text("text")?, batch.u32("tokens")?, batch.u32("unknown_tokens")?);
            for row in 0..batch.rows() {
                let text = texts.value(row);
                self.texts += 1;
                lengths.add(tokens.value(row).into());
                self.truncated_texts += u64::from(tokens.value(row) > CONTEXT_LENGTH);
                self.unknown_tokens += u64::from(unknown.value(row));
                self.all_tokens += u64::from(tokens.value(row));
                self.repeated_texts += u64::from(!keys.insert(text_key(text)));
                match self.scripts.get_mut(script(text)) {
                    Some(count) => *count += 1,
                    None => drop(self.scripts.insert(script(text).to_owned(), 1)),
                }
            }
        }
        self.tokens = lengths.quantiles();
        Ok(())
    }

    fn read_pairs(&mut self, folder: &Path) -> Result<(), StoreError> {
        let mut of_text: HashMap<u128, u32, KeyHashing> = HashMap::default();
        let mut of_image = of_text.clone();
        for batch in TableReader::open(&folder.join(table_file(Table::Pairs)), Table::Pairs)? {
            let batch = batch?;
            let (texts, images) = (batch.text("text_id")?, batch.text("image_id")?);
            for row in 0..batch.rows() {
                self.pairs += 1;
                *of_text.entry(short_hash(texts.value(row).as_bytes())).or_insert(0u32) += 1;
                *of_image.entry(short_hash(images.value(row).as_bytes())).or_insert(0u32) += 1;
            }
        }
        self.images_per_text = histogram(&of_text, self.texts);
        self.texts_per_image = histogram(&of_image, self.images);
        Ok(())
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

fn histogram(counts: &HashMap<u128, u32, KeyHashing>, items: u64) -> BTreeMap<u64, u64> {
    let mut histogram = BTreeMap::new();
    for count in counts.values() {
        *histogram.entry(u64::from(*count)).or_default() += 1;
    }
    let without = items.saturating_sub(counts.len() as u64);
    if without > 0 {
        histogram.insert(0, without);
    }
    histogram
}

/// Hashes that are near one that comes earlier, directly or through others.
fn in_other_sets(hashes: &[u64]) -> u64 {
    let mut sets = UnionFind::of(hashes.len());
    for (a, b) in near_pairs(hashes, NEAR_BITS) {
        sets.join(a, b);
    }
    (0..hashes.len()).filter(|at| sets.root(*at) != *at).count() as u64
}

fn script(text: &str) -> &'static str {
    let chinese = text
        .chars()
        .any(|c| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}'));
    let latin = text.chars().any(|c| c.is_ascii_alphabetic());
    match (chinese, latin) {
        (true, true) => "mixed",
        (true, false) => "chinese",
        (false, true) => "latin",
        (false, false) => "other",
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

    #[test]
    fn scripts_are_told_apart() {
        assert_eq!(["红心", "T恤", "heart", "❤ 2"].map(script), ["chinese", "mixed", "latin", "other"]);
    }
}
