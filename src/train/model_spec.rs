//! The YAML of `kind: model`.
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The starting checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name of the architecture, e.g. `ViT-B-16`.
    pub preset: String,
    /// Weights of the reference, `.pt` or `.safetensors`; random initialisation if left out. A path, relative to the
    /// pipeline file, or a URL as of a source: `s3://bucket/clip_cn_vit-b-16.pt`.
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
