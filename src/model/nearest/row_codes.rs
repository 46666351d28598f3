//! Vectors as 8-bit codes that stand alone, for walks from one to the next.
use rayon::prelude::*;

use super::codes::{ZERO, code};
use crate::model::cpu::{ROW_ALIGNMENT, rows_i8};

/// Codes of documents, borrowed from memory or from a file.
#[derive(Debug, Clone, Copy)]
pub struct RowCodes<'a> {
    /// Code + 128, `[rows][stride]`.
    pub codes: &'a [u8],
    pub scale: &'a [f32],
    pub stride: usize,
}

/// Codes in memory.
#[derive(Debug)]
pub struct RowCodeBuffer {
    pub codes: Vec<u8>,
    pub scale: Vec<f32>,
    pub stride: usize,
}

/// A query as codes.
#[derive(Debug, Default)]
pub struct CodedQuery {
    codes: Vec<i8>,
    scale: f32,
    /// 128 times the sum of the codes.
    excess: i32,
    sums: Vec<i32>,
}

/// Bytes of one row of codes.
pub fn row_bytes(dimension: usize) -> usize {
    dimension.next_multiple_of(ROW_ALIGNMENT)
}

impl RowCodeBuffer {
    /// Codes of so many rows, each given by its values.
    pub fn encode<'v>(rows: usize, dimension: usize, values: impl Fn(usize) -> &'v [f32] + Sync) -> Self {
        let stride = row_bytes(dimension);
        let (mut codes, mut scale) = (vec![ZERO; rows * stride], vec![0.0; rows]);
        let centre = vec![0.0; dimension];
        codes.par_chunks_mut(stride).zip(&mut scale).enumerate().for_each(|(row, (out, scale))| {
            let mut signed = vec![0i8; dimension];
            *scale = code(values(row), &centre, &mut signed).scale;
            out.iter_mut().zip(&signed).for_each(|(out, code)| *out = code.cast_unsigned() ^ ZERO);
        });
        Self { codes, scale, stride }
    }

    pub fn view(&self) -> RowCodes<'_> {
        RowCodes { codes: &self.codes, scale: &self.scale, stride: self.stride }
    }
}

impl CodedQuery {
    /// Codes of a vector.
    pub fn new(values: &[f32]) -> Self {
        let mut codes = vec![0i8; row_bytes(values.len())];
        let scale = code(values, &vec![0.0; values.len()], &mut codes[..values.len()]).scale;
        Self { codes, scale, ..Self::default() }.finish()
    }

    /// Takes the codes of a document.
    pub fn take(&mut self, documents: RowCodes<'_>, row: u32) {
        let codes = &documents.codes[row as usize * documents.stride..][..documents.stride];
        self.codes.clear();
        self.codes.extend(codes.iter().map(|code| (code ^ ZERO).cast_signed()));
        self.scale = documents.scale[row as usize];
        self.excess = i32::from(ZERO) * self.codes.iter().map(|code| i32::from(*code)).sum::<i32>();
    }

    fn finish(mut self) -> Self {
        self.excess = i32::from(ZERO) * self.codes.iter().map(|code| i32::from(*code)).sum::<i32>();
        self
    }
}

impl RowCodes<'_> {
    /// About the inner products of a query and the rows `numbers`.
    pub fn scores(&self, query: &mut CodedQuery, numbers: &[u32], out: &mut Vec<f32>) {
        query.sums.resize(numbers.len(), 0);
        rows_i8(&query.codes, self.codes, numbers, &mut query.sums);
        out.clear();
        let scored = numbers.iter().zip(&query.sums);
        out.extend(scored.map(|(row, sum)| (sum - query.excess) as f32 * (query.scale * self.scale[*row as usize])));
    }
}
