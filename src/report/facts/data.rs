//! Data sets and their classes.
use serde::Serialize;

use super::super::quality::SheetItem;
use crate::ingest::Statistics;

/// A data set's size.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetFacts {
    pub id: String,
    /// Split, images, texts, pairs.
    pub splits: Vec<(String, u64, u64, u64)>,
    pub quarantined: u64,
    /// The split that was measured.
    pub measured: String,
    pub statistics: Statistics,
    pub sheet: Vec<SheetItem>,
}
