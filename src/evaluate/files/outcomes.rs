//! Rankings held against the truth: what was found where, query by query.
use std::collections::HashMap;

use crate::evaluate::{Outcome, RankedList};
use crate::ingest::UnionFind;

/// What is relevant to one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgements {
    pub query_id: String,
    /// Documents with their gains; a gain of 0 is a document that was judged and is not relevant.
    pub gains: Vec<(String, u32)>,
}

/// Documents with their gains.
type Gains<'a> = Vec<(&'a str, u32)>;

/// One outcome for each judged query, in the order of the judgements.
///
/// A query without a ranking found nothing; a ranking without a judged query does not count. Of two entries for one
/// query the last counts and stands in the place of the first, as in the reference's dictionaries. Queries that share a
/// relevant document, directly or through others, are one cluster; clusters are numbered as they appear.
pub fn outcomes(judgements: &[Judgements], rankings: &[impl RankedList]) -> Vec<Outcome> {
    let judged = JudgedQueries::new(judgements);
    let found: Vec<FoundRanks> = rankings.iter().filter_map(|ranking| judged.found(ranking)).collect();
    judged.outcomes(found)
}

/// Judged queries, ready to be compared with rankings as these come.
#[derive(Debug)]
pub struct JudgedQueries<'a> {
    entries: Vec<&'a Judgements>,
    places: HashMap<&'a str, usize>,
    gains: Vec<Gains<'a>>,
}

/// Place of a query, and ranks from 1 with gains of the relevant documents that were found.
pub type FoundRanks = (usize, Vec<(u32, u32)>);

impl<'a> JudgedQueries<'a> {
    /// The last entry of every query, in the order in which the queries first appear.
    pub fn new(judgements: &'a [Judgements]) -> Self {
        let mut places = HashMap::with_capacity(judgements.len());
        let mut entries: Vec<&Judgements> = Vec::with_capacity(judgements.len());
        for entry in judgements {
            let at = *places.entry(entry.query_id.as_str()).or_insert(entries.len());
            match entries.get_mut(at) {
                Some(before) => *before = entry,
                None => entries.push(entry),
            }
        }
        let gains = entries.iter().map(|entry| relevant(entry)).collect();
        Self { entries, places, gains }
    }

    /// What a ranking found; `None` if its query is not judged.
    pub fn found(&self, ranking: &impl RankedList) -> Option<FoundRanks> {
        let place = *self.places.get(ranking.query_id())?;
        let gains = &self.gains[place];
        let gain = |id: &str| gains.binary_search_by(|(document, _)| (*document).cmp(id)).ok().map(|at| gains[at].1);
        Some((place, ranking.document_ids().zip(1..).filter_map(|(id, rank)| Some((rank, gain(id)?))).collect()))
    }

    /// One outcome for each query, from what was found; of two findings for one the last counts.
    pub fn outcomes(&self, found: impl IntoIterator<Item = FoundRanks>) -> Vec<Outcome> {
        let mut ranks = vec![Vec::new(); self.entries.len()];
        found.into_iter().for_each(|(place, found)| ranks[place] = found);
        let mut outcomes = Vec::with_capacity(self.entries.len());
        for (((entry, gains), cluster), found) in
            self.entries.iter().zip(&self.gains).zip(clusters(&self.gains)).zip(ranks)
        {
            let mut ideal: Vec<u32> = gains.iter().map(|(_, gain)| *gain).collect();
            ideal.sort_unstable_by(|a, b| b.cmp(a));
            outcomes.push(Outcome { query: entry.query_id.clone(), cluster, found, ideal });
        }
        outcomes
    }
}

/// Gains above 0, in the order of the documents; of one that is given twice the highest counts.
fn relevant(entry: &Judgements) -> Gains<'_> {
    let above_zero = entry.gains.iter().filter(|(_, gain)| *gain > 0);
    let mut gains: Gains = above_zero.map(|(document, gain)| (document.as_str(), *gain)).collect();
    gains.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    gains.dedup_by_key(|(document, _)| *document);
    gains
}

/// Number of the connected component of every query.
fn clusters(gains: &[Gains]) -> Vec<u32> {
    let mut sets = UnionFind::of(gains.len());
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(gains.len());
    for (query, gains) in gains.iter().enumerate() {
        for (document, _) in gains {
            let other = *first.entry(document).or_insert(query);
            sets.join(query, other);
        }
    }
    let (mut numbers, mut next) = (vec![None; gains.len()], 0);
    let number = |query| {
        *numbers[sets.root(query)].get_or_insert_with(|| {
            next += 1;
            next - 1
        })
    };
    (0..gains.len()).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Ranking;

    fn judged(query: &str, gains: &[(&str, u32)]) -> Judgements {
        let gains = gains.iter().map(|(id, gain)| ((*id).to_owned(), *gain)).collect();
        Judgements { query_id: query.to_owned(), gains }
    }

    #[test]
    fn ranks_and_gains_are_those_of_the_relevant_documents_and_queries_share_clusters_through_them() {
        let judgements = [
            judged("a", &[("1", 2), ("2", 1), ("9", 0)]),
            judged("b", &[("7", 1)]),
            judged("c", &[("3", 1), ("2", 1)]),
            judged("d", &[]),
        ];
        let documents = ["9", "2", "5", "1"].map(|id| (id.to_owned(), 0.0)).to_vec();
        let rankings = [Ranking { query_id: "a".into(), documents }];
        let found = outcomes(&judgements, &rankings);
        assert_eq!(found[0].found, [(2, 1), (4, 2)]);
        assert_eq!(found[0].ideal, [2, 1]);
        assert_eq!(found.iter().map(|o| o.cluster).collect::<Vec<_>>(), [0, 1, 0, 2]);
        assert!(found[1].found.is_empty() && found[3].ideal.is_empty());
    }

    #[test]
    fn the_last_of_two_entries_counts() {
        let judgements = [judged("a", &[("1", 1)]), judged("b", &[]), judged("a", &[("2", 1)])];
        let ranking = |id: &str| Ranking { query_id: "a".into(), documents: vec![(id.to_owned(), 0.0)] };
        let found = outcomes(&judgements, &[ranking("1"), ranking("2")]);
        assert_eq!((found.len(), found[0].found.as_slice()), (2, &[(1, 1)][..]));
    }
}
