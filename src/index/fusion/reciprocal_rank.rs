//! Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): scores do not matter, ranks from 1 do.
use super::{Leg, add_up};

/// The constant of the paper.
pub const RANK_CONSTANT: f64 = 60.0;

/// Sums of weight / (k + rank); best `count` first, equal sums in document order. A document that a leg lacks gets nothing from it.
pub fn reciprocal_rank_fusion(legs: &[Leg<'_>], k: f64, count: usize) -> Vec<(usize, f32)> {
    let parts = legs.iter().flat_map(|leg| {
        let ranked = leg.hits.iter().zip(1u32..);
        ranked.map(move |((document, _), rank)| (*document, leg.weight / (k + f64::from(rank))))
    });
    add_up(parts, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(hits: &[(usize, f32)], weight: f64) -> Leg<'_> {
        Leg { hits, weight }
    }

    #[test]
    fn a_document_in_both_lists_beats_the_first_of_one() {
        let legs = [leg(&[(1, 9.0), (2, 8.0)], 1.0), leg(&[(3, 0.9), (2, 0.8)], 1.0)];
        let fused = reciprocal_rank_fusion(&legs, RANK_CONSTANT, 3);
        assert!((f64::from(fused[0].1) - 2.0 / 62.0).abs() < 1e-6);
        assert_eq!(fused.iter().map(|f| f.0).collect::<Vec<_>>(), [2, 1, 3]);
    }

    #[test]
    fn a_heavier_leg_decides() {
        let legs = [leg(&[(1, 9.0), (2, 8.0)], 1.0), leg(&[(2, 0.9), (1, 0.8)], 3.0)];
        assert_eq!(reciprocal_rank_fusion(&legs, RANK_CONSTANT, 1)[0].0, 2);
    }
}
