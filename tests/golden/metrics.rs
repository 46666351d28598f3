use std::collections::{BTreeMap, HashMap};
use std::fs;

use serde::Deserialize;
use tuwen::evaluate::{
    Interval, Metric, Outcome, Paired, ResamplingOptions, holm, improvement_intervals, intervals, measure,
    order_by_score, paired_permutation,
};

use super::fixture;

#[derive(Deserialize)]
struct Fixture {
    runs: Vec<RunCase>,
    significance: Vec<PermutationCase>,
    holm: Vec<HolmCase>,
    intervals: Vec<IntervalCase>,
}

/// Lists run over the queries; null is an infinite rank.
#[derive(Deserialize)]
struct RunCase {
    name: String,
    queries: Vec<String>,
    qrels: Vec<HashMap<String, i64>>,
    run: Vec<Vec<(String, f32)>>,
    per_query: BTreeMap<Metric, Vec<Option<f64>>>,
    aggregate: BTreeMap<Metric, Option<f64>>,
}

#[derive(Deserialize)]
struct PermutationCase {
    clusters: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
    p: BTreeMap<Metric, f64>,
}

#[derive(Deserialize)]
struct HolmCase {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

#[derive(Deserialize)]
struct IntervalCase {
    clusters: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
    mrr: [f64; 2],
    mrr_difference: [f64; 2],
    median_rank: [f64; 2],
}

fn read() -> Fixture {
    serde_json::from_slice(&fs::read(fixture("metrics.json")).unwrap()).unwrap()
}

/// Queries with one relevant document each.
fn outcomes(clusters: &[u32], ranks: &[u32]) -> Vec<Outcome> {
    let pairs = clusters.iter().zip(ranks).zip(0..);
    pairs.map(|((cluster, rank), at)| Outcome::new(&format!("q{at}"), *cluster, [(Some(*rank), 1)])).collect()
}

fn is_near(found: f64, expected: Option<f64>) -> bool {
    let expected = expected.unwrap_or(f64::INFINITY);
    found == expected || (found - expected).abs() < 1e-6
}

#[test]
fn metrics_equal_trec_eval() {
    let mut checked = 0;
    for case in read().runs {
        let outcome = |((query, qrels), mut ranking): ((&String, _), Vec<(String, f32)>)| {
            order_by_score(&mut ranking);
            Outcome::from_ranking(query, 0, ranking.iter().map(|(id, _)| id.as_str()), qrels).unwrap()
        };
        let outcomes: Vec<Outcome> = case.queries.iter().zip(&case.qrels).zip(case.run).map(outcome).collect();
        for (metric, expected) in &case.per_query {
            for (outcome, expected) in outcomes.iter().zip(expected) {
                let found = metric.per_query(outcome);
                assert!(
                    is_near(found, *expected),
                    "{}, `{}`: {metric} {found}, not {expected:?}",
                    case.name,
                    outcome.query
                );
                checked += 1;
            }
        }
        for (metric, expected) in &case.aggregate {
            let found = measure(*metric, &outcomes).unwrap();
            assert!(is_near(found, *expected), "{}: {metric} {found}, not {expected:?}", case.name);
        }
    }
    assert!(checked > 2_500, "only {checked} values");
}

#[test]
fn permutation_tests_equal_scipy() {
    let mut checked = 0;
    for case in read().significance {
        let (before, after) = (outcomes(&case.clusters, &case.before), outcomes(&case.clusters, &case.after));
        let paired = Paired::join(&before, &after).unwrap();
        for (metric, expected) in case.p {
            let found = paired_permutation(metric, &paired, ResamplingOptions::default());
            assert!(found.exact && (found.p - expected).abs() < 1e-9, "{metric}: {found:?}, not {expected}");
            checked += 1;
        }
    }
    assert!(checked >= 13, "only {checked} tests");
}

#[test]
fn corrected_p_values_equal_holms() {
    for case in read().holm {
        let found = holm(&case.p);
        let differs = found.iter().zip(&case.corrected).any(|(a, b)| (a - b).abs() > 1e-9);
        assert!(!differs && found.len() == case.corrected.len(), "{found:?}, not {:?}", case.corrected);
    }
}

#[test]
fn intervals_are_near_those_of_scipy() {
    let options = ResamplingOptions { resamples: 20_000, ..ResamplingOptions::default() };
    let mrr = Metric::Mrr(None);
    for case in read().intervals {
        let (before, after) = (outcomes(&case.clusters, &case.before), outcomes(&case.clusters, &case.after));
        let paired = Paired::join(&before, &after).unwrap();
        let alone = intervals(&[mrr, Metric::MedianRank], &before, options);
        let difference = improvement_intervals(&[mrr], &paired, options);
        // Both draw at random: three in a hundred of the width are allowed, and to a median one step, which is a half.
        let expected = [(case.mrr, 0.0), (case.median_rank, 0.5), (case.mrr_difference, 0.0)];
        for (found, ([lower, upper], step)) in alone.into_iter().chain(difference).map(Option::unwrap).zip(expected) {
            let tolerance = f64::max(0.03 * (upper - lower), step);
            let Interval { lower: low, upper: high } = found;
            let differs = (low - lower).abs() > tolerance || (high - upper).abs() > tolerance;
            assert!(!differs, "{found:?}, not {lower} to {upper}");
        }
    }
}
