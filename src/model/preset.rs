//! Named configurations: the reference's models, and a small one that trains on a CPU.
use super::{ClipConfig, ModelError, ResNetConfig, TextConfig, VisionConfig, VitConfig};

/// Names that [`preset`] knows.
pub const PRESETS: [&str; 7] = ["ViT-B-16", "ViT-B-32", "ViT-L-14", "ViT-L-14-336", "ViT-H-14", "RN50", "ViT-tiny-16"];

/// Names that [`text_preset`] knows.
pub const TEXT_PRESETS: [&str; 4] =
    ["RoBERTa-wwm-ext-base-chinese", "RoBERTa-wwm-ext-large-chinese", "RBT3-chinese", "BERT-tiny-chinese"];

/// Tokens per text in the reference.
pub(super) const CONTEXT_LENGTH: usize = 52;

/// The configuration of a preset: a vision tower with the text tower that the reference pairs it with.
pub fn preset(name: &str) -> Result<ClipConfig, ModelError> {
    let (embed_dim, vision) = match name {
        "ViT-B-16" => (512, vit(224, 12, 768, 16, 64)),
        "ViT-B-32" => (512, vit(224, 12, 768, 32, 64)),
        "ViT-L-14" => (768, vit(224, 24, 1024, 14, 64)),
        "ViT-L-14-336" => (768, vit(336, 24, 1024, 14, 64)),
        "ViT-H-14" => (1024, vit(224, 32, 1280, 14, 80)),
        "RN50" => {
            let resnet = ResNetConfig { image_resolution: 224, layers: [3, 4, 6, 3], width: 64 };
            (1024, VisionConfig::ResNet(resnet))
        }
        "ViT-tiny-16" => (128, vit(64, 4, 128, 16, 64)),
        _ => {
            return Err(ModelError::UnknownPreset { name: name.to_owned(), known: PRESETS.join(", ") });
        }
    };
    let context_length = if name == "ViT-tiny-16" { 20 } else { CONTEXT_LENGTH };
    let text = text_preset(text_preset_name(name))?;
    Ok(ClipConfig { name: name.to_owned(), embed_dim, context_length, vision, text })
}

/// The text tower that the reference pairs a preset with.
pub fn text_preset_name(preset: &str) -> &'static str {
    match preset {
        "ViT-H-14" => "RoBERTa-wwm-ext-large-chinese",
        "RN50" => "RBT3-chinese",
        "ViT-tiny-16" => "BERT-tiny-chinese",
        _ => "RoBERTa-wwm-ext-base-chinese",
    }
}

/// A text tower by name.
pub fn text_preset(name: &str) -> Result<TextConfig, ModelError> {
    match name {
        "RoBERTa-wwm-ext-base-chinese" => Ok(bert(768, 12, 12, 3072)),
        "RoBERTa-wwm-ext-large-chinese" => Ok(bert(1024, 24, 16, 4096)),
        "RBT3-chinese" => Ok(bert(768, 3, 12, 3072)),
        "BERT-tiny-chinese" => Ok(TextConfig { max_position_embeddings: 64, ..bert(128, 2, 2, 256) }),
        _ => Err(ModelError::UnknownPreset { name: name.to_owned(), known: TEXT_PRESETS.join(", ") }),
    }
}

fn vit(image_resolution: usize, layers: usize, width: usize, patch_size: usize, head_width: usize) -> VisionConfig {
    VisionConfig::Vit(VitConfig { image_resolution, layers, width, patch_size, head_width })
}

fn bert(hidden_size: usize, layers: usize, heads: usize, intermediate_size: usize) -> TextConfig {
    TextConfig {
        vocab_size: 21_128,
        hidden_size,
        layers,
        heads,
        intermediate_size,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_equal_the_reference() {
        for (name, vision, text, projection, total) in [
            ("ViT-B-16", 86_192_640, 101_677_056, 393_216, 188_262_913),
            ("ViT-B-32", 87_849_216, 101_677_056, 393_216, 189_919_489),
            ("ViT-L-14", 303_966_208, 101_677_056, 589_824, 406_233_089),
            ("ViT-L-14-336", 304_293_888, 101_677_056, 589_824, 406_560_769),
            ("ViT-H-14", 632_076_800, 324_472_832, 1_048_576, 957_598_209),
            ("RN50", 38_316_896, 37_886_208, 786_432, 76_989_537),
        ] {
            let found = preset(name).unwrap().parameters();
            assert_eq!(
                (found.vision, found.text, found.text_projection, found.total),
                (vision, text, projection, total),
                "{name}"
            );
        }
    }

    #[test]
    fn every_preset_can_be_built() {
        PRESETS.iter().for_each(|name| preset(name).unwrap().check().unwrap());
    }
}
