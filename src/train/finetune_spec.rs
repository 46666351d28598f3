//! The YAML of `kind: finetune`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::AugmentSpec;
use crate::model::{AdamWConfig, DecayRule, GatherGradient, LowRankConfig, Precision, Tower, TrainerOptions};

/// One stage of fine-tuning; the defaults are the reference's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneSpec {
    pub needs: FinetuneNeeds,
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Steps after which training ends, however many epochs that makes.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_steps: Option<u64>,
    /// Pairs of a step, over all devices and parts.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Parts that a batch is computed in, for batches that do not fit into memory. Features of the whole batch meet in the
    /// loss, so that the result is that of the batch as one (but for what
    /// dropout draws, and for RN50, whose batch norms see one part at a time).
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub accumulation: usize,
    /// Computes activations again for the backward pass: less memory, the same result but for roundings.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Peak of the schedule.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    #[serde(default = "default_weight_decay")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Which parameters decay.
    #[serde(default)]
    pub decay: DecayRule,
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
    /// Largest norm over all gradients together; larger ones are scaled down.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub clip_gradient_norm: Option<f64>,
    #[serde(default)]
    pub precision: Precision,
    /// Probability of dropout in the text tower; the model's own (0.1) if left out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: Option<f64>,
    /// Towers that keep their weights.
    #[serde(default)]
    pub freeze: Vec<Tower>,
    /// Fraction of its patches that each training image loses (FLIP).
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub mask_ratio: f64,
    /// Random transformations of the training images, in order.
    #[serde(default)]
    pub augment: Vec<AugmentSpec>,
    /// Which texts of a batch are right for an image.
    #[serde(default)]
    pub positives: PositivesRule,
    /// How the pairs of an epoch are put into batches.
    #[serde(default)]
    pub sampler: SamplerRule,
    /// How the gradient passes the gathering of features over several devices.
    #[serde(default)]
    pub gather_gradient: GatherGradient,
    /// Learning from the images' features of `needs.teacher`.
    #[serde(default)]
    pub distillation: Option<DistillationSpec>,
    /// Trains low-rank changes of the matrices instead of all weights; what is handed on has them added in.
    #[serde(default)]
    pub lora: Option<LowRankConfig>,
    /// Decay of an exponential moving average of the weights, which is then what is measured and handed on.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub ema: Option<f64>,
    /// Share of the tuned weights in what is handed on, the rest being those it started from (`WiSE-FT`).
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub interpolation: Option<f64>,
    /// Epochs from one validation to the next; the last epoch is always validated.
    #[serde(default = "one_epoch")]
    #[schemars(range(min = 1))]
    pub validate_every_epochs: u32,
    /// Steps from one validation to the next, beside those at the end of epochs.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub validate_every_steps: Option<u64>,
    /// Steps from one saved state to the next, beside those at the end of epochs. A killed run continues from the newest.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub save_every_steps: Option<u64>,
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Whether the optimiser starts afresh or goes on with the moments that the stage `needs.model` ended with.
    #[serde(default)]
    pub optimizer: OptimizerStart,
    /// Whether the optimiser's moments are kept in the result, for `optimizer: inherit` of a later stage.
    #[serde(default)]
    pub keep_optimizer: bool,
    /// Another seed than the pipeline's.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Which checkpoint the stage hands on.
    #[serde(default)]
    pub keep: Keep,
}

impl FinetuneSpec {
    pub(super) fn trainer_options(&self) -> TrainerOptions {
        TrainerOptions {
            adamw: AdamWConfig {
                beta1: self.beta1,
                beta2: self.beta2,
                epsilon: self.epsilon,
                weight_decay: self.weight_decay,
            },
            decay_rule: self.decay,
            precision: self.precision,
            parts: self.accumulation,
            checkpointing: self.gradient_checkpointing,
            frozen: self.freeze.clone(),
            mask_ratio: self.mask_ratio,
            dropout: self.dropout,
            clip_gradient_norm: self.clip_gradient_norm,
            low_rank: self.lora.clone(),
            average_decay: self.ema,
            gather: self.gather_gradient,
            distillation_weight: self.distillation.as_ref().map_or(0.0, |distillation| distillation.weight),
        }
    }
}

/// Inputs of a fine-tuning stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneNeeds {
    /// A stage of kind `model` or `finetune` to start from.
    pub model: String,
    /// A stage of kind `ingest` to learn from.
    pub data: String,
    /// A stage of kind `model` or `finetune` whose images' features are to be met, with `distillation`.
    #[serde(default)]
    pub teacher: Option<String>,
    /// A stage of kind `audit`: with `on_leak: drop` its training items are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
}

/// Which texts of a batch are right for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PositivesRule {
    /// Its own pair's alone, as in the reference: other captions of the same image count as wrong.
    #[default]
    Own,
    /// Every text of the batch that belongs to the image, and every image that a text belongs to; they share the target.
    Shared,
}

/// How the pairs of an epoch are put into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerRule {
    /// In random order, as in the reference.
    #[default]
    Shuffled,
    /// In random order, but pairs whose image or text belongs to one that is in the batch wait for a later batch.
    Distinct,
}

/// Learning from a teacher: `weight · (1 - mean cos(teacher, student))` of the images' features joins the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillationSpec {
    #[serde(default = "default_distillation_weight")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight: f64,
}

/// Ends training when the mean recall over the validation pool no longer rises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validations in a row without an improvement.
    #[schemars(range(min = 1))]
    pub patience: u32,
    /// What counts as one, as a fraction in 0..=1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_delta: f64,
}

/// Where the optimiser starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerStart {
    #[default]
    Reset,
    Inherit,
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

fn default_distillation_weight() -> f64 {
    0.5
}

fn one() -> usize {
    1
}

fn one_epoch() -> u32 {
    1
}
