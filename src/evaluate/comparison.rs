//! What is better, what is worse and what only looks so: a candidate against what is published, on the same queries.
use std::fmt;

use serde::Serialize;

use super::clusters::Prepared;
use super::interval::improvement_intervals;
use super::significance::{holm, paired_permutation};
use super::{Interval, Metric, Outcome, Paired, ResamplingOptions};

/// A comparison; write it as text with [`super::comparison_text`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Queries in both, and the clusters they are in.
    pub queries: usize,
    pub clusters: usize,
    pub only_published: usize,
    pub only_candidate: usize,
    /// Level of the intervals; a corrected p value of at most 1 minus this makes a verdict.
    pub confidence: f64,
    pub changes: Vec<Change>,
    /// One for every `hit@k`.
    pub flips: Vec<Flips>,
}

/// One metric of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub metric: Metric,
    pub published: f64,
    pub candidate: f64,
    /// Positive is better, also where lower values are.
    pub improvement: f64,
    /// Of the improvement; paired and clustered. `None` where there is only one cluster.
    pub interval: Option<Interval>,
    pub p: f64,
    /// Corrected for the number of metrics compared (Holm).
    pub p_holm: f64,
    /// Whether `p` counts every permutation.
    pub p_is_exact: bool,
    pub verdict: Verdict,
}

/// What can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Better,
    Worse,
    NotTold,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NotTold => "no difference that can be told from noise",
        })
    }
}

/// Queries that `hit@k` gained and lost, the greatest change of 1 / rank first, then by id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flips {
    pub metric: Metric,
    pub gained: Vec<QueryChange>,
    pub lost: Vec<QueryChange>,
}

/// One query's best rank on both sides; `None` where nothing relevant was ranked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryChange {
    pub query: String,
    pub published_rank: Option<u32>,
    pub candidate_rank: Option<u32>,
    /// Of 1 / rank, candidate minus published.
    pub reciprocal_change: f64,
}

impl Comparison {
    /// Compares the metrics, which are the family that Holm's correction counts.
    pub fn new(paired: &Paired<'_>, metrics: &[Metric], options: ResamplingOptions) -> Self {
        let tests: Vec<_> = metrics.iter().map(|metric| paired_permutation(*metric, paired, options)).collect();
        let corrected = holm(&tests.iter().map(|test| test.p).collect::<Vec<f64>>());
        let intervals = improvement_intervals(metrics, paired, options);
        let rows = metrics.iter().zip(intervals).zip(tests.iter().zip(corrected));
        let changes = rows.map(|((metric, interval), (test, p_holm))| {
            let (published, candidate) = values(*metric, paired);
            let improvement = metric.improvement(published, candidate);
            let verdict = match p_holm <= 1.0 - options.confidence {
                true if improvement > 0.0 => Verdict::Better,
                true if improvement < 0.0 => Verdict::Worse,
                _ => Verdict::NotTold,
            };
            let (metric, p, p_is_exact) = (*metric, test.p, test.exact);
            Change { metric, published, candidate, improvement, interval, p, p_holm, p_is_exact, verdict }
        });
        Self {
            queries: paired.queries(),
            clusters: paired.cluster_count(),
            only_published: paired.only_published,
            only_candidate: paired.only_candidate,
            confidence: options.confidence,
            changes: changes.collect(),
            flips: metrics
                .iter()
                .filter(|metric| matches!(metric, Metric::Hit(_)))
                .map(|m| flips(*m, paired))
                .collect(),
        }
    }
}

/// The metric over the common queries, published and candidate.
pub(super) fn values(metric: Metric, paired: &Paired<'_>) -> (f64, f64) {
    let once = vec![1; paired.cluster_count()];
    let value = |side: &[&Outcome]| Prepared::new(metric, side, &paired.clusters).value(&once);
    (value(&paired.published), value(&paired.candidate))
}

fn flips(metric: Metric, paired: &Paired<'_>) -> Flips {
    let (mut gained, mut lost) = (Vec::new(), Vec::new());
    for (before, after) in paired.published.iter().zip(&paired.candidate) {
        let reciprocal = |outcome| Metric::Mrr(None).per_query(outcome);
        let change = || QueryChange {
            query: before.query.clone(),
            published_rank: before.best_rank(),
            candidate_rank: after.best_rank(),
            reciprocal_change: reciprocal(after) - reciprocal(before),
        };
        match (metric.per_query(before) > 0.0, metric.per_query(after) > 0.0) {
            (false, true) => gained.push(change()),
            (true, false) => lost.push(change()),
            _ => {}
        }
    }
    // Whole ranks break no ties that 1 / rank does not, and the sort is stable over ids.
    gained.sort_by(|a, b| b.reciprocal_change.total_cmp(&a.reciprocal_change));
    lost.sort_by(|a, b| a.reciprocal_change.total_cmp(&b.reciprocal_change));
    Flips { metric, gained, lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(ranks: [u32; 8]) -> Vec<Outcome> {
        ranks.iter().zip(0..).map(|(rank, at)| Outcome::new(&format!("q{at}"), at, [(Some(*rank), 1)])).collect()
    }

    #[test]
    fn a_verdict_counts_how_many_metrics_were_looked_at() {
        let (published, candidate) = (side([2, 2, 2, 2, 2, 2, 1, 1]), side([1; 8]));
        let paired = Paired::join(&published, &candidate).unwrap();
        let of = |metrics: &[Metric]| Comparison::new(&paired, metrics, ResamplingOptions::default()).changes.remove(0);
        // Six flips one way: 2 of 64 exchanges are as extreme.
        let alone = of(&[Metric::Hit(1)]);
        assert_eq!((alone.p_holm, alone.verdict), (2.0 / 64.0, Verdict::Better));
        let one_of_two = of(&[Metric::Hit(1), Metric::Hit(10)]);
        assert_eq!((one_of_two.p, one_of_two.p_holm, one_of_two.verdict), (2.0 / 64.0, 4.0 / 64.0, Verdict::NotTold));
    }
}
