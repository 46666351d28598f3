//! hit@k over ranks, and what chance would give.
use super::Metric;

/// The metric over the rank of the first relevant document of every query, a fraction in 0..=1.
pub fn score(metric: Metric, ranks: &[usize]) -> f64 {
    match metric {
        Metric::Hit(k) => ranks.iter().filter(|rank| **rank <= k).count() as f64 / ranks.len().max(1) as f64,
        Metric::MeanRecall => [1, 5, 10].map(|k| score(Metric::Hit(k), ranks)).iter().sum::<f64>() / 3.0,
    }
}

/// The expected metric of a random order of `documents`, over the number of relevant documents of every query:
/// `1 - C(n - r, k) / C(n, k)`.
pub fn chance(metric: Metric, relevant: &[usize], documents: usize) -> f64 {
    match metric {
        Metric::Hit(k) => {
            let sum: f64 = relevant.iter().map(|r| 1.0 - miss(*r, k, documents)).sum();
            sum / relevant.len().max(1) as f64
        }
        Metric::MeanRecall => [1, 5, 10].map(|k| chance(Metric::Hit(k), relevant, documents)).iter().sum::<f64>() / 3.0,
    }
}

/// Probability that none of `relevant` is among the first `k` of `documents`.
fn miss(relevant: usize, k: usize, documents: usize) -> f64 {
    (0..k.min(documents))
        .map(|drawn| (documents.saturating_sub(relevant + drawn)) as f64 / (documents - drawn) as f64)
        .product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hit_counts_queries_not_documents() {
        let ranks = [1, 3, 7, 20];
        assert_eq!(score(Metric::Hit(1), &ranks), 0.25);
        assert_eq!(score(Metric::Hit(5), &ranks), 0.5);
        assert_eq!(score(Metric::Hit(10), &ranks), 0.75);
        assert_eq!(score(Metric::MeanRecall, &ranks), 0.5);
    }

    #[test]
    fn chance_of_one_relevant_document_is_k_of_n() {
        assert!((chance(Metric::Hit(5), &[1, 1], 20) - 0.25).abs() < 1e-12);
        assert!((chance(Metric::Hit(2), &[2], 4) - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(chance(Metric::Hit(10), &[1], 10), 1.0);
    }
}
