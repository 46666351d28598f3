//! Hyper-parameters of the two towers; field names follow the reference's `model_configs`.
use serde::{Deserialize, Serialize};

/// The vision transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Side of the square input in pixels.
    pub image_resolution: usize,
    pub layers: usize,
    pub width: usize,
    pub patch_size: usize,
    /// Width of one attention head; 64 but for ViT-H-14 (80).
    pub head_width: usize,
}

impl VisionConfig {
    /// Attention heads.
    pub fn heads(&self) -> usize {
        self.width / self.head_width
    }

    /// Patches per image, without the class token.
    pub fn patches(&self) -> usize {
        (self.image_resolution / self.patch_size).pow(2)
    }
}

/// The BERT text tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    /// Probability of dropping an activation while training.
    pub hidden_dropout: f64,
    /// Probability of dropping an attention weight while training.
    pub attention_dropout: f64,
}

/// Both towers and the space they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Name of the preset it comes from, e.g. `ViT-B-16`.
    pub name: String,
    /// Dimension of the shared space.
    pub embed_dim: usize,
    /// Tokens per text, `[CLS]` and `[SEP]` included.
    pub context_length: usize,
    pub vision: VisionConfig,
    pub text: TextConfig,
}

impl ClipConfig {
    /// Number of parameters of both towers, projections and the logit scale included.
    pub fn parameter_count(&self) -> usize {
        let v = &self.vision;
        let block = 12 * v.width * v.width + 13 * v.width;
        let visual = v.width
            + (v.patches() + 1) * v.width
            + 3 * v.patch_size * v.patch_size * v.width
            + 4 * v.width
            + v.layers * block
            + v.width * self.embed_dim;
        let t = &self.text;
        let h = t.hidden_size;
        let layer = 4 * (h * h + h) + 2 * h * t.intermediate_size + t.intermediate_size + h + 4 * h;
        let tables = t.vocab_size + t.max_position_embeddings + t.type_vocab_size;
        let bert = tables * h + 2 * h + t.layers * layer;
        visual + bert + h * self.embed_dim + 1
    }
}
