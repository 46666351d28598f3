//! Rankings held against the truth: what was found where, query by query.
use std::collections::HashMap;

use crate::evaluate::{Outcome, Ranking};
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
pub fn outcomes(judgements: &[Judgements], rankings: &[Ranking]) -> Vec<Outcome> {
    let judged = last_of_each(judgements, |entry| &entry.query_id);
    let ranked: HashMap<&str, &Ranking> = rankings.iter().map(|r| (r.query_id.as_str(), r)).collect();
    let gains: Vec<Gains> = judged.iter().map(|entry| relevant(entry)).collect();
    let clusters = clusters(&gains);
    let outcome = |((entry, gains), cluster): ((&&Judgements, &Gains), u32)| {
        let documents = ranked.get(entry.query_id.as_str()).map_or(&[][..], |ranking| &ranking.documents);
        let gain = |id: &str| gains.binary_search_by(|(document, _)| (*document).cmp(id)).ok().map(|at| gains[at].1);
        let hit = |((id, _), rank): (&(String, f32), u32)| Some((rank, gain(id)?));
        let mut ideal: Vec<u32> = gains.iter().map(|(_, gain)| *gain).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Outcome {
            query: entry.query_id.clone(),
            cluster,
            found: documents.iter().zip(1..).filter_map(hit).collect(),
            ideal,
        }
    };
    judged.iter().zip(&gains).zip(clusters).map(outcome).collect()
}

/// The last entry of every key, in the order in which the keys first appear.
fn last_of_each<T>(entries: &[T], key: impl Fn(&T) -> &str) -> Vec<&T> {
    let mut place: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut last: Vec<&T> = Vec::with_capacity(entries.len());
    for entry in entries {
        let at = *place.entry(key(entry)).or_insert(last.len());
        if at == last.len() {
            last.push(entry);
        } else {
            last[at] = entry;
        }
    }
    last
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
