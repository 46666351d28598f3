//! The YAML of `kind: embed`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Precision;

/// Embeds images and texts of every split with every model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedSpec {
    pub needs: EmbedNeeds,
    /// Items per call of the model; changes speed, not results.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    #[serde(default)]
    pub precision: Precision,
}

/// Inputs of an embedding stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedNeeds {
    /// Stages of kind `model` or `finetune`, in the order the report shows them.
    #[schemars(length(min = 1))]
    pub models: Vec<String>,
    /// Stages of kind `ingest`.
    #[schemars(length(min = 1))]
    pub data: Vec<String>,
}

fn default_batch_size() -> usize {
    64
}
