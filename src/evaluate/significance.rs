//! The paired permutation test by clusters, and Holm's correction for several tests.
use rand::Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::interval::stream;
use super::{Metric, Outcome, Paired, ResamplingOptions};

/// Up to this many clusters that differ, every pattern is tried.
const EXACT_CLUSTERS: usize = 16;

/// What a permutation test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Significance {
    /// Two-sided probability, were published and candidate alike, of a difference at least as great.
    pub p: f64,
    /// Clusters in which the two differ; the others cannot change the result.
    pub differing_clusters: usize,
    /// Whether every pattern was tried rather than random ones.
    pub exact: bool,
}

/// Exchanges published and candidate in random clusters. Of m random patterns, b as extreme as what was observed give
/// `(b + 1) / (m + 1)` (Phipson and Smyth, 2010); up to 2^16 patterns are all tried.
pub fn paired_permutation(metric: Metric, paired: &Paired<'_>, options: ResamplingOptions) -> Significance {
    let exchange = Exchange::new(metric, paired);
    let clusters = exchange.clusters();
    let words = clusters.div_ceil(64);
    let observed = exchange.difference(&vec![0; words]).abs();
    // Sums in another order differ in their last bits; those are ties.
    let least = observed - 1e-12 * exchange.scale();
    let is_extreme = |pattern: &[u64]| exchange.difference(pattern).abs() >= least;
    let exact = clusters <= EXACT_CLUSTERS;
    let p = if exact {
        let patterns = 1u64 << clusters;
        let extreme = (0..patterns).into_par_iter().filter(|pattern| is_extreme(&[*pattern])).count();
        extreme as f64 / patterns as f64
    } else {
        let random = |pattern: &mut Vec<u64>, draw| {
            let mut rng = stream(options.seed, draw);
            pattern.iter_mut().for_each(|word| *word = rng.next_u64());
            is_extreme(pattern)
        };
        let drawn = (0..options.permutations).into_par_iter().map_init(|| vec![0; words], random);
        let extreme = drawn.filter(|extreme| *extreme).count();
        (extreme + 1) as f64 / (f64::from(options.permutations) + 1.0)
    };
    Significance { p, differing_clusters: clusters, exact }
}

/// p values corrected for there being several (Holm, 1979), in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected = vec![1.0; p.len()];
    let mut greatest: f64 = 0.0;
    for ((position, p), left) in order.into_iter().zip((1..=corrected.len()).rev()) {
        greatest = greatest.max(p * left as f64).min(1.0);
        if let Some(slot) = corrected.get_mut(position) {
            *slot = greatest;
        }
    }
    corrected
}

/// One metric, made ready for exchanging published and candidate in clusters.
enum Exchange {
    /// Of four differing clusters each, the summed difference after every exchange among them.
    Mean { tables: Vec<[f64; 16]>, clusters: usize, scale: f64 },
    /// Ranks of both sides in ascending order, and the number of clusters that differ.
    Median { ascending: Vec<RankedSide>, clusters: usize },
}

struct RankedSide {
    rank: f64,
    is_candidate: bool,
    /// The differing cluster; `None` where an exchange changes nothing.
    cluster: Option<usize>,
}

impl Exchange {
    fn new(metric: Metric, paired: &Paired<'_>) -> Self {
        let values = |side: &[&Outcome]| side.iter().map(|outcome| metric.per_query(outcome)).collect::<Vec<f64>>();
        let (published, candidate) = (values(&paired.published), values(&paired.candidate));
        let queries = published.iter().zip(&candidate);
        if metric.is_fraction() {
            let differences = paired.clusters.sums(queries.map(|(before, after)| after - before));
            // What is left of sums that cancel is not a difference.
            let left: Vec<f64> = differences.into_iter().filter(|difference| difference.abs() > 1e-12).collect();
            let scale = left.iter().map(|difference| difference.abs()).sum();
            return Self::Mean { tables: left.chunks(4).map(exchanges).collect(), clusters: left.len(), scale };
        }
        let differs = paired.clusters.sums(queries.clone().map(|(a, b)| f64::from(u8::from(a != b))));
        let mut clusters = 0;
        let mut next = || {
            clusters += 1;
            clusters - 1
        };
        let numbers: Vec<Option<usize>> = differs.iter().map(|count| (*count > 0.0).then(&mut next)).collect();
        let of = |cluster: &usize| numbers.get(*cluster).copied().flatten();
        let mut ascending: Vec<RankedSide> = queries
            .zip(&paired.clusters.of)
            .flat_map(|((before, after), cluster)| [(*before, false, of(cluster)), (*after, true, of(cluster))])
            .map(|(rank, is_candidate, cluster)| RankedSide { rank, is_candidate, cluster })
            .collect();
        ascending.sort_by(|a, b| a.rank.total_cmp(&b.rank));
        Self::Median { ascending, clusters }
    }

    fn clusters(&self) -> usize {
        match self {
            Self::Mean { clusters, .. } | Self::Median { clusters, .. } => *clusters,
        }
    }

    /// The size against which rounding is measured; medians of whole numbers have none.
    fn scale(&self) -> f64 {
        match self {
            Self::Mean { scale, .. } => *scale,
            Self::Median { .. } => 0.0,
        }
    }

