//! Exact nearest neighbours by inner product: lists of the best, and ranks, of many queries over many documents.
//!
//! The score of a query and a document is their 32-bit inner product, summed in the order of the dimensions with one rounding
//! for each. Higher scores come first; of equal scores, the document that stands first. 8-bit codes only decide who is
//! scored; no answer depends on them, on the instruction set or on the number of threads.

pub mod codes;
mod collector;
mod exact;
mod ranks;
mod row_codes;
mod row_set;
pub mod scan;

pub use exact::{ExactScan, best_by_codes, dot, full_mask, score_rows, top_k, top_k_of};
pub use ranks::rank_of;
pub use row_codes::{CodedQuery, RowCodeBuffer, RowCodes, row_bytes};
pub use row_set::RowSet;

/// A document of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub row: u32,
    pub score: f32,
}

impl Scored {
    /// Best first.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        // Positive and negative zero are equal.
        (other.score + 0.0).total_cmp(&(self.score + 0.0)).then(self.row.cmp(&other.row))
    }
}
