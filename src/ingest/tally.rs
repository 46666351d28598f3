//! Counts of a data set as it comes in.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::data::Split;

/// Counts of one table: rows in = rows out + in quarantine + filtered + merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows_in: u64,
    pub rows_out: u64,
    pub quarantined: u64,
    /// Left out by a condition.
    pub filtered: u64,
    /// Left out because an earlier row is the same.
    pub merged: u64,
}

/// What a data set holds after ingest, and what became of the rest.
#[derive(Debug, Default)]
pub struct IngestStats {
    pub images: Tally,
    pub texts: Tally,
    pub pairs: Tally,
    /// Images, texts and pairs by split.
    pub by_split: BTreeMap<Split, [u64; 3]>,
    /// Images that an earlier version held already.
    pub reused: u64,
    /// The first bad row, for the error message.
    pub first_bad: Option<String>,
}

impl IngestStats {
    pub fn tally(&mut self, table: &str) -> &mut Tally {
        match table {
            "images" => &mut self.images,
            "texts" => &mut self.texts,
            _ => &mut self.pairs,
        }
    }

    /// The sum of one count over the tables.
    pub fn sum(&self, count: impl Fn(&Tally) -> u64) -> u64 {
        [self.images, self.texts, self.pairs].iter().map(count).sum()
    }

    /// Counts as they stand in the manifest.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        let tally = |t: &Tally| {
            json!({
                "in": t.rows_in, "out": t.rows_out, "quarantined": t.quarantined,
                "filtered": t.filtered, "merged": t.merged,
            })
        };
        let mut stats = BTreeMap::from([
            ("images".to_owned(), tally(&self.images)),
            ("texts".to_owned(), tally(&self.texts)),
            ("pairs".to_owned(), tally(&self.pairs)),
        ]);
        for (split, [images, texts, pairs]) in &self.by_split {
            stats.insert(split.to_string(), json!({ "images": images, "texts": texts, "pairs": pairs }));
        }
        stats
    }
}
