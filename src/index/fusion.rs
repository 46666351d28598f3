//! Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009), k = 60, ranks from 1.
use std::collections::BTreeMap;

const K: f64 = 60.0;

/// Fuses ranked lists of document numbers; best first, equal scores in document order.
pub fn reciprocal_rank_fusion(lists: &[Vec<usize>], count: usize) -> Vec<(usize, f32)> {
    let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
    for list in lists {
        for (document, rank) in list.iter().zip(1u32..) {
            *scores.entry(*document).or_default() += 1.0 / (K + f64::from(rank));
        }
    }
    let mut fused: Vec<(usize, f64)> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fused.truncate(count);
    fused.into_iter().map(|(document, score)| (document, score as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_in_both_lists_beats_the_first_of_one() {
        let fused = reciprocal_rank_fusion(&[vec![1, 2], vec![3, 2]], 3);
        assert_eq!(fused[0].0, 2);
        assert!((f64::from(fused[0].1) - 2.0 / 62.0).abs() < 1e-6);
        assert_eq!(fused.iter().map(|f| f.0).collect::<Vec<_>>(), [2, 1, 3]);
    }
}