    /// Candidate minus published after the exchange of the clusters whose bit is set: of sums, or of medians.
    fn difference(&self, pattern: &[u64]) -> f64 {
        match self {
            Self::Mean { tables, .. } => {
                let of_word = |(tables, word): (&[[f64; 16]], &u64)| -> f64 {
                    tables.iter().zip(0..).map(|(table, at)| table[(word >> (4 * at) & 15) as usize]).sum()
                };
                tables.chunks(16).zip(pattern).map(of_word).sum()
            }
            Self::Median { ascending, .. } => median_difference(ascending, pattern),
        }
    }
}

/// The sum of up to four differences after each of their 16 exchanges.
fn exchanges(differences: &[f64]) -> [f64; 16] {
    std::array::from_fn(|pattern| {
        let signed = |(d, bit): (&f64, usize)| if pattern >> bit & 1 == 1 { -d } else { *d };
        differences.iter().zip(0..).map(signed).sum()
    })
}

fn median_difference(ascending: &[RankedSide], pattern: &[u64]) -> f64 {
    let last = (ascending.len() / 2).saturating_sub(1);
    let exchanged = |cluster: usize| pattern.get(cluster / 64).is_some_and(|word| word >> (cluster % 64) & 1 == 1);
    let mut counts = [0; 2];
    let mut medians = [0.0; 2];
    for side in ascending {
        let is_candidate = side.is_candidate != side.cluster.is_some_and(exchanged);
        let [published, candidate] = &mut counts;
        let count = if is_candidate { candidate } else { published };
        let middles = [last / 2, last.div_ceil(2)].into_iter().filter(|middle| middle == count).count();
        *count += 1;
        let [published, candidate] = &mut medians;
        *(if is_candidate { candidate } else { published }) += side.rank * 0.5 * middles as f64;
    }
    Metric::Hit(1).improvement(medians[0], medians[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Outcome;

    fn side(ranks: &[u32]) -> Vec<Outcome> {
        let outcome = |(rank, at): (&u32, u32)| Outcome::new(&format!("q{at:04}"), at, [(Some(*rank), 1)]);
        ranks.iter().zip(0..).map(outcome).collect()
    }

    fn test(metric: Metric, published: &[u32], candidate: &[u32]) -> Significance {
        let (published, candidate) = (side(published), side(candidate));
        paired_permutation(metric, &Paired::join(&published, &candidate).unwrap(), ResamplingOptions::default())
    }

    #[test]
    fn flips_all_one_way_have_the_p_value_of_a_sign_test() {
        let found = test(Metric::Hit(1), &[2, 2, 2, 2, 2, 1, 9], &[1, 1, 1, 1, 1, 1, 9]);
        assert_eq!(found, Significance { p: 2.0 / 32.0, differing_clusters: 5, exact: true });
        assert_eq!(test(Metric::Hit(1), &[2, 1, 3], &[2, 1, 9]).p, 1.0);
        assert_eq!(test(Metric::Hit(1), &[2, 1], &[1, 2]).p, 1.0);
    }

    #[test]
    fn the_median_test_counts_every_exchange() {
        // Of the four exchanges, medians 1 and 4, 2.5 and 2.5 twice, and 4 and 1.
        let found = test(Metric::MedianRank, &[1, 1], &[4, 4]);
        assert_eq!(found, Significance { p: 0.5, differing_clusters: 2, exact: true });
        assert_eq!(test(Metric::MedianRank, &[1, 5, 9], &[1, 5, 9]).p, 1.0);
    }

    #[test]
    fn a_cluster_is_exchanged_as_a_whole() {
        let together = |ranks: &[u32]| -> Vec<Outcome> {
            side(ranks).into_iter().map(|outcome| Outcome { cluster: outcome.cluster / 4, ..outcome }).collect()
        };
        let (published, candidate) = (together(&[2; 12]), together(&[1; 12]));
        let paired = Paired::join(&published, &candidate).unwrap();
        assert_eq!(paired_permutation(Metric::Hit(1), &paired, ResamplingOptions::default()).p, 0.25);
    }

    #[test]
    fn alike_systems_give_even_p_values_on_one_thread_and_two() {
        let ranks = |seed: u32| -> Vec<u32> {
            let mut rng = stream(17, seed);
            (0..60).map(|_| rng.next_u32() % 10 + 1).collect()
        };
        let p_values = |metric| -> Vec<f64> {
            (0..300).map(|seed| test(metric, &ranks(2 * seed), &ranks(2 * seed + 1)).p).collect()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(
            pool.install(|| test(Metric::Mrr(None), &ranks(0), &ranks(1))),
            test(Metric::Mrr(None), &ranks(0), &ranks(1))
        );
        let p = p_values(Metric::Mrr(None));
        for level in [0.1, 0.25, 0.5, 0.75] {
            let below = p.iter().filter(|p| **p <= level).count() as f64 / 300.0;
            // Four standard deviations of 300 draws.
            assert!((below - level).abs() < 4.0 * (level * (1.0 - level) / 300.0).sqrt(), "{below} at {level}");
        }
    }

    #[test]
    fn holm_multiplies_the_least_most_and_never_reorders() {
        let found = holm(&[0.04, 0.01, 0.03, 0.5]);
        let expected = [0.09, 0.04, 0.09, 0.5];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!(holm(&[0.8, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
