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

/// Zero-shot classification of one data set by one model.
#[derive(Debug, Clone, Serialize)]
pub struct ClassificationFacts {
    pub model: String,
    pub dataset: String,
    pub classes: u64,
    pub images: u64,
    /// Fractions in 0..=1.
    pub top1: f64,
    pub top5: f64,
    /// Classes taken for another most often, most first.
    pub confusions: Vec<Confusion>,
}

/// Images of one class that were taken for another.
#[derive(Debug, Clone, Serialize)]
pub struct Confusion {
    pub truth: String,
    pub predicted: String,
    pub images: u64,
}
