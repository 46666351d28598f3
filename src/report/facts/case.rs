//! Single queries, stage by stage.
use serde::Serialize;

use super::super::gallery::PictureId;

/// A query of the YAML under every stage.
#[derive(Debug, Clone, Serialize)]
pub struct CaseFacts {
    pub query: String,
    pub stages: Vec<CaseStage>,
}

/// The first images that a stage finds.
#[derive(Debug, Clone, Serialize)]
pub struct CaseStage {
    pub model: String,
    /// At most five, best first.
    pub hits: Vec<CaseHit>,
}

/// A found image.
#[derive(Debug, Clone, Serialize)]
pub struct CaseHit {
    pub id: String,
    /// Its first caption.
    pub text: String,
    pub dataset: String,
    pub split: String,
    /// Cosine similarity to the query.
    pub score: f32,
    pub truth: Truth,
    pub picture: Option<PictureId>,
}

/// What the labels say of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    Right,
    Wrong,
    /// No label speaks of this query.
    Unknown,
}

impl CaseStage {
    /// Whether one of the first `k` hits is right; nothing where the truth is not known.
    pub fn right_within(&self, k: usize) -> Option<bool> {
        let known = self.hits.iter().any(|hit| hit.truth != Truth::Unknown);
        known.then(|| self.hits.iter().take(k).any(|hit| hit.truth == Truth::Right))
    }
}

/// Queries of a data set whose rank says most, text → image.
#[derive(Debug, Clone, Serialize)]
pub struct RankFacts {
    pub dataset: String,
    /// The two checkpoints that are compared, earlier first.
    pub before: String,
    pub after: String,
    /// Images that are ranked.
    pub pool: u64,
    /// Ranks that rose most, best first.
    pub best: Vec<RankChange>,
    /// Ranks that are lowest under the later checkpoint, worst first.
    pub worst: Vec<RankChange>,
}

/// One query and the rank of its first relevant image, from 1.
#[derive(Debug, Clone, Serialize)]
pub struct RankChange {
    pub query: String,
    pub rank_before: u64,
    pub rank_after: u64,
    /// The relevant image.
    pub picture: Option<PictureId>,
    pub image_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(truths: &[Truth]) -> CaseStage {
        let hit = |truth: &Truth| CaseHit {
            id: String::new(),
            text: String::new(),
            dataset: String::new(),
            split: String::new(),
            score: 0.0,
            truth: *truth,
            picture: None,
        };
        CaseStage { model: String::new(), hits: truths.iter().map(hit).collect() }
    }

    #[test]
    fn a_hit_counts_within_its_rank_and_unknown_truth_is_no_miss() {
        let second = stage(&[Truth::Wrong, Truth::Right]);
        assert_eq!((second.right_within(1), second.right_within(5)), (Some(false), Some(true)));
        assert_eq!(stage(&[Truth::Unknown; 5]).right_within(5), None);
    }
}
