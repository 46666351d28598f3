//! Hyper-parameters of the two towers; field names follow the reference's `model_configs`.
use serde::{Deserialize, Serialize};

use super::ModelError;

/// The image tower. The two kinds have different fields, by which a file tells which it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VisionConfig {
    Vit(VitConfig),
    ResNet(ResNetConfig),
}

/// The vision transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the square input in pixels.
    pub image_resolution: usize,
    pub layers: usize,
    pub width: usize,
    pub patch_size: usize,
    /// Width of one attention head; 64 but for ViT-H-14 (80).
    pub head_width: usize,
}

/// CLIP's residual network with attention pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Side of the square input in pixels.
    pub image_resolution: usize,
    /// Bottleneck blocks of each of the four stages.
    pub layers: [usize; 4],
    /// Channels of the first stage.
    pub width: usize,
}

impl VisionConfig {
    /// Side of the square input in pixels.
    pub fn image_resolution(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.image_resolution,
            Self::ResNet(resnet) => resnet.image_resolution,
        }
    }

    /// The same tower for another input; position embeddings are interpolated when weights are fitted to it.
    pub fn with_resolution(mut self, side: usize) -> Self {
        match &mut self {
            Self::Vit(vit) => vit.image_resolution = side,
            Self::ResNet(resnet) => resnet.image_resolution = side,
        }
        self
    }

    /// Pixels that one position embedding stands for, along a side.
    fn stride(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.patch_size,
            Self::ResNet(_) => ResNetConfig::STRIDE,
        }
    }
}

impl VitConfig {
    /// Attention heads.
    pub fn heads(&self) -> usize {
        self.width / self.head_width
    }

    /// Patches per image, without the class token.
    pub fn patches(&self) -> usize {
        (self.image_resolution / self.patch_size).pow(2)
    }
}

impl ResNetConfig {
    /// Pixels per cell of the last feature map, along a side.
    const STRIDE: usize = 32;

    /// Channels of the last feature map.
    pub fn channels(&self) -> usize {
        self.width * 32
    }

    /// Heads of the attention pooling.
    pub fn heads(&self) -> usize {
        self.channels() / 64
    }

    /// Cells of the last feature map.
    pub fn cells(&self) -> usize {
        (self.image_resolution / Self::STRIDE).pow(2)
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

/// What a user may change of a published configuration without other weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Side of the square input in pixels.
    pub image_resolution: Option<usize>,
    /// Tokens per text.
    pub context_length: Option<usize>,
}

impl ClipConfig {
    /// The configuration with changes, checked.
    pub fn with(mut self, changes: ConfigChanges) -> Result<Self, ModelError> {
        if let Some(side) = changes.image_resolution {
            self.vision = self.vision.with_resolution(side);
        }
        if let Some(length) = changes.context_length {
            self.context_length = length;
        }
        self.check()?;
        Ok(self)
    }

    /// Refuses numbers that no model can be built from, so that a hostile file cannot make the program fail later.
    pub fn check(&self) -> Result<(), ModelError> {
        let text = &self.text;
        let stride = self.vision.stride();
        let (width, head) = match &self.vision {
            VisionConfig::Vit(vit) => (vit.width, vit.head_width),
            VisionConfig::ResNet(resnet) => (resnet.channels(), 64),
        };
        let layers = match &self.vision {
            VisionConfig::Vit(vit) => vit.layers,
            VisionConfig::ResNet(resnet) => resnet.layers.iter().copied().min().unwrap_or(0),
        };
        let positive = [self.embed_dim, width, head, layers, stride, text.hidden_size, text.heads, text.layers];
        let problem = if positive.contains(&0) || text.intermediate_size == 0 || text.vocab_size == 0 {
            "a size is zero"
        } else if !width.is_multiple_of(head) {
            "the vision width is no multiple of the head width"
        } else if !text.hidden_size.is_multiple_of(text.heads) {
            "the hidden size is no multiple of the heads"
        } else if self.vision.image_resolution() < stride || !self.vision.image_resolution().is_multiple_of(stride) {
            "the image resolution is no multiple of the patch size"
        } else if self.exceeds_bounds() {
            "a size is beyond any model of this kind"
        } else if !(3..=text.max_position_embeddings).contains(&self.context_length) {
            return Err(ModelError::ContextTooLong {
                expected: text.max_position_embeddings,
                found: self.context_length,
            });
        } else {
            return Ok(());
        };
        Err(ModelError::ImpossibleConfig { name: self.name.clone(), problem })
    }

    /// Whether a number is so large, or a probability so odd, that building the model would fail or never end.
    fn exceeds_bounds(&self) -> bool {
        const WIDTH: usize = 1 << 15;
        let text = &self.text;
        let (layers, width) = match &self.vision {
            VisionConfig::Vit(vit) => (vit.layers, vit.width.max(vit.patch_size)),
            VisionConfig::ResNet(resnet) => (resnet.layers.iter().copied().max().unwrap_or(0), resnet.width),
        };
        let widths = [width, self.embed_dim, text.hidden_size, text.max_position_embeddings];
        layers.max(text.layers) > 512
            || widths.into_iter().any(|width| width > WIDTH)
            || self.vision.image_resolution() > 4_096
            || text.intermediate_size > 4 * WIDTH
            || text.vocab_size > 1 << 22
            || !(1..=64).contains(&text.type_vocab_size)
            || ![text.hidden_dropout, text.attention_dropout].iter().all(|p| (0.0..1.0).contains(p))
    }
}
