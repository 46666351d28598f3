//! How much the neighbours of the same queries change from one model or index to the next.
use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::Ranking;

/// Persistence of rank-biased overlap: the first 10 documents carry 86 % of the weight.
const PERSISTENCE: f64 = 0.9;

/// What changed in the first k documents, over the queries that both sides answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Churn {
    pub k: usize,
    pub queries: usize,
    pub only_before: usize,
    pub only_after: usize,
    /// Mean share of the first k documents that both have; of the longer list where both are shorter than k.
    pub overlap: f64,
    /// Mean rank-biased overlap of the first k (p = 0.9), extrapolated (Webber, Moffat and Zobel, 2010).
    pub rank_biased_overlap: f64,
    /// Share of the queries whose first document is another.
    pub first_changed: f64,
}

/// Compares two sets of rankings. `None` where `k` is 0 or no query is in both. Two empty rankings are equal.
pub fn churn(before: &[Ranking], after: &[Ranking], k: usize) -> Option<Churn> {
    let by_query = |rankings: &[Ranking]| -> BTreeMap<String, Vec<String>> {
        let first = |ranking: &Ranking| ranking.documents.iter().take(k).map(|(id, _)| id.clone()).collect();
        rankings.iter().map(|ranking| (ranking.query_id.clone(), first(ranking))).collect()
    };
    let (before, after) = (by_query(before), by_query(after));
    let pairs: Vec<(&[String], &[String])> =
        before.iter().filter_map(|(query, a)| Some((a.as_slice(), after.get(query)?.as_slice()))).collect();
    if pairs.is_empty() || k == 0 {
        return None;
    }
    let mean = |value: fn(&[String], &[String]) -> f64| {
        pairs.iter().map(|(a, b)| value(a, b)).sum::<f64>() / pairs.len() as f64
    };
    Some(Churn {
        k,
        queries: pairs.len(),
        only_before: before.len() - pairs.len(),
        only_after: after.len() - pairs.len(),
        overlap: mean(overlap),
        rank_biased_overlap: mean(rank_biased_overlap),
        first_changed: mean(|a, b| f64::from(u8::from(a.first() != b.first()))),
    })
}

fn overlap(a: &[String], b: &[String]) -> f64 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    let known: HashSet<&String> = a.iter().collect();
    b.iter().filter(|id| known.contains(id)).count() as f64 / longer as f64
}

/// Over the depth of the shorter list; 0 where only one is empty.
fn rank_biased_overlap(a: &[String], b: &[String]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::from(u8::from(a.len() == b.len()));
    }
    let (mut seen_a, mut seen_b) = (HashSet::new(), HashSet::new());
    let (mut common, mut sum, mut weight, mut agreement) = (0usize, 0.0, 1.0, 0.0);
    for ((x, y), depth) in a.iter().zip(b).zip(1..) {
        seen_a.insert(x);
        seen_b.insert(y);
        common += usize::from(seen_b.contains(x)) + usize::from(x != y && seen_a.contains(y));
        agreement = common as f64 / f64::from(depth);
        weight *= PERSISTENCE;
        sum += agreement * weight;
    }
    agreement * weight + (1.0 - PERSISTENCE) / PERSISTENCE * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rankings(lists: &[(&str, &str)]) -> Vec<Ranking> {
        let ranking = |(query, documents): &(&str, &str)| Ranking {
            query_id: (*query).to_owned(),
            documents: documents.chars().map(|id| (id.to_string(), 0.0)).collect(),
        };
        lists.iter().map(ranking).collect()
    }

    #[test]
    fn overlap_ignores_order_and_the_first_place_does_not() {
        let before = rankings(&[("q1", "abcd"), ("q2", "abcd"), ("gone", "a")]);
        let after = rankings(&[("q2", "abxy"), ("q1", "badc"), ("new", "a"), ("newer", "a")]);
        let found = churn(&before, &after, 4).unwrap();
        assert_eq!((found.queries, found.only_before, found.only_after), (2, 1, 2));
        assert_eq!((found.overlap, found.first_changed), (0.75, 0.5));
        assert_eq!(churn(&before, &after, 1).unwrap().overlap, 0.5);
    }

    #[test]
    fn short_lists_that_are_equal_have_not_changed() {
        let same = rankings(&[("q1", "abc"), ("q2", "")]);
        let found = churn(&same, &same, 10).unwrap();
        assert_eq!((found.overlap, found.first_changed), (1.0, 0.0));
        assert!((found.rank_biased_overlap - 1.0).abs() < 1e-12);
        let shorter = rankings(&[("q1", "ab"), ("q2", "a")]);
        assert_eq!(churn(&same, &shorter, 10).unwrap().overlap, 1.0 / 3.0);
        assert_eq!(churn(&same, &[], 10), None);
        assert_eq!(churn(&same, &same, 0), None);
    }

    #[test]
    fn rank_biased_overlap_equals_the_rbo_package() {
        let of = |b| churn(&rankings(&[("q", "abcdef")]), &rankings(&[("q", b)]), 6).unwrap().rank_biased_overlap;
        // `rbo` 0.1.3, `rbo_ext(p=0.9)`.
        for (other, expected) in
            [("abcdfe", 0.986_878), ("bacdef", 0.9), ("fedcba", 0.679_428), ("abcxyz", 0.660_286), ("uvwxyz", 0.0)]
        {
            assert!((of(other) - expected).abs() < 1e-6, "{other}: {}", of(other));
        }
    }
}
