//! Documents that are made ready once and then searched as often as queries come.
use super::ExactScan;
use super::codes::{CodeBuffer, check_vectors, mean};
use crate::model::ModelError;
use crate::model::cpu::has_fast_i8;

/// Documents with their codes.
#[derive(Debug)]
pub struct CodedDocuments<'a> {
    /// `[rows, dimension]`.
    documents: &'a [f32],
    centre: Vec<f32>,
    /// Empty where products of codes are not faster.
    codes: CodeBuffer,
}

impl<'a> CodedDocuments<'a> {
    /// Codes of `[rows, dimension]` values.
    pub fn new(documents: &'a [f32], dimension: usize) -> Result<Self, ModelError> {
        check_vectors(documents, dimension)?;
        if !has_fast_i8() {
            return Ok(Self { documents, centre: vec![0.0; dimension], codes: CodeBuffer::default() });
        }
        let centre = mean(documents, dimension);
        let codes = CodeBuffer::encode(documents, &centre);
        Ok(Self { documents, centre, codes })
    }

    /// Searches in them.
    pub fn scan(&self) -> ExactScan<'_> {
        ExactScan {
            documents: self.documents,
            dimension: self.centre.len(),
            centre: &self.centre,
            panels: self.codes.view(),
        }
    }
}
