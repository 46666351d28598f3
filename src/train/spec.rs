//! The YAML of `kind: model` and `kind: finetune`.
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::AugmentSpec;
use crate::model::Precision;

/// The starting checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name of the architecture, e.g. `ViT-B-16`.
    pub preset: String,
    /// Weights of the reference, `.pt` or `.safetensors`; random initialisation if left out. A relative path starts at
    /// the pipeline file.
    #[serde(default)]
    pub weights: Option<PathBuf>,
    /// Another text tower than the preset's own, e.g. `RBT3-chinese`.
    #[serde(default)]
    pub text_model: Option<String>,
    /// Side of the square input in pixels, a multiple of the patch size; the preset's own if left out. Position
    /// embeddings of the weights are interpolated.
    #[serde(default)]
    #[schemars(range(min = 14, max = 1024))]
    pub image_resolution: Option<usize>,
    /// Tokens per text, `[CLS]` and `[SEP]` included; the preset's own if left out.
    #[serde(default)]
    #[schemars(range(min = 3, max = 512))]
    pub context_length: Option<usize>,
}

/// One stage of fine-tuning; the defaults are the reference's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneSpec {
    pub needs: FinetuneNeeds,
    #[schemars(range(min = 1))]
    pub epochs: u32,
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Peak of the schedule.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    #[serde(default = "default_weight_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Steps of linear warm-up before the cosine decay.
    #[serde(default = "default_warmup_steps")]
    pub warmup_steps: u64,
    #[serde(default = "default_beta1")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta1: f64,
    #[serde(default = "default_beta2")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub beta2: f64,
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub epsilon: f64,
    #[serde(default)]
    pub precision: Precision,
    /// Random transformations of the training images, in order.
    #[serde(default)]
    pub augment: Vec<AugmentSpec>,
    /// Which checkpoint the stage hands on.
    #[serde(default)]
    pub keep: Keep,
}

/// Inputs of a fine-tuning stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneNeeds {
    /// A stage of kind `model` or `finetune` to start from.
    pub model: String,
    /// A stage of kind `ingest` to learn from.
    pub data: String,
}

/// Which checkpoint a stage hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The epoch with the highest mean recall over the validation pool.
    #[default]
    Best,
    /// The last epoch, as the reference does.
    Last,
}

fn default_weight_decay() -> f64 {
    0.2
}

fn default_warmup_steps() -> u64 {
    500
}

fn default_beta1() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.98
}

fn default_epsilon() -> f64 {
    1e-6
}
