//! The one rule by which scores become ranks.

/// Rank (from 1) of the best of the `relevant` documents. Higher scores come first; of equal scores, the document that
/// stands first in the table.
pub fn best_rank(scores: &[f32], relevant: &[usize]) -> Option<usize> {
    relevant.iter().map(|document| rank(scores, *document)).min()
}

/// Rank (from 1) of one document.
pub fn rank(scores: &[f32], document: usize) -> usize {
    let Some(own) = scores.get(document) else {
        return usize::MAX;
    };
    let above = scores.iter().enumerate().filter(|(other, score)| {
        *score > own || (*score == own && *other < document) || (own.is_nan() && !score.is_nan())
    });
    above.count() + 1
}

/// Documents of the `k` highest scores, best first, by the same rule.
pub fn top_k(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let by_rank = |a: &usize, b: &usize| {
        let score = |index: &usize| scores.get(*index).copied().filter(|s| !s.is_nan()).unwrap_or(f32::NEG_INFINITY);
        score(b).total_cmp(&score(a)).then(a.cmp(b))
    };
    if k < order.len() && k > 0 {
        order.select_nth_unstable_by(k - 1, by_rank);
    }
    order.truncate(k);
    order.sort_unstable_by(by_rank);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_rank_in_table_order() {
        let scores = [0.5, 0.9, 0.5, 0.1];
        assert_eq!(top_k(&scores, 3), [1, 0, 2]);
        assert_eq!(best_rank(&scores, &[2, 3]), Some(3));
        assert_eq!(best_rank(&scores, &[]), None);
    }

    #[test]
    fn rank_and_top_k_agree() {
        let scores: Vec<f32> = (0..50).map(|i| ((i * 7919) % 13) as f32).collect();
        for (position, document) in top_k(&scores, 50).into_iter().enumerate() {
            assert_eq!(rank(&scores, document), position + 1);
        }
    }
}
