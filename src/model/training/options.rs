//! What a recipe may ask of a step.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdamWConfig, DecayRule, LowRankConfig};
use crate::model::layer::Precision;

/// Settings of a [`super::Trainer`]; [`Default`] is plain training in 32 bits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainerOptions {
    pub adamw: AdamWConfig,
    pub decay_rule: DecayRule,
    pub precision: Precision,
    /// Parts that a batch is computed in, one after the other on each device.
    pub parts: usize,
    /// Whether activations inside a layer are computed again for the backward pass instead of being kept.
    pub checkpointing: bool,
    /// Towers that keep their weights.
    pub frozen: Vec<Tower>,
    /// Fraction of the patches that each training image loses (FLIP), in 0..1.
    pub mask_ratio: f64,
    /// Another probability of dropout than the model's.
    pub dropout: Option<f64>,
    /// Largest norm over all gradients together.
    pub clip_gradient_norm: Option<f64>,
    pub low_rank: Option<LowRankConfig>,
    /// Decay of an exponential moving average of the weights.
    pub average_decay: Option<f64>,
    pub gather: GatherGradient,
    /// Weight of `1 - cos(teacher, student)` of the images in the loss.
    pub distillation_weight: f64,
}

/// One half of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tower {
    Vision,
    Text,
}

/// How the gradient passes the gathering of features over several devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatherGradient {
    /// To all features: the same as one device with the whole batch; the reference's `--gather-with-grad`.
    #[default]
    Full,
    /// Only to a device's own features, then averaged over the devices, as the reference does by default: the full
    /// gradient divided by the number of devices.
    Local,
}

/// A batch of pairs, row i of the images belonging to row i of the texts.
#[derive(Debug, Clone, Copy)]
pub struct TrainingBatch<'a> {
    /// `[size, 3, side, side]`, normalised.
    pub pixels: &'a [f32],
    /// Token ids `[size, length]`.
    pub tokens: &'a [u32],
    pub size: usize,
    /// `[size, size]`, 1 where the image of the row and the text of the column belong together; only the diagonal if
    /// left out.
    pub positives: Option<&'a [f32]>,
    /// Features `[size, width]` of the images by another model.
    pub teacher: Option<&'a [f32]>,
    /// For dropout and masks.
    pub seed: u64,
}

impl TrainerOptions {
    /// Whether a tower is changed.
    pub(super) fn trains_tower(&self, tower: Tower) -> bool {
        !self.frozen.contains(&tower)
    }

    /// Whether a parameter is changed; with low-rank training only the matrices it applies to.
    pub(super) fn trains(&self, key: &str, low_rank: bool) -> bool {
        let tower = if key.starts_with("visual.") { Tower::Vision } else { Tower::Text };
        let frozen = key != "logit_scale" && !self.trains_tower(tower);
        let chosen = self.low_rank.as_ref().is_none_or(|config| !low_rank || config.applies_to(key));
        !frozen && chosen
    }
}
