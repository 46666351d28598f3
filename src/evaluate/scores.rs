//! The table `scores`: one value per model, data set, split, subset, direction and metric.
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, Float64Array};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::ItemKind;
use crate::data::table::Table;
use crate::ingest::table_file;
use crate::store::{StoreError, TableWriter, primitive_column, read_table, text_column};

/// Which side asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    TextToImage,
    ImageToText,
    /// A caption asks for the other captions of its images; it is no answer to itself.
    TextToText,
    /// An image asks for the other images of its captions.
    ImageToImage,
}

impl Direction {
    /// What image-text retrieval is measured on.
    pub const CROSS_MODAL: [Self; 2] = [Self::TextToImage, Self::ImageToText];

    /// Kind of the queries and of the documents.
    pub fn kinds(self) -> (ItemKind, ItemKind) {
        match self {
            Self::TextToImage => (ItemKind::Text, ItemKind::Image),
            Self::ImageToText => (ItemKind::Image, ItemKind::Text),
            Self::TextToText => (ItemKind::Text, ItemKind::Text),
            Self::ImageToImage => (ItemKind::Image, ItemKind::Image),
        }
    }

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextToImage => "text_to_image",
            Self::ImageToText => "image_to_text",
            Self::TextToText => "text_to_text",
            Self::ImageToImage => "image_to_image",
        }
    }
}

/// Every labelled query.
pub const ALL_QUERIES: &str = "all";
/// Queries that, with everything relevant to them, have no counterpart in training data.
pub const UNLEAKED_QUERIES: &str = "unleaked";

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Id of the model's stage, or `chance`.
    pub model: String,
    pub dataset: String,
    pub split: String,
    /// [`ALL_QUERIES`], [`UNLEAKED_QUERIES`] or the name of a group.
    pub subset: String,
    pub direction: String,
    pub metric: String,
    /// In the metric's unit, mostly a fraction in 0..=1.
    pub value: f64,
    /// 95 % interval over clusters of queries that belong together; none for chance and where there is one cluster.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub queries: u64,
    pub documents: u64,
}

/// Writes the table below `folder`.
pub fn write_scores(folder: &Path, scores: &[Score]) -> Result<u64, StoreError> {
    let mut writer = TableWriter::create(&folder.join(table_file(Table::Scores)), Table::Scores.schema())?;
    writer.write(vec![
        text_column(scores.iter().map(|s| &s.model)),
        text_column(scores.iter().map(|s| &s.dataset)),
        text_column(scores.iter().map(|s| &s.split)),
        text_column(scores.iter().map(|s| &s.subset)),
        text_column(scores.iter().map(|s| &s.direction)),
        text_column(scores.iter().map(|s| &s.metric)),
        primitive_column::<Float64Type>(scores.iter().map(|s| s.value)),
        Arc::new(scores.iter().map(|s| s.lower).collect::<Float64Array>()),
        Arc::new(scores.iter().map(|s| s.upper).collect::<Float64Array>()),
        primitive_column::<UInt64Type>(scores.iter().map(|s| s.queries)),
        primitive_column::<UInt64Type>(scores.iter().map(|s| s.documents)),
    ])?;
    writer.finish()
}

/// Reads the table below `folder`.
pub fn read_scores(folder: &Path) -> Result<Vec<Score>, StoreError> {
    read_table(&folder.join(table_file(Table::Scores)), Table::Scores, |batch, row| {
        let text = |column| Ok::<String, StoreError>(batch.text(column)?.value(row).to_owned());
        let bound = |column| {
            let values = batch.primitive::<Float64Type>(column)?;
            Ok::<Option<f64>, StoreError>(values.is_valid(row).then(|| values.value(row)))
        };
        Ok(Score {
            model: text("model")?,
            dataset: text("dataset")?,
            split: text("split")?,
            subset: text("subset")?,
            direction: text("direction")?,
            metric: text("metric")?,
            value: batch.primitive::<Float64Type>("value")?.value(row),
            lower: bound("lower")?,
            upper: bound("upper")?,
            queries: batch.u64("queries")?.value(row),
            documents: batch.u64("documents")?.value(row),
        })
    })
}
