//! The YAML of `fusion`: how the two sides of an index become one list.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fusion, RANK_CONSTANT};

/// Both sides count the same.
pub const EVEN_ALPHA: f64 = 0.5;

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
        /// Weight of the vectors, a fraction in 0..=1; the keywords get the rest. `tuned` finds it on the validation splits.
        #[serde(default)]
        alpha: AlphaSpec,
    },
    /// Weighted scores by where they lie between mean - 3σ and mean + 3σ of their list.
    Dbsf {
        #[serde(default)]
        weights: LegWeights,
    },
}

/// Where the weight of a convex combination comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AlphaSpec {
    Fixed(#[schemars(range(min = 0.0, max = 1.0))] f64),
    Tuned(Tuned),
}

/// The word for a weight that is found on the validation splits of the indexed data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tuned {
    Tuned,
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
    /// With all numbers known; a weight that has to be tuned is `tuned`.
    pub fn with_alpha(self, tuned: f64) -> Fusion {
        match self {
            Self::Rrf { k, weights } => Fusion::Rrf { k, weights },
            Self::Dbsf { weights } => Fusion::Dbsf { weights },
            Self::Convex { alpha: AlphaSpec::Fixed(alpha) } => Fusion::Convex { alpha },
            Self::Convex { alpha: AlphaSpec::Tuned(_) } => Fusion::Convex { alpha: tuned },
        }
    }

    /// Whether its weight has to be found first.
    pub fn is_tuned(&self) -> bool {
        matches!(self, Self::Convex { alpha: AlphaSpec::Tuned(_) })
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
            Self::Convex { alpha: AlphaSpec::Fixed(alpha) } if !(0.0..=1.0).contains(&alpha) => {
                Some("`alpha` must lie in 0..=1")
            }
            _ => None,
        }
    }
}

impl Default for FusionSpec {
    fn default() -> Self {
        Self::Rrf { k: default_rank_constant(), weights: LegWeights::default() }
    }
}

impl Default for AlphaSpec {
    fn default() -> Self {
        Self::Fixed(EVEN_ALPHA)
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
        let even = FusionSpec::Convex { alpha: AlphaSpec::Fixed(0.5) };
        assert_eq!(parse(r#"{"method": "convex"}"#).unwrap(), even);
        let tuned = parse(r#"{"method": "convex", "alpha": "tuned"}"#).unwrap();
        assert!(tuned.is_tuned() && !even.is_tuned());
        assert_eq!(tuned.with_alpha(0.7), Fusion::Convex { alpha: 0.7 });
        assert!(parse(r#"{"method": "convex", "alpha": "guessed"}"#).is_err());
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
