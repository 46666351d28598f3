//! The YAML of `kind: evaluate`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;
use crate::data::Split;

/// Measures retrieval of every model on every data set, text to image and image to text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateSpec {
    pub needs: EvaluateNeeds,
    #[serde(default = "default_metrics")]
    #[schemars(length(min = 1))]
    pub metrics: Vec<Metric>,
    /// The split to measure on. Left out: `test` where it has labels, else `valid`, as for MUGE.
    #[serde(default)]
    pub split: Option<Split>,
}

/// Inputs of an evaluation stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateNeeds {
    /// A stage of kind `embed`.
    pub embeddings: String,
    /// A stage of kind `audit`: then every score is given for the queries without a leak too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
}

fn default_metrics() -> Vec<Metric> {
    vec![Metric::Hit(1), Metric::Hit(5), Metric::Hit(10), Metric::MeanRecall]
}
