//! The YAML of `fusion`: how the two sides of an index become one list.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Leg, RANK_CONSTANT, convex_combination, distribution_fusion, reciprocal_rank_fusion};

/// How the lists of keywords and vectors are fused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum FusionSpec {
    /// Reciprocal rank fusion: by ranks alone.
    Rrf {
        /// The larger, the less the first ranks stand out.
        #[serde(default = "default_rank_constant")]
        #[schemars(range(min = 0.0))]
        k: f64,
        #[serde(default)]
        weights: LegWeights,
    },
    /// Weighted scores, each list's brought to 0..=1.
    Convex {
        /// Weight of the vectors, a fraction in 0..=1; the keywords get the rest.
        #[serde(default = "default_alpha")]
        #[schemars(range(min = 0.0, max = 1.0))]
        alpha: f64,
    },
    /// Weighted scores by where they lie between mean - 3σ and mean + 3σ of their list.
    Dbsf {
        #[serde(default)]
        weights: LegWeights,
    },
}

/// What the word of each side counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegWeights {
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0.0))]
    pub keywords: f64,
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0.0))]
    pub vectors: f64,
}

impl FusionSpec {
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

    /// What is wrong with the numbers, if something is.
    pub fn problem(&self) -> Option<&'static str> {
        let bad = |weights: LegWeights| {
            let both = [weights.keywords, weights.vectors];
            both.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || both.iter().sum::<f64>() == 0.0
        };
        match *self {
            Self::Rrf { k, .. } if !k.is_finite() || k < 0.0 => Some("`k` must be 0 or more"),
            Self::Rrf { weights, .. } | Self::Dbsf { weights } if bad(weights) => {
                Some("weights must be 0 or more, and one of them above 0")
            }
            Self::Convex { alpha } if !(0.0..=1.0).contains(&alpha) => Some("`alpha` must lie in 0..=1"),
            _ => None,
        }
    }
}

impl Default for FusionSpec {
    fn default() -> Self {
        Self::Rrf { k: default_rank_constant(), weights: LegWeights::default() }
    }
}

impl Default for LegWeights {
    fn default() -> Self {
        Self { keywords: default_weight(), vectors: default_weight() }
    }
}

fn default_rank_constant() -> f64 {
    RANK_CONSTANT
}

fn default_alpha() -> f64 {
    0.5
}

fn default_weight() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<FusionSpec, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(parse(r#"{"method": "rrf"}"#).unwrap(), FusionSpec::default());
        let weights = LegWeights { keywords: 0.5, vectors: 1.0 };
        assert_eq!(parse(r#"{"method": "dbsf", "weights": {"keywords": 0.5}}"#).unwrap(), FusionSpec::Dbsf { weights });
        assert!(parse(r#"{"method": "rrf", "alpha": 0.5}"#).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(
            parse(r#"{"method": "convex", "alpha": 1.5}"#).unwrap().problem(),
            Some("`alpha` must lie in 0..=1")
        );
        let none = LegWeights { keywords: 0.0, vectors: 0.0 };
        assert!(FusionSpec::Dbsf { weights: none }.problem().is_some());
        assert_eq!(FusionSpec::default().problem(), None);
    }
}
