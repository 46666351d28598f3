//! What retrieval gave one query: the ranks of its relevant documents, all that any metric needs.
use std::collections::{HashMap, HashSet};

use super::EvaluateError;

/// What retrieval gave one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub query: String,
    /// Queries of one cluster are not independent (captions of one image, images of one caption).
    pub cluster: u32,
    /// (rank from 1, gain) of every relevant document that was ranked, ascending by rank.
    pub found: Vec<(u32, u32)>,
    /// Gains (>0) of all relevant documents, descending; its length is the number of relevant documents.
    pub ideal: Vec<u32>,
}

impl Outcome {
    /// From the rank (from 1, `None` where it was not ranked) and the gain of every judged document, in any order.
    /// Documents without a gain are not relevant and take no part.
    pub fn new(query: &str, cluster: u32, judged: impl IntoIterator<Item = (Option<u32>, u32)>) -> Self {
        let relevant: Vec<(Option<u32>, u32)> = judged.into_iter().filter(|(_, gain)| *gain > 0).collect();
        let mut found: Vec<(u32, u32)> = relevant.iter().filter_map(|(rank, gain)| Some(((*rank)?, *gain))).collect();
        found.sort_unstable();
        let mut ideal: Vec<u32> = relevant.into_iter().map(|(_, gain)| gain).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Self { query: query.to_owned(), cluster, found, ideal }
    }

    /// From documents in ranked order and the judgements of the query (relevance above 0 is relevant, and is the
    /// gain), as from files of other tools. A query that was not answered has an empty ranking and counts as zero, as
    /// with `trec_eval -c`. Fails where the ranking holds a document twice, as `trec_eval` does.
    pub fn from_ranking<'a>(
        query: &str,
        cluster: u32,
        ranking: impl IntoIterator<Item = &'a str>,
        qrels: &HashMap<String, i64>,
    ) -> Result<Self, EvaluateError> {
        let mut ranks: HashMap<&str, u32> = HashMap::new();
        let mut seen = HashSet::new();
        for (document, rank) in ranking.into_iter().zip(1..) {
            if !seen.insert(document) {
                return Err(EvaluateError::DuplicateDocument {
                    query: query.to_owned(),
                    document: document.to_owned(),
                });
            }
            if qrels.contains_key(document) {
                ranks.insert(document, rank);
            }
        }
        let gain = |relevance: i64| u32::try_from(relevance.max(0)).unwrap_or(u32::MAX);
        let judged = qrels.iter().map(|(id, relevance)| (ranks.get(id.as_str()).copied(), gain(*relevance)));
        Ok(Self::new(query, cluster, judged))
    }

    /// Whether anything is relevant. Every fraction is 0 for a query where nothing is, as with `trec_eval`; leave such
    /// queries out to average over labelled queries only.
    pub fn is_labelled(&self) -> bool {
        !self.ideal.is_empty()
    }

    /// Rank (from 1) of the first relevant document; `None` if none was ranked.
    pub fn best_rank(&self) -> Option<u32> {
        self.found.first().map(|(rank, _)| *rank)
    }
}

/// Sorts documents as `trec_eval` does whatever the ranks in the file say: the higher score (f32) first; of equal
/// scores, the id that is greater byte by byte. Scores that are not a number come last.
pub fn order_by_score(documents: &mut [(String, f32)]) {
    // Adding zero makes -0 and 0 the same to `total_cmp`.
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 };
    documents.sort_unstable_by(|(a, a_score), (b, b_score)| {
        let by_score = a_score.is_nan().cmp(&b_score.is_nan()).then(key(*b_score).total_cmp(&key(*a_score)));
        by_score.then_with(|| b.as_bytes().cmp(a.as_bytes()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qrels(judged: &[(&str, i64)]) -> HashMap<String, i64> {
        judged.iter().map(|(id, relevance)| ((*id).to_owned(), *relevance)).collect()
    }

    #[test]
    fn only_documents_above_zero_are_relevant() {
        let judged = qrels(&[("a", 2), ("b", 0), ("c", -1), ("d", 3), ("e", 1)]);
        let outcome = Outcome::from_ranking("q", 4, ["x", "a", "b", "c", "d"], &judged).unwrap();
        assert_eq!(outcome.found, [(2, 2), (5, 3)]);
        assert_eq!(outcome.ideal, [3, 2, 1]);
        assert_eq!((outcome.best_rank(), outcome.cluster), (Some(2), 4));
        let nothing = Outcome::from_ranking("q", 0, ["b"], &qrels(&[("b", 0)])).unwrap();
        assert!(!nothing.is_labelled());
    }

    #[test]
    fn a_document_ranked_twice_is_refused() {
        let error = Outcome::from_ranking("q7", 0, ["x", "y", "x"], &qrels(&[("y", 1)])).unwrap_err();
        assert!(
            matches!(error, EvaluateError::DuplicateDocument { query, document } if query == "q7" && document == "x")
        );
    }

    #[test]
    fn equal_scores_are_ordered_by_descending_id() {
        let named = |pairs: &[(&str, f32)]| pairs.iter().map(|(id, s)| ((*id).to_owned(), *s)).collect::<Vec<_>>();
        let mut documents = named(&[
            ("nan", f32::NAN),
            ("a10", 0.0),
            ("low", f32::NEG_INFINITY),
            ("a9", -0.0),
            ("图", 0.0),
            ("a", 1.0),
        ]);
        order_by_score(&mut documents);
        let order: Vec<&str> = documents.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(order, ["a", "图", "a9", "a10", "low", "nan"]);
    }
}
