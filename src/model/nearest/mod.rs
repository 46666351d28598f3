//! Exact nearest neighbours by inner product: lists of the best, and ranks, of many queries over many documents.
//!
//! The score of a query and a document is their 32-bit inner product, summed in the order of the dimensions with one rounding
//! for each. Higher scores come first; of equal scores, the document that stands first. 8-bit codes only decide who is
//! scored; no answer depends on them, on the instruction set or on the number of threads.

mod coded;
pub mod codes;
mod collector;
mod dot;
mod exact;
mod ranks;
mod row_codes;
mod row_set;
pub mod scan;

pub use coded::CodedDocuments;
pub use dot::dot;
pub use exact::{ExactScan, best_by_codes, full_mask, score_rows, top_k, top_k_of};
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

    /// A number that orders as [`order`](Self::order) does.
    fn key(&self) -> u64 {
        // Bits of floats order as they do, but for negative ones, which order the other way around; best is lowest.
        let bits = (self.score + 0.0).to_bits();
        let descending = if bits >> 31 == 1 { bits } else { !bits & (u32::MAX >> 1) };
        u64::from(descending) << 32 | u64::from(self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_scores_and_rows_do() {
        let scores = [-0.0, 0.0, 1.0, -1.0, 1e-45, -1e-45, f32::INFINITY, f32::NEG_INFINITY, 0.3, f32::NAN, -f32::NAN];
        let all: Vec<Scored> =
            [0, 7, u32::MAX].into_iter().flat_map(|row| scores.map(|score| Scored { row, score })).collect();
        for a in &all {
            for b in &all {
                assert_eq!(a.key().cmp(&b.key()), a.order(b), "{a:?} {b:?}");
            }
        }
    }
}
