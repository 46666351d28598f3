//! Convex combination of scores after min-max normalisation (Bruch, Gai and Ingber, 2023), and the choice of its weight.
use super::{Leg, add_up};

/// Steps of the grid that `tune_alpha` tries, 0..=1 by 0.05.
const STEPS: u32 = 20;

/// A validation query: both ranked lists and the documents that answer it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlphaQuery {
    pub keywords: Vec<(usize, f32)>,
    pub vectors: Vec<(usize, f32)>,
    pub relevant: Vec<usize>,
}

/// A weight and how well it did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TunedAlpha {
    /// Weight of the vectors, in 0..=1; the keywords get the rest.
    pub alpha: f64,
    /// Mean reciprocal rank over the whole fused lists.
    pub mrr: f64,
}

/// Sums of weighted scores, each leg's brought to 0..=1; best `count` first, equal sums in document order. A document that a leg
/// lacks gets nothing from it, as does the last of a leg. Where all scores of a leg are equal each counts 1.
pub fn convex_combination(legs: &[Leg<'_>], count: usize) -> Vec<(usize, f32)> {
    let parts = legs.iter().flat_map(|leg| {
        let scores = leg.hits.iter().map(|(_, score)| f64::from(*score));
        let (least, most) = scores.fold((f64::MAX, f64::MIN), |(least, most), s| (least.min(s), most.max(s)));
        leg.hits.iter().map(move |(document, score)| {
            let share = if most > least { (f64::from(*score) - least) / (most - least) } else { 1.0 };
            (*document, leg.weight * share)
        })
    });
    add_up(parts, count)
}

/// The weight of the grid with the highest MRR; of equal ones the nearest to 0.5, then the smaller. None without queries that have an answer.
pub fn tune_alpha(queries: &[AlphaQuery]) -> Option<TunedAlpha> {
    let asked: Vec<&AlphaQuery> = queries.iter().filter(|query| !query.relevant.is_empty()).collect();
    if asked.is_empty() {
        return None;
    }
    let mut best: Option<(u32, f64)> = None;
    for step in 0..=STEPS {
        let alpha = f64::from(step) / f64::from(STEPS);
        let sum: f64 = asked.iter().map(|query| reciprocal_rank(query, alpha)).sum();
        let nearer = |other: u32| step.abs_diff(STEPS / 2) < other.abs_diff(STEPS / 2);
        if best.is_none_or(|(other, most)| sum > most || sum == most && nearer(other)) {
            best = Some((step, sum));
        }
    }
    best.map(|(step, sum)| TunedAlpha { alpha: f64::from(step) / f64::from(STEPS), mrr: sum / asked.len() as f64 })
}

fn reciprocal_rank(query: &AlphaQuery, alpha: f64) -> f64 {
    let legs = [Leg { hits: &query.keywords, weight: 1.0 - alpha }, Leg { hits: &query.vectors, weight: alpha }];
    let fused = convex_combination(&legs, usize::MAX);
    let found = fused.iter().position(|(document, _)| query.relevant.contains(document));
    found.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_moves_the_winner() {
        let (keywords, vectors) = ([(1, 8.0), (2, 6.0), (3, 4.0)], [(3, 0.9), (2, 0.8), (1, 0.1)]);
        let fuse = |alpha: f64| {
            let legs = [Leg { hits: &keywords, weight: 1.0 - alpha }, Leg { hits: &vectors, weight: alpha }];
            convex_combination(&legs, 3)[0].0
        };
        assert_eq!([fuse(0.0), fuse(0.5), fuse(1.0)], [1, 2, 3]);
    }

    #[test]
    fn a_list_of_one_counts_in_full() {
        let legs = [Leg { hits: &[(7, 0.3)], weight: 0.25 }, Leg { hits: &[], weight: 0.75 }];
        assert_eq!(convex_combination(&legs, 5), [(7, 0.25)]);
    }

    #[test]
    fn the_weight_that_ranks_best_is_chosen() {
        let query = |relevant: usize| AlphaQuery {
            keywords: vec![(1, 8.0), (2, 6.0), (3, 4.0)],
            vectors: vec![(3, 0.9), (2, 0.8), (1, 0.1)],
            relevant: vec![relevant],
        };
        // Document 2 leads where 0.5 + 0.375 alpha is above both 1 - alpha and alpha: between 4/11 and 4/5.
        assert_eq!(tune_alpha(&[query(2)]), Some(TunedAlpha { alpha: 0.5, mrr: 1.0 }));
        assert!(tune_alpha(&[query(1)]).is_some_and(|tuned| tuned.alpha < 0.4 && tuned.mrr == 1.0));
        assert!(tune_alpha(&[query(3)]).is_some_and(|tuned| tuned.alpha > 0.8 && tuned.mrr == 1.0));
    }

    #[test]
    fn without_answers_nothing_is_chosen() {
        assert_eq!(tune_alpha(&[]), None);
        assert_eq!(
            tune_alpha(&[AlphaQuery { keywords: vec![(1, 1.0)], vectors: Vec::new(), relevant: Vec::new() }]),
            None
        );
    }
}
