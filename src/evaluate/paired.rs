//! Two evaluations of the same queries, joined by query id.
use std::collections::BTreeMap;

use super::clusters::Clusters;
use super::{EvaluateError, Outcome};
use crate::ingest::UnionFind;

/// The queries that both evaluations answer, in the order of their ids.
#[derive(Debug, Clone)]
pub struct Paired<'a> {
    pub published: Vec<&'a Outcome>,
    pub candidate: Vec<&'a Outcome>,
    /// Queries of the published evaluation that the candidate lacks.
    pub only_published: usize,
    pub only_candidate: usize,
    pub(super) clusters: Clusters,
}

impl<'a> Paired<'a> {
    /// Joins two evaluations. Fails where one holds a query twice, where the two judge a query differently, and where
    /// they have no query in common.
    pub fn join(published: &'a [Outcome], candidate: &'a [Outcome]) -> Result<Self, EvaluateError> {
        let (by_id, candidates) = (by_query(published)?, by_query(candidate)?);
        let mut pairs = Vec::new();
        for (query, before) in &by_id {
            let Some(after) = candidates.get(query) else { continue };
            if before.ideal != after.ideal {
                return Err(EvaluateError::DifferentJudgements { query: (*query).to_owned() });
            }
            pairs.push((*before, *after));
        }
        if pairs.is_empty() {
            return Err(EvaluateError::NoCommonQueries { published: published.len(), candidate: candidate.len() });
        }
        let (published, candidate): (Vec<&Outcome>, Vec<&Outcome>) = pairs.into_iter().unzip();
        Ok(Self {
            only_published: by_id.len() - published.len(),
            only_candidate: candidates.len() - candidate.len(),
            clusters: joint_clusters([&published, &candidate]),
            published,
            candidate,
        })
    }

    /// Queries in both.
    pub fn queries(&self) -> usize {
        self.published.len()
    }

    /// Independent groups of these queries.
    pub fn cluster_count(&self) -> usize {
        self.clusters.count
    }

    /// Whether every query found the same documents at the same ranks.
    pub fn is_identical(&self) -> bool {
        self.published.iter().zip(&self.candidate).all(|(before, after)| before.found == after.found)
    }
}

fn by_query(outcomes: &[Outcome]) -> Result<BTreeMap<&str, &Outcome>, EvaluateError> {
    let mut by_id = BTreeMap::new();
    for outcome in outcomes {
        if by_id.insert(outcome.query.as_str(), outcome).is_some() {
            return Err(EvaluateError::DuplicateQuery { query: outcome.query.clone() });
        }
    }
    Ok(by_id)
}

/// Queries are together where either side has them together: the sides may number the same clusters differently.
fn joint_clusters(sides: [&[&Outcome]; 2]) -> Clusters {
    let count = sides[0].len();
    let mut sets = UnionFind::of(count);
    for side in sides {
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        for (position, outcome) in side.iter().enumerate() {
            sets.join(*first.entry(outcome.cluster).or_insert(position), position);
        }
    }
    let roots: Vec<usize> = (0..count).map(|position| sets.root(position)).collect();
    Clusters::number(&roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(query: &str, cluster: u32, rank: u32) -> Outcome {
        Outcome::new(query, cluster, [(Some(rank), 1)])
    }

    #[test]
    fn only_common_queries_are_compared_whatever_their_order() {
        let published = [outcome("c", 0, 3), outcome("a", 0, 1), outcome("x", 1, 1)];
        let candidate = [outcome("a", 7, 2), outcome("y", 7, 1), outcome("z", 7, 1), outcome("c", 8, 4)];
        let paired = Paired::join(&published, &candidate).unwrap();
        let ranks = |side: &[&Outcome]| side.iter().filter_map(|outcome| outcome.best_rank()).collect::<Vec<_>>();
        assert_eq!((ranks(&paired.published), ranks(&paired.candidate)), (vec![1, 3], vec![2, 4]));
        assert_eq!((paired.queries(), paired.only_published, paired.only_candidate), (2, 1, 2));
        assert_eq!(paired.cluster_count(), 1);
        assert!(!paired.is_identical());
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let one = [outcome("a", 0, 1)];
        let twice = [outcome("a", 0, 1), outcome("a", 0, 2)];
        assert!(matches!(Paired::join(&one, &twice), Err(EvaluateError::DuplicateQuery { .. })));
        let other = [Outcome::new("a", 0, [(Some(1), 1), (None, 1)])];
        assert!(matches!(Paired::join(&one, &other), Err(EvaluateError::DifferentJudgements { .. })));
        let none = Paired::join(&one, &[]);
        assert!(matches!(none, Err(EvaluateError::NoCommonQueries { published: 1, candidate: 0 })));
    }
}
