//! The formulas of the metrics, for one query and for many.
use super::{Metric, Outcome};

/// The metric over the queries: the mean of its values, or their median for `median_rank`. `None` without queries.
///
/// A query whose relevant documents were not ranked has an infinite rank for `median_rank`, so that a shorter list
/// never looks better; the median is infinite where this is so for half of the queries or more.
pub fn measure(metric: Metric, outcomes: &[Outcome]) -> Option<f64> {
    if outcomes.is_empty() {
        return None;
    }
    let values = outcomes.iter().map(|outcome| metric.per_query(outcome));
    if metric == Metric::MedianRank {
        return median(values.collect());
    }
    Some(values.sum::<f64>() / outcomes.len() as f64)
}

impl Metric {
    /// The value for one query: a fraction in 0..=1, for `median_rank` the rank of the first relevant document or
    /// infinity.
    pub fn per_query(self, outcome: &Outcome) -> f64 {
        let best = outcome.best_rank();
        let hit = |k: u32| best.is_some_and(|rank| rank <= k);
        match self {
            Self::Hit(k) => f64::from(u8::from(hit(k))),
            Self::Recall(k) => share(found_within(outcome, k), outcome.ideal.len()),
            Self::Precision(k) => share(found_within(outcome, k), k as usize),
            Self::MeanRecall => share([1, 5, 10].into_iter().filter(|k| hit(*k)).count(), 3),
            Self::Mrr(k) => best.filter(|rank| *rank <= depth(k)).map_or(0.0, |rank| 1.0 / f64::from(rank)),
            Self::Ndcg(k) => ndcg(outcome, depth(k)),
            Self::Map(k) => average_precision(outcome, depth(k)),
            Self::MedianRank => best.map_or(f64::INFINITY, f64::from),
        }
    }
}

/// The depth to which a ranking is read.
pub(super) fn depth(k: Option<u32>) -> u32 {
    k.unwrap_or(u32::MAX)
}

/// Discounted cumulative gain of (rank from 1, gain) down to a depth.
pub(super) fn discounted_gain(gains: impl Iterator<Item = (u32, u32)>, depth: u32) -> f64 {
    let terms = gains.take_while(|(rank, _)| *rank <= depth);
    terms.map(|(rank, gain)| f64::from(gain) / (f64::from(rank) + 1.0).log2()).sum()
}

/// The greatest discounted cumulative gain that an order of the relevant documents can have.
pub(super) fn ideal_gain(ideal: &[u32], depth: u32) -> f64 {
    discounted_gain((1..).zip(ideal.iter().copied()), depth)
}

/// The mean of the two middle values, or the middle one.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let (low, high) = (values.get(last / 2)?, values.get(last.div_ceil(2))?);
    Some(f64::midpoint(*low, *high))
}

fn found_within(outcome: &Outcome, k: u32) -> usize {
    outcome.found.iter().take_while(|(rank, _)| *rank <= k).count()
}

/// 0 of 0 is 0, as with `trec_eval`.
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn ndcg(outcome: &Outcome, depth: u32) -> f64 {
    let ideal = ideal_gain(&outcome.ideal, depth);
    if ideal > 0.0 { discounted_gain(outcome.found.iter().copied(), depth) / ideal } else { 0.0 }
}

fn average_precision(outcome: &Outcome, depth: u32) -> f64 {
    let within = outcome.found.iter().zip(1..).take_while(|((rank, _), _)| *rank <= depth);
    let precisions = within.map(|((rank, _), count): (_, u32)| f64::from(count) / f64::from(*rank));
    precisions.sum::<f64>() / outcome.ideal.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One query with one relevant document at each rank; 0 is a document that was not ranked.
    fn outcomes(ranks: &[u32]) -> Vec<Outcome> {
        let outcome = |rank: &u32| Outcome::new("q", 0, [((*rank > 0).then_some(*rank), 1)]);
        ranks.iter().map(outcome).collect()
    }

    #[test]
    fn hit_counts_queries_not_documents() {
        let outcomes = outcomes(&[1, 3, 7, 20]);
        let value = |metric| measure(metric, &outcomes).unwrap();
        assert_eq!(value(Metric::Hit(1)), 0.25);
        assert_eq!(value(Metric::Hit(5)), 0.5);
        assert_eq!(value(Metric::Hit(10)), 0.75);
        assert!((value(Metric::MeanRecall) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn recall_counts_documents_and_precision_divides_by_the_depth() {
        let outcome = Outcome::new("q", 0, [(Some(1), 1), (Some(4), 2), (Some(9), 1), (None, 1)]);
        assert_eq!(Metric::Recall(5).per_query(&outcome), 0.5);
        assert_eq!(Metric::Precision(5).per_query(&outcome), 0.4);
        assert_eq!(Metric::Precision(100).per_query(&outcome), 0.03);
        assert_eq!(Metric::Mrr(None).per_query(&outcome), 1.0);
    }

    #[test]
    fn the_median_rank_is_infinite_only_where_most_queries_find_nothing() {
        assert_eq!(measure(Metric::MedianRank, &outcomes(&[7, 1, 4])), Some(4.0));
        assert_eq!(measure(Metric::MedianRank, &outcomes(&[7, 1, 4, 9])), Some(5.5));
        assert_eq!(measure(Metric::MedianRank, &outcomes(&[7, 0, 4])), Some(7.0));
        assert_eq!(measure(Metric::MedianRank, &outcomes(&[7, 0])), Some(f64::INFINITY));
        assert_eq!(measure(Metric::MedianRank, &[]), None);
    }

    #[test]
    fn a_query_without_relevant_documents_counts_as_zero() {
        let nothing = Outcome::new("q", 0, [(Some(1), 0)]);
        for name in ["hit@1", "recall@5", "precision@5", "mean_recall", "mrr", "ndcg", "ndcg@3", "map", "map@3"] {
            assert_eq!(name.parse::<Metric>().unwrap().per_query(&nothing), 0.0, "{name}");
        }
    }
}
