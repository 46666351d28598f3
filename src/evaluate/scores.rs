//! The table `scores`: one value per model, data set, split, subset, direction and metric.
use std::path::Path;

use arrow_array::types::{Float64Type, UInt64Type};
use serde::{Deserialize, Serialize};

use crate::data::table::Table;
use crate::ingest::table_file;
use crate::store::{StoreError, TableWriter, primitive_column, read_table, text_column};

/// Which side asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    TextToImage,
    ImageToText,
}

impl Direction {
    pub const ALL: [Self; 2] = [Self::TextToImage, Self::ImageToText];

    /// `text_to_image` or `image_to_text`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextToImage => "text_to_image",
            Self::ImageToText => "image_to_text",
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
    /// [`ALL_QUERIES`] or [`UNLEAKED_QUERIES`].
    pub subset: String,
    pub direction: String,
    pub metric: String,
    /// A fraction in 0..=1.
    pub value: f64,
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
        primitive_column::<UInt64Type>(scores.iter().map(|s| s.queries)),
        primitive_column::<UInt64Type>(scores.iter().map(|s| s.documents)),
    ])?;
    writer.finish()
}

/// Reads the table below `folder`.
pub fn read_scores(folder: &Path) -> Result<Vec<Score>, StoreError> {
    read_table(&folder.join(table_file(Table::Scores)), Table::Scores, |batch, row| {
        let text = |column| Ok::<String, StoreError>(batch.text(column)?.value(row).to_owned());
        Ok(Score {
            model: text("model")?,
            dataset: text("dataset")?,
            split: text("split")?,
            subset: text("subset")?,
            direction: text("direction")?,
            metric: text("metric")?,
            value: batch.primitive::<Float64Type>("value")?.value(row),
            queries: batch.u64("queries")?.value(row),
            documents: batch.u64("documents")?.value(row),
        })
    })
}
