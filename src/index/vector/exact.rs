//! Every vector is compared: 8-bit codes find out who may be among the best, 32-bit scores decide.
use std::path::Path;

use super::flat::{FileKind, FlatFile, FlatWriter};
use crate::index::IndexError;
use crate::model::nearest::codes::{CodeBuffer, CodePanels, mean, panel_bytes};
use crate::model::nearest::{ExactScan, RowSet, Scored};

const FILE: &str = "codes.bin";
const KIND: FileKind = *b"code";
const ARRAYS: usize = 5;
const LANES: usize = 32;
/// Rows whose codes are made at a time.
const BLOCK_ROWS: usize = 1 << 16;

/// Codes of all rows in a file.
#[derive(Debug)]
pub struct Codes {
    file: FlatFile,
}

impl Codes {
    /// Writes the codes of `[rows, dimension]` vectors into `folder`.
    pub fn build(folder: &Path, vectors: &[f32], dimension: usize) -> Result<(), IndexError> {
        let centre = mean(vectors, dimension);
        let blocks = || vectors.chunks(BLOCK_ROWS * dimension);
        let mut writer = FlatWriter::create(&folder.join(FILE), KIND, vectors.len() / dimension, dimension)?;
        writer.array(&centre)?;
        let mut rest = CodeBuffer::default();
        for block in blocks() {
            let part = CodeBuffer::encode(block, &centre);
            writer.append(&part.codes)?;
            rest.start.extend(part.start);
            rest.scale.extend(part.scale);
            rest.bounds.extend(part.bounds);
        }
        writer.end_array()?;
        writer.array(bytemuck::cast_slice::<_, i32>(&rest.start))?;
        writer.array(bytemuck::cast_slice::<_, f32>(&rest.scale))?;
        writer.array(bytemuck::cast_slice::<_, f32>(&rest.bounds))?;
        Ok(writer.finish()?)
    }

    /// Opens the codes of a folder.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let file = FlatFile::open(&folder.join(FILE), KIND, ARRAYS)?;
        let codes = Self { file };
        codes.parts()?;
        Ok(codes)
    }

    /// Compares the content with its digest.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.file.verify()
    }

    pub fn rows(&self) -> usize {
        self.file.rows
    }

    pub fn dimension(&self) -> usize {
        self.file.dimension
    }

    fn parts(&self) -> Result<(&[f32], CodePanels<'_>), IndexError> {
        let (file, panels) = (&self.file, self.file.rows.div_ceil(LANES));
        let codes = CodePanels {
            codes: file.array(1, panels * panel_bytes(file.dimension))?,
            start: file.array::<i32>(2, panels * LANES)?.as_chunks().0,
            scale: file.array::<f32>(3, panels * LANES)?.as_chunks().0,
            bounds: file.array::<f32>(4, panels * 2)?.as_chunks().0,
        };
        Ok((file.array(0, file.dimension)?, codes))
    }

    /// The `k` best of the allowed rows; `vectors` `[rows, dimension]` give the scores.
    pub fn search(
        &self,
        queries: &[f32],
        vectors: &[f32],
        k: usize,
        allowed: Option<&RowSet>,
    ) -> Result<Vec<Vec<Scored>>, IndexError> {
        let (centre, panels) = self.parts()?;
        let scan = ExactScan { documents: vectors, dimension: self.dimension(), centre, panels };
        Ok(scan.search(queries, k, allowed)?)
    }
}
