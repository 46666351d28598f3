//! Clusters of queries that are not independent, and metrics over a reweighted choice of clusters.
use std::collections::BTreeMap;

use super::{Metric, Outcome};
use crate::ingest::UnionFind;

/// The cluster of every query: queries with a relevant document in common are in one, directly or by way of others.
/// `relevant` gives the positions of every query's relevant documents.
pub fn clusters_by_document(relevant: &[Vec<usize>]) -> Vec<u32> {
    let mut sets = UnionFind::of(relevant.len());
    let mut first_query: BTreeMap<usize, usize> = BTreeMap::new();
    for (query, documents) in relevant.iter().enumerate() {
        for document in documents {
            let first = *first_query.entry(*document).or_insert(query);
            sets.join(first, query);
        }
    }
    (0..relevant.len()).map(|query| sets.root(query) as u32).collect()
}

/// Clusters numbered 0, 1, … without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clusters {
    /// The cluster of every query.
    pub of: Vec<usize>,
    pub count: usize,
}

impl Clusters {
    /// Numbers any labels in their order.
    pub fn number<T: Ord + Copy>(labels: &[T]) -> Self {
        let mut numbers: BTreeMap<T, usize> = labels.iter().map(|label| (*label, 0)).collect();
        numbers.values_mut().zip(0..).for_each(|(number, next)| *number = next);
        let of = labels.iter().filter_map(|label| numbers.get(label).copied()).collect();
        Self { of, count: numbers.len() }
    }

    /// The sum of the values of every cluster's queries.
    pub fn sums(&self, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        for (cluster, value) in self.of.iter().zip(values) {
            if let Some(sum) = sums.get_mut(*cluster) {
                *sum += value;
            }
        }
        sums
    }
}

/// One metric over queries, made ready for many choices of clusters.
#[derive(Debug, Clone)]
pub(super) enum Prepared {
    Mean {
        sums: Vec<f64>,
        sizes: Vec<f64>,
    },
    /// Ranks in ascending order, each with its cluster.
    Median(Vec<(f64, usize)>),
}

impl Prepared {
    pub fn new(metric: Metric, outcomes: &[&Outcome], clusters: &Clusters) -> Self {
        let values = outcomes.iter().map(|outcome| metric.per_query(outcome));
        if metric.is_fraction() {
            return Self::Mean { sums: clusters.sums(values), sizes: clusters.sums(outcomes.iter().map(|_| 1.0)) };
        }
        let mut ascending: Vec<(f64, usize)> = values.zip(clusters.of.iter().copied()).collect();
        ascending.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self::Median(ascending)
    }

    /// The metric where every cluster counts as often as `weights` says; not a number where none does.
    pub fn value(&self, weights: &[u32]) -> f64 {
        match self {
            Self::Mean { sums, sizes } => {
                let weighted =
                    |values: &[f64]| values.iter().zip(weights).map(|(v, weight)| v * f64::from(*weight)).sum::<f64>();
                weighted(sums) / weighted(sizes)
            }
            Self::Median(ascending) => weighted_median(ascending, weights),
        }
    }
}

/// The median of ascending values, each repeated as often as its cluster's weight says.
fn weighted_median(ascending: &[(f64, usize)], weights: &[u32]) -> f64 {
    let weight = |cluster: usize| u64::from(weights.get(cluster).copied().unwrap_or(0));
    let total: u64 = ascending.iter().map(|(_, cluster)| weight(*cluster)).sum();
    let Some(last) = total.checked_sub(1) else { return f64::NAN };
    let (mut before, mut low) = (0, None);
    for (value, cluster) in ascending {
        before += weight(*cluster);
        if before > last / 2 {
            low.get_or_insert(*value);
        }
        if before > last.div_ceil(2) {
            return f64::midpoint(low.unwrap_or(*value), *value);
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::super::measure::{measure, median};
    use super::*;

    #[test]
    fn captions_of_one_image_and_images_of_one_caption_are_one_cluster() {
        assert_eq!(clusters_by_document(&[vec![0], vec![0], vec![2, 3], vec![1], vec![3]]), [0, 0, 2, 3, 2]);
        assert_eq!(clusters_by_document(&[vec![0], vec![1], vec![1, 0]]), [0, 0, 0]);
        assert_eq!(clusters_by_document(&[vec![], vec![]]), [0, 1]);
    }

    #[test]
    fn a_weight_repeats_a_whole_cluster() {
        let outcomes: Vec<Outcome> =
            (0..40).map(|at| Outcome::new("q", at % 7, [((at % 5 > 0).then_some(at * 13 % 11 + 1), 1)])).collect();
        let all: Vec<&Outcome> = outcomes.iter().collect();
        let clusters = Clusters::number(&all.iter().map(|outcome| outcome.cluster).collect::<Vec<_>>());
        assert_eq!(clusters.count, 7);
        let weights = [0, 2, 1, 0, 3, 1, 1];
        let repeated: Vec<Outcome> = outcomes
            .iter()
            .flat_map(|outcome| std::iter::repeat_n(outcome.clone(), weights[outcome.cluster as usize] as usize))
            .collect();
        for metric in [Metric::Hit(5), Metric::Mrr(None), Metric::MedianRank] {
            let found = Prepared::new(metric, &all, &clusters).value(&weights);
            assert!((found - measure(metric, &repeated).unwrap()).abs() < 1e-12, "{metric}: {found}");
        }
        assert!(Prepared::new(Metric::MedianRank, &all, &clusters).value(&[0; 7]).is_nan());
    }

    #[test]
    fn weighted_and_plain_median_agree() {
        let values = [1.0, 1.0, 2.0, 5.0, 8.0, 8.0, f64::INFINITY];
        for count in 1..=values.len() {
            let ascending: Vec<(f64, usize)> = values[..count].iter().copied().zip(0..).collect();
            assert_eq!(Some(weighted_median(&ascending, &[1; 7])), median(values[..count].to_vec()), "{count}");
        }
    }
}
