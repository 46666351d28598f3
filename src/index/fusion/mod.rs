//! Several ranked lists as one: by ranks, by weighted scores, or by scores in units of their spread.

mod convex;
mod distribution;
mod reciprocal_rank;
mod spec;

use std::collections::BTreeMap;

pub use convex::{AlphaQuery, TunedAlpha, convex_combination, tune_alpha};
pub use distribution::distribution_fusion;
pub use reciprocal_rank::{RANK_CONSTANT, reciprocal_rank_fusion};
pub use spec::{FusionSpec, LegWeights};

/// A ranked list of `(document number, score)`, best first, and what its word counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg<'a> {
    pub hits: &'a [(usize, f32)],
    pub weight: f64,
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
