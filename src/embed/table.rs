//! The embedding tables of an artifact, and its summary.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EmbedError;
use crate::data::table::Table;
use crate::data::{Fingerprint, ItemKind, Split};
use crate::stage::StageError;
use crate::store::{StoreError, TableReader};

const SUMMARY_FILE: &str = "embeddings.json";

/// What an `embeddings` artifact holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSummary {
    pub models: Vec<EmbeddedModel>,
    /// Ids of the data sets' stages.
    pub data: Vec<String>,
    pub files: Vec<EmbeddingFile>,
}

/// A model whose vectors are in the artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddedModel {
    /// Id of the model's stage.
    pub id: String,
    pub fingerprint: Fingerprint,
    pub dimension: usize,
}

/// One table of vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingFile {
    pub model: String,
    pub data: String,
    pub split: Split,
    pub kind: ItemKind,
    /// Counts from 0.
    pub block: usize,
    pub rows: usize,
}

/// Ids and unit vectors `[ids.len(), dimension]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embeddings {
    pub ids: Vec<String>,
    pub vectors: Vec<f32>,
    pub dimension: usize,
}

impl EmbeddingFile {
    /// Path below the artifact.
    pub fn path(&self) -> String {
        let Self { model, data, split, kind, block, .. } = self;
        format!("{model}/{data}/{split}-{}-{block:05}.parquet", kind.as_str())
    }
}

impl EmbeddingSummary {
    pub fn open(folder: &Path) -> Result<Self, StageError> {
        let path = folder.join(SUMMARY_FILE);
        let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let key = path.display().to_string();
        Ok(serde_json::from_slice(&json).map_err(|source| StoreError::Json { key, source })?)
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), StageError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| StageError::internal(error.to_string()))?;
        Ok(crate::store::write_whole(&folder.join(SUMMARY_FILE), &json)?)
    }

    /// The model of a stage, or an error that names those there are.
    pub fn model(&self, id: &str) -> Result<&EmbeddedModel, EmbedError> {
        self.models.iter().find(|model| model.id == id).ok_or_else(|| EmbedError::UnknownModel {
            model: id.to_owned(),
            known: self.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// All vectors of one model, data set, split and kind, in source order.
    pub fn read(
        &self,
        folder: &Path,
        model: &str,
        data: &str,
        split: Split,
        kind: ItemKind,
    ) -> Result<Embeddings, StageError> {
        let dimension = self.model(model)?.dimension;
        let mut all = Embeddings { dimension, ..Embeddings::default() };
        let wanted = |file: &&EmbeddingFile| {
            file.model == model && file.data == data && file.split == split && file.kind == kind
        };
        for file in self.files.iter().filter(wanted) {
            append(&mut all, &folder.join(file.path()))?;
        }
        Ok(all)
    }
}

fn append(all: &mut Embeddings, path: &Path) -> Result<(), StageError> {
    for batch in TableReader::open(path, Table::Embeddings)? {
        let batch = batch?;
        let ids = batch.text("id")?;
        all.ids.extend((0..batch.rows()).map(|row| ids.value(row).to_owned()));
        let (vectors, dimension) = batch.vectors("vector")?;
        if dimension != all.dimension {
            let path = path.to_owned();
            return Err(EmbedError::Dimension { path, expected: all.dimension, found: dimension }.into());
        }
        all.vectors.extend_from_slice(vectors);
    }
    Ok(())
}
