//! Several ranked lists as one: by ranks, by weighted scores, or by scores in units of their spread.

mod convex;
mod distribution;
mod reciprocal_rank;
mod spec;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use convex::{AlphaQuery, TunedAlpha, convex_combination, tune_alpha};
pub use distribution::distribution_fusion;
pub use reciprocal_rank::{RANK_CONSTANT, reciprocal_rank_fusion};
pub use spec::{AlphaSpec, EVEN_ALPHA, FusionSpec, LegWeights, Tuned};

/// How an index fuses its two sides, all numbers known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Fusion {
    Rrf { k: f64, weights: LegWeights },
    Convex { alpha: f64 },
    Dbsf { weights: LegWeights },
}

/// A ranked list of `(document number, score)`, best first, and what its word counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg<'a> {
    pub hits: &'a [(usize, f32)],
    pub weight: f64,
}

impl Fusion {
    /// The best `count` of both lists, best first, equal scores in document order.
    pub fn fuse(&self, keywords: &[(usize, f32)], vectors: &[(usize, f32)], count: usize) -> Vec<(usize, f32)> {
        let legs = |weights: LegWeights| {
            [Leg { hits: keywords, weight: weights.keywords }, Leg { hits: vectors, weight: weights.vectors }]
        };
        match *self {
            Self::Rrf { k, weights } => reciprocal_rank_fusion(&legs(weights), k, count),
            Self::Dbsf { weights } => distribution_fusion(&legs(weights), count),
            Self::Convex { alpha } => {
                convex_combination(&legs(LegWeights { keywords: 1.0 - alpha, vectors: alpha }), count)
            }
        }
    }
}

/// Adds up what the legs give to each document; best `count` first, equal sums in document order.
fn add_up(parts: impl Iterator<Item = (usize, f64)>, count: usize) -> Vec<(usize, f32)> {
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for (document, part) in parts {
        *sums.entry(document).or_default() += part;
    }
    let mut fused: Vec<(usize, f64)> = sums.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fused.truncate(count);
    fused.into_iter().map(|(document, sum)| (document, sum as f32)).collect()
}
