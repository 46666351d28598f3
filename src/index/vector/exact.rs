//! Exact search: every vector is compared. Rows of 32-bit floats, little endian.
use std::path::Path;

use crate::data::top_k;
use crate::index::IndexError;
use crate::model::{ComputeDevice, Gallery};
use crate::stage::StageError;
use crate::store::StoreError;

/// Unit vectors in memory.
#[derive(Debug)]
pub struct ExactIndex {
    gallery: Gallery,
}

/// Writes `[rows, dimension]` values.
pub fn write_vectors(path: &Path, vectors: &[f32]) -> Result<(), StoreError> {
    let bytes: Vec<u8> = vectors.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).map_err(StoreError::io(path))
}

impl ExactIndex {
    /// Reads the vectors; `rows` and `dimension` are what the index says of itself.
    pub fn open(path: &Path, rows: usize, dimension: usize) -> Result<Self, StageError> {
        let bytes = std::fs::read(path).map_err(StoreError::io(path))?;
        if bytes.len() != rows * dimension * 4 {
            let reason = format!("{} bytes of vectors, expected {rows} x {dimension} x 4", bytes.len());
            return Err(IndexError::Broken { path: path.to_owned(), reason }.into());
        }
        let values = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        Ok(Self { gallery: Gallery::new(values, dimension, &ComputeDevice::cpu()) })
    }

    /// Row numbers and inner products of the best `k`, best first; equal scores in row order.
    pub fn search(&self, query: &[f32], k: usize) -> Result<Vec<(usize, f32)>, StageError> {
        let expected = self.gallery.dimension();
        if query.len() != expected {
            return Err(IndexError::Dimension { expected, found: query.len() }.into());
        }
        let scores = self.gallery.scores(query)?;
        let best = top_k(&scores, k);
        Ok(best.into_iter().filter_map(|row| Some((row, *scores.get(row)?))).collect())
    }
}
