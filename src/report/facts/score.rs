//! Values of the matrix, their intervals and their changes.
use serde::Serialize;

use super::super::cut_off::CutOff;
use crate::evaluate::Direction;

/// A changed value counts as changed below this p value.
const SIGNIFICANCE: f64 = 0.05;

/// One checkpoint against an earlier one, over the same queries.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeFacts {
    pub model: String,
    /// The earlier checkpoint.
    pub against: String,
    pub dataset: String,
    pub direction: Direction,
    pub metric: String,
    /// New value less old, both fractions.
    pub change: f64,
    /// Ends of the 95 % interval of the change.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Two-sided, corrected by Holm over the table; absent where it was not tested.
    pub p: Option<f64>,
}

/// A change in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    NoDifference,
    Untested,
}

impl ChangeFacts {
    pub fn verdict(&self) -> Verdict {
        match self.p {
            None => Verdict::Untested,
            Some(p) if p >= SIGNIFICANCE => Verdict::NoDifference,
            Some(_) if self.change > 0.0 => Verdict::Better,
            Some(_) => Verdict::Worse,
        }
    }
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no clear difference",
            Self::Untested => "not tested",
        }
    }
}

/// hit@k of one model over k.
#[derive(Debug, Clone, Serialize)]
pub struct RecallCurve {
    pub model: String,
    pub dataset: String,
    pub direction: Direction,
    /// hit@1, hit@2, … up to 100 or the size of the pool, fractions.
    pub hits: Vec<f64>,
}

/// How similar pairs are that belong together, and pairs that do not.
#[derive(Debug, Clone, Serialize)]
pub struct ScoreHistogram {
    pub model: String,
    pub dataset: String,
    /// Edges of the bins, one more than there are bins.
    pub edges: Vec<f64>,
    /// Queries by the similarity of their best relevant image.
    pub matching: Vec<u64>,
    /// Queries by the similarity of their best irrelevant image.
    pub other: Vec<u64>,
    /// Below it a query has no match; see `calibrate`.
    pub cut_off: Option<CutOff>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_p_makes_a_verdict() {
        let of = |change: f64, p: Option<f64>| {
            let facts = ChangeFacts {
                model: String::new(),
                against: String::new(),
                dataset: String::new(),
                direction: Direction::TextToImage,
                metric: String::new(),
                change,
                lower: None,
                upper: None,
                p,
            };
            facts.verdict()
        };
        assert_eq!(of(0.3, Some(0.001)), Verdict::Better);
        assert_eq!(of(-0.3, Some(0.049)), Verdict::Worse);
        assert_eq!(of(-0.3, Some(0.05)), Verdict::NoDifference);
        assert_eq!(of(-0.3, None), Verdict::Untested);
    }
}
