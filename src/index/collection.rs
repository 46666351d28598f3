//! The images or the texts of an index: their keywords and their vectors, row for row.
use std::path::{Path, PathBuf};

use super::IndexError;
use super::text::{Document, KeywordIndex};
use super::vector::{VectorIndex, open_vectors};
use crate::data::ItemKind;
use crate::model::nearest::RowSet;

/// Numbers and scores of rows, best first.
pub(super) type Found = Vec<(usize, f32)>;

/// Items of one kind.
pub(super) struct Collection {
    pub rows: usize,
    keywords: KeywordIndex,
    vectors: Box<dyn VectorIndex>,
}

/// The folders of a collection below that of an index: keywords, vectors.
pub(super) fn folders(index: &Path, kind: ItemKind) -> [PathBuf; 2] {
    let root = match kind {
        ItemKind::Image => index.to_owned(),
        ItemKind::Text => index.join("texts"),
    };
    ["keywords", "vectors"].map(|part| root.join(part))
}

impl Collection {
    pub fn open(index: &Path, kind: ItemKind, rows: usize) -> Result<Self, IndexError> {
        let [keywords, vectors] = folders(index, kind);
        Ok(Self { rows, keywords: KeywordIndex::open(&keywords)?, vectors: open_vectors(&vectors)? })
    }

    pub fn document(&self, number: usize) -> Result<Document, IndexError> {
        self.keywords.document(number)
    }

    /// The nearest `k` rows of a vector among the allowed ones.
    pub fn nearest(&self, vector: &[f32], k: usize, allowed: Option<&RowSet>) -> Result<Found, IndexError> {
        let dimension = self.vectors.about().dimension;
        if vector.len() != dimension {
            return Err(IndexError::Dimension { expected: dimension, found: vector.len() });
        }
        let lists = self.vectors.search(vector, k, allowed)?;
        Ok(lists.into_iter().flatten().map(|scored| (scored.row as usize, scored.score)).collect())
    }

    /// The best `k` rows by terms of both fields among the allowed ones.
    pub fn by_terms(
        &self,
        (terms, grams): (&[String], &[String]),
        gram_weight: f32,
        k: usize,
        allowed: Option<&RowSet>,
    ) -> Result<Found, IndexError> {
        // Keywords know no rows: all that are found are looked through where only some may be.
        let depth = if allowed.is_some() { self.rows } else { k };
        let mut found = self.keywords.search(terms, grams, gram_weight, depth)?;
        if let Some(allowed) = allowed {
            if allowed.rows() != self.rows {
                return Err(IndexError::OtherRows { expected: self.rows, found: allowed.rows() });
            }
            found.retain(|(row, _)| allowed.contains(*row));
            found.truncate(k);
        }
        Ok(found)
    }

    /// The rows whose documents meet a condition.
    pub fn rows_where(&self, holds: impl Fn(&Document) -> bool) -> Result<RowSet, IndexError> {
        let mut rows = RowSet::none(self.rows);
        for number in 0..self.rows {
            if holds(&self.document(number)?) {
                rows.insert(number);
            }
        }
        Ok(rows)
    }
}
