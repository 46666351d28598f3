//! Vectors of the newest release: an item whose content and model are the same is not encoded again.
use std::collections::HashMap;
use std::path::PathBuf;

use super::{EmbedSpec, EmbeddingSummary, VERSION};
use crate::data::table::Table;
use crate::data::{Fingerprint, ItemKind, short_digest};
use crate::stage::StageError;
use crate::store::{Sealed, TableReader};

/// Where the vectors of one model lie in an earlier artifact, by content.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    model: Option<Fingerprint>,
    files: Vec<PathBuf>,
    /// File and row of a content.
    rows: HashMap<(ItemKind, u128), (usize, usize)>,
    /// The file that was read last; neighbours lie in one.
    open: Option<(usize, Vec<f32>)>,
    dimension: usize,
}

impl Reuse {
    /// Looks through an earlier artifact for vectors that a model made with the same precision.
    pub(super) fn find(base: &Sealed, model: &Fingerprint, spec: &EmbedSpec) -> Result<Self, StageError> {
        let mut reuse = Self { model: Some(model.clone()), ..Self::default() };
        let precision = base.manifest.spec.get("precision").cloned().unwrap_or_default();
        let wanted = serde_json::to_value(spec.precision).map_err(|error| StageError::internal(error.to_string()))?;
        if base.manifest.code != VERSION || precision != wanted {
            return Ok(reuse);
        }
        let summary = EmbeddingSummary::open(&base.folder)?;
        let Some(known) = summary.models.iter().find(|known| known.fingerprint == *model) else { return Ok(reuse) };
        reuse.dimension = known.dimension;
        for file in summary.files.iter().filter(|file| file.model == known.id) {
            let path = base.path(&file.path());
            let mut row = 0;
            for batch in TableReader::open_columns(&path, Table::Embeddings, &["digest"])? {
                let batch = batch?;
                let digests = batch.text("digest")?;
                for at in 0..batch.rows() {
                    if let Some(content) = short_digest(digests.value(at)) {
                        reuse.rows.insert((file.kind, content), (reuse.files.len(), row));
                    }
                    row += 1;
                }
            }
            reuse.files.push(path);
        }
        Ok(reuse)
    }

    /// Whether this is about a model.
    pub(super) fn is_of(&self, model: &Fingerprint) -> bool {
        self.model.as_ref() == Some(model)
    }

    /// Whether the vector of a content is there.
    pub(super) fn contains(&self, kind: ItemKind, digest: &str) -> bool {
        short_digest(digest).is_some_and(|content| self.rows.contains_key(&(kind, content)))
    }

    /// The vector of a content.
    pub(super) fn vector(&mut self, kind: ItemKind, digest: &str) -> Result<Option<&[f32]>, StageError> {
        let place = short_digest(digest).and_then(|content| self.rows.get(&(kind, content)));
        let Some((file, row)) = place.copied() else { return Ok(None) };
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            let mut vectors = Vec::new();
            if let Some(path) = self.files.get(file) {
                for batch in TableReader::open(path, Table::Embeddings)? {
                    vectors.extend_from_slice(batch?.vectors("vector")?.0);
                }
            }
            self.open = Some((file, vectors));
        }
        let start = row * self.dimension;
        Ok(self.open.as_ref().and_then(|(_, vectors)| vectors.get(start..start + self.dimension)))
    }
}
