//! Counts the rows of a data set, batch by batch, as they go into its tables.
use std::collections::{BTreeMap, HashSet};

use arrow_array::Array;

use super::{Counts, Statistics};
use crate::data::table::Table;
use crate::data::{KeyHashing, short_digest};
use crate::ingest::UnionFind;
use crate::ingest::near_duplicates::{NEAR_BITS, near_pairs};
use crate::ingest::text_key::text_key;
use crate::store::{StoreError, TableBatch};

/// Tokens that a text may have before the reference cuts it.
const CONTEXT_LENGTH: u32 = 52;

/// What has been counted so far. Of every item some 16 bytes stay in memory.
#[derive(Debug, Default)]
pub struct Counter {
    counted: Statistics,
    widths: Counts,
    heights: Counts,
    sizes: Counts,
    lengths: Counts,
    digests: HashSet<u128, KeyHashing>,
    perceptual_hashes: Vec<u64>,
    text_keys: HashSet<u128, KeyHashing>,
}

impl Counter {
    /// Counts a batch of `images`, `texts` or `pairs`; of other tables nothing is counted.
    pub fn add(&mut self, table: Table, batch: &TableBatch) -> Result<(), StoreError> {
        match table {
            Table::Images => self.add_images(batch)?,
            Table::Texts => self.add_texts(batch)?,
            Table::Pairs => self.counted.pairs += batch.rows() as u64,
            _ => {}
        }
        Ok(())
    }

    /// The numbers of all rows, but for how often pairs name them.
    pub fn finish(self) -> Statistics {
        Statistics {
            near_identical_images: in_other_sets(&self.perceptual_hashes),
            width: self.widths.quantiles(),
            height: self.heights.quantiles(),
            bytes: self.sizes.quantiles(),
            tokens: self.lengths.quantiles(),
            ..self.counted
        }
    }

    fn add_images(&mut self, batch: &TableBatch) -> Result<(), StoreError> {
        let (width, height, bytes) = (batch.u32("width")?, batch.u32("height")?, batch.u64("bytes")?);
        let (formats, digest) = (batch.text("format")?, batch.text("digest")?);
        let hash = batch.u64("perceptual_hash")?;
        let counted = &mut self.counted;
        counted.images += batch.rows() as u64;
        for row in 0..batch.rows() {
            self.perceptual_hashes.extend(hash.is_valid(row).then(|| hash.value(row)));
            self.widths.add(width.value(row).into());
            self.heights.add(height.value(row).into());
            self.sizes.add(bytes.value(row));
            count(&mut counted.formats, formats.value(row));
            let digest = short_digest(digest.value(row));
            counted.identical_images += u64::from(digest.is_some_and(|digest| !self.digests.insert(digest)));
        }
        Ok(())
    }

    fn add_texts(&mut self, batch: &TableBatch) -> Result<(), StoreError> {
        let (texts, tokens, unknown) = (batch.text("text")?, batch.u32("tokens")?, batch.u32("unknown_tokens")?);
        let counted = &mut self.counted;
        counted.texts += batch.rows() as u64;
        for row in 0..batch.rows() {
            let text = texts.value(row);
            self.lengths.add(tokens.value(row).into());
            counted.truncated_texts += u64::from(tokens.value(row) > CONTEXT_LENGTH);
            counted.unknown_tokens += u64::from(unknown.value(row));
            counted.all_tokens += u64::from(tokens.value(row));
            counted.repeated_texts += u64::from(!self.text_keys.insert(text_key(text)));
            count(&mut counted.scripts, script(text));
        }
        Ok(())
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
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
    fn scripts_are_told_apart() {
        assert_eq!(["红心", "T恤", "heart", "❤ 2"].map(script), ["chinese", "mixed", "latin", "other"]);
    }
}
