//! Confidence intervals by the clustered percentile bootstrap.
//!
//! With fewer than about 30 clusters the percentile method gives intervals that are too narrow; say how many there are.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::clusters::{Clusters, Prepared};
use super::{Metric, Outcome, Paired};

/// How often and from what seed to draw; the results are the same for any number of threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResamplingOptions {
    pub seed: u64,
    /// Bootstrap resamples of an interval.
    pub resamples: u32,
    /// Random sign patterns of a permutation test.
    pub permutations: u32,
    /// Level of two-sided intervals, in 0..1.
    pub confidence: f64,
}

impl Default for ResamplingOptions {
    fn default() -> Self {
        Self { seed: 0, resamples: 2_000, permutations: 9_999, confidence: 0.95 }
    }
}

/// Two ends of an interval; a median rank may make them infinite, which JSON writes as null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

/// An interval of every metric. `None` where there are fewer than two clusters: nothing can be said from one.
pub fn intervals(metrics: &[Metric], outcomes: &[Outcome], options: ResamplingOptions) -> Vec<Option<Interval>> {
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let labels: Vec<u32> = all.iter().map(|outcome| outcome.cluster).collect();
    let clusters = Clusters::number(&labels);
    let prepared: Vec<Prepared> = metrics.iter().map(|metric| Prepared::new(*metric, &all, &clusters)).collect();
    bootstrap(clusters.count, options, prepared.len(), |at, weights| {
        prepared.get(at).map_or(f64::NAN, |metric| metric.value(weights))
    })
}

/// An interval of every metric's improvement from the published to the candidate, both over the same resamples: the
/// difference of their values, its sign turned where lower is better.
pub fn improvement_intervals(
    metrics: &[Metric],
    paired: &Paired<'_>,
    options: ResamplingOptions,
) -> Vec<Option<Interval>> {
    let prepare = |metric: &Metric| {
        let of = |outcomes: &[&Outcome]| Prepared::new(*metric, outcomes, &paired.clusters);
        (*metric, of(&paired.published), of(&paired.candidate))
    };
    let prepared: Vec<(Metric, Prepared, Prepared)> = metrics.iter().map(prepare).collect();
    bootstrap(paired.clusters.count, options, prepared.len(), |at, weights| {
        prepared.get(at).map_or(f64::NAN, |(metric, published, candidate)| {
            metric.improvement(published.value(weights), candidate.value(weights))
        })
    })
}

/// A random stream of its own for every draw.
pub(super) fn stream(seed: u64, draw: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(draw));
    rng
}

/// Percentile intervals of several statistics of the weights of clusters.
fn bootstrap(
    clusters: usize,
    options: ResamplingOptions,
    statistics: usize,
    statistic: impl Fn(usize, &[u32]) -> f64 + Sync,
) -> Vec<Option<Interval>> {
    if clusters < 2 {
        return vec![None; statistics];
    }
    let resample = |weights: &mut Vec<u32>, draw| {
        draw_weights(weights, &mut stream(options.seed, draw));
        (0..statistics).map(|at| statistic(at, weights)).collect::<Vec<f64>>()
    };
    let drawn: Vec<Vec<f64>> =
        (0..options.resamples).into_par_iter().map_init(|| vec![0; clusters], resample).collect();
    let tail = (1.0 - options.confidence) / 2.0;
    (0..statistics)
        .map(|at| {
            let mut values: Vec<f64> = drawn.iter().filter_map(|row| row.get(at).copied()).collect();
            values.sort_unstable_by(f64::total_cmp);
            Some(Interval { lower: quantile(&values, tail)?, upper: quantile(&values, 1.0 - tail)? })
        })
        .collect()
}

/// Draws as many clusters as there are, with replacement, and counts each.
fn draw_weights(weights: &mut [u32], rng: &mut ChaCha8Rng) {
    weights.fill(0);
    for _ in 0..weights.len() {
        // 64 random bits scaled down: the bias is below 2^-32.
        let cluster = (u128::from(rng.next_u64()) * weights.len() as u128) >> 64;
        if let Some(weight) = weights.get_mut(cluster as usize) {
            *weight += 1;
        }
    }
}

