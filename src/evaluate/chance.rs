//! Chance level: the expected value of a metric when every query's documents stand in a random order.
use std::collections::BTreeMap;

use super::Metric;
use super::measure::{depth, ideal_gain};

/// The exact expectation over all orders of `documents`, given the gains of the relevant documents of every query
/// ([`super::Outcome::ideal`]). `None` without queries, and for `median_rank`, which has no closed form.
pub fn chance<'a>(metric: Metric, ideals: impl IntoIterator<Item = &'a [u32]>, documents: usize) -> Option<f64> {
    if metric == Metric::MedianRank {
        return None;
    }
    // Queries with the same gains have the same expectation, and most have one relevant document.
    let mut alike: BTreeMap<&[u32], usize> = BTreeMap::new();
    ideals.into_iter().for_each(|ideal| *alike.entry(ideal).or_default() += 1);
    let queries: usize = alike.values().sum();
    let sum: f64 = alike.iter().map(|(ideal, count)| expected(metric, ideal, documents) * *count as f64).sum();
    (queries > 0).then(|| sum / queries as f64)
}

/// The expectation for one query.
fn expected(metric: Metric, ideal: &[u32], documents: usize) -> f64 {
    let relevant = ideal.len();
    if relevant == 0 || documents == 0 {
        return 0.0;
    }
    // Every document is as likely at one rank as at another.
    let seen = |k: u32| documents.min(k as usize) as f64 / documents as f64;
    match metric {
        Metric::Hit(k) => 1.0 - miss(relevant, k as usize, documents),
        Metric::Recall(k) => seen(k),
        Metric::Precision(k) => seen(k) * relevant as f64 / f64::from(k),
        Metric::MeanRecall => [1, 5, 10].map(|k| 1.0 - miss(relevant, k, documents)).iter().sum::<f64>() / 3.0,
        Metric::Mrr(k) => reciprocal_rank(relevant, depth(k), documents),
        Metric::Ndcg(k) => ndcg(ideal, depth(k), documents),
        Metric::Map(k) => average_precision(relevant, depth(k), documents),
        Metric::MedianRank => f64::NAN,
    }
}

/// Probability that none of `relevant` is among the first `k` of `documents`: `C(n - r, k) / C(n, k)`.
fn miss(relevant: usize, k: usize, documents: usize) -> f64 {
    (0..k.min(documents))
        .map(|drawn| documents.saturating_sub(relevant + drawn) as f64 / (documents - drawn) as f64)
        .product()
}

/// Sum over the ranks of `P(the first relevant document stands there) / rank`.
fn reciprocal_rank(relevant: usize, depth: u32, documents: usize) -> f64 {
    let mut none_before = 1.0;
    let mut sum = 0.0;
    for above in 0..documents.min(depth as usize) {
        let here = (relevant as f64 / (documents - above) as f64).min(1.0);
        sum += none_before * here / (above + 1) as f64;
        none_before *= 1.0 - here;
    }
    sum
}

/// The expected gain at every rank is the mean gain of all documents.
fn ndcg(ideal: &[u32], depth: u32, documents: usize) -> f64 {
    let mean = ideal.iter().copied().map(f64::from).sum::<f64>() / documents as f64;
    let discounts: f64 = (1..=documents.min(depth as usize)).map(|rank| 1.0 / (rank as f64 + 1.0).log2()).sum();
    mean * discounts / ideal_gain(ideal, depth)
}

/// Given a relevant document at rank i, each of the i - 1 above it is relevant with probability (r - 1) / (n - 1), so
/// `E = 1/n * sum of (1 + (i - 1) (r - 1) / (n - 1)) / i`.
fn average_precision(relevant: usize, depth: u32, documents: usize) -> f64 {
    let others = (relevant - 1) as f64 / (documents - 1).max(1) as f64;
    let precisions = (1..=documents.min(depth as usize)).map(|rank| (1.0 + (rank - 1) as f64 * others) / rank as f64);
    precisions.sum::<f64>() / documents as f64
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn one(metric: Metric, ideal: &[u32], documents: usize) -> f64 {
        chance(metric, [ideal], documents).unwrap()
    }

    #[test]
    fn chance_of_one_relevant_document_is_k_of_n() {
        assert!((one(Metric::Hit(5), &[1], 20) - 0.25).abs() < 1e-12);
        assert!((one(Metric::Hit(2), &[1, 1], 4) - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(one(Metric::Hit(10), &[1], 10), 1.0);
        assert_eq!(chance(Metric::Hit(1), [], 10), None);
        assert_eq!(chance(Metric::MedianRank, [&[1][..]], 10), None);
    }

    /// Visits every order of the items (Heap's algorithm).
    fn orders(items: &mut [u32], count: usize, visit: &mut impl FnMut(&[u32])) {
        if count <= 1 {
            return visit(items);
        }
        for at in 0..count {
            orders(items, count - 1, visit);
            items.swap(if count.is_multiple_of(2) { at } else { 0 }, count - 1);
        }
    }

    #[test]
    fn expectations_equal_the_mean_over_every_order() {
        let names = [
            "hit@1",
            "hit@3",
            "recall@2",
            "recall@9",
            "precision@3",
            "precision@9",
            "mean_recall",
            "mrr",
            "mrr@2",
            "ndcg",
            "ndcg@1",
            "ndcg@3",
            "map",
            "map@3",
            "map@9",
        ];
        for gains in [vec![1], vec![3, 1], vec![2, 1, 1], vec![5, 4, 1, 1, 1, 1, 1], vec![]] {
            let mut documents = gains.clone();
            documents.resize(7, 0);
            for name in names {
                let metric: Metric = name.parse().unwrap();
                let (mut sum, mut count) = (0.0, 0u32);
                orders(&mut documents, 7, &mut |order| {
                    let judged = (1..).map(Some).zip(order.iter().copied());
                    sum += metric.per_query(&Outcome::new("q", 0, judged));
                    count += 1;
                });
                assert_eq!(count, 5040);
                let found = one(metric, &gains, 7);
                assert!((found - sum / 5040.0).abs() < 1e-12, "{name} of {gains:?}: {found}");
            }
        }
    }
}
