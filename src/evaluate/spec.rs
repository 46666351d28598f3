//! The YAML of `kind: evaluate`.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, GateSpec, Metric};
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
    /// Who asks whom.
    #[serde(default = "default_directions")]
    #[schemars(length(min = 1))]
    pub directions: Vec<Direction>,
    /// Parts of the queries that are scored by themselves too, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GroupSpec>,
    /// A condition on a new release, against the one that is published: `tuwen run` ends with exit 3 if it fails. The last
    /// model is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSpec>,
}

/// Which queries are in a group: SQL over the columns of their table, such as `text LIKE '%碳纤维%'`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Where texts ask.
    #[serde(default)]
    pub texts: Option<String>,
    /// Where images ask.
    #[serde(default)]
    pub images: Option<String>,
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
    /// A stage of kind `index` over the same embeddings: then every loss is assigned to encoder, index, tokenizer or
    /// fusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

fn default_directions() -> Vec<Direction> {
    Direction::CROSS_MODAL.to_vec()
}

fn default_metrics() -> Vec<Metric> {
    vec![Metric::Hit(1), Metric::Hit(5), Metric::Hit(10), Metric::MeanRecall]
}