/// The quantile of ascending values, interpolated linearly as numpy does.
fn quantile(ascending: &[f64], fraction: f64) -> Option<f64> {
    let place = fraction.clamp(0.0, 1.0) * ascending.len().checked_sub(1)? as f64;
    let (low, high) = (ascending.get(place.floor() as usize)?, ascending.get(place.ceil() as usize)?);
    // Between equal ends, infinite ones too, there is nothing to interpolate.
    if low == high { Some(*low) } else { Some(low + (high - low) * place.fract()) }
}

#[cfg(test)]
mod tests {
    use super::super::measure;
    use super::*;

    const METRICS: [Metric; 5] =
        [Metric::Hit(1), Metric::MeanRecall, Metric::Mrr(None), Metric::Ndcg(Some(10)), Metric::MedianRank];

    /// Random ranks in 1..=20 of one relevant document, in clusters of the given size.
    fn random(queries: u32, size: u32, seed: u64) -> Vec<Outcome> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..queries).map(|at| Outcome::new("q", at / size, [(Some(rng.next_u32() % 20 + 1), 1)])).collect()
    }

    #[test]
    fn an_interval_contains_the_estimate_and_is_the_same_on_one_thread_and_two() {
        let outcomes = random(300, 3, 5);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| intervals(&METRICS, &outcomes, ResamplingOptions::default()))
        };
        let found = on(1);
        assert_eq!(found, on(2));
        for (metric, interval) in METRICS.iter().zip(&found) {
            let (estimate, interval) = (measure(*metric, &outcomes).unwrap(), interval.unwrap());
            assert!(interval.lower <= estimate && estimate <= interval.upper, "{metric}: {estimate} in {interval:?}");
            assert!(interval.lower < interval.upper, "{metric}: {interval:?}");
        }
        let other = ResamplingOptions { seed: 1, ..ResamplingOptions::default() };
        assert_ne!(found, intervals(&METRICS, &outcomes, other));
    }

    #[test]
    fn repeating_every_query_inside_its_cluster_does_not_narrow_the_interval() {
        let once = random(200, 1, 9);
        let repeated: Vec<Outcome> = once.iter().flat_map(|outcome| vec![outcome.clone(); 4]).collect();
        let of = |outcomes: &[Outcome]| intervals(&[Metric::Hit(5)], outcomes, ResamplingOptions::default());
        assert_eq!(of(&once), of(&repeated));
        let mut apart = repeated;
        apart.iter_mut().zip(0..).for_each(|(outcome, cluster)| outcome.cluster = cluster);
        let width = |interval: Interval| interval.upper - interval.lower;
        let ratio = width(of(&once)[0].unwrap()) / width(of(&apart)[0].unwrap());
        assert!((1.7..2.3).contains(&ratio), "the width should double: {ratio}");
    }

    #[test]
    fn one_cluster_and_no_queries_have_no_interval() {
        assert_eq!(intervals(&METRICS, &random(10, 10, 1), ResamplingOptions::default()), [None; 5]);
        assert_eq!(intervals(&METRICS, &[], ResamplingOptions::default()), [None; 5]);
    }

    #[test]
    fn nine_in_ten_intervals_at_90_percent_contain_the_truth() {
        let options = ResamplingOptions { resamples: 400, confidence: 0.9, ..ResamplingOptions::default() };
        let contains = |seed: &u64| {
            let interval = intervals(&[Metric::Hit(10)], &random(150, 1, 100 + seed), options)[0].unwrap();
            interval.lower <= 0.5 && 0.5 <= interval.upper
        };
        let covered = (0..400).filter(contains).count();
        assert!((336..=384).contains(&covered), "{covered} of 400");
    }
}
