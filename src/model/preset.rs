//! Named configurations: the reference's vision transformers, and a small one that trains on a CPU.
use super::{ClipConfig, ModelError, TextConfig, VisionConfig};

/// Names that [`preset`] knows.
pub const PRESETS: [&str; 6] = ["ViT-B-16", "ViT-B-32", "ViT-L-14", "ViT-L-14-336", "ViT-H-14", "ViT-tiny-16"];

/// The configuration of a preset: a vision tower with the text tower that the reference pairs it with.
pub fn preset(name: &str) -> Result<ClipConfig, ModelError> {
    let (embed_dim, vision, text) = match name {
        "ViT-B-16" => (512, vision(224, 12, 768, 16, 64), roberta_base()),
        "ViT-B-32" => (512, vision(224, 12, 768, 32, 64), roberta_base()),
        "ViT-L-14" => (768, vision(224, 24, 1024, 14, 64), roberta_base()),
        "ViT-L-14-336" => (768, vision(336, 24, 1024, 14, 64), roberta_base()),
        "ViT-H-14" => (1024, vision(224, 32, 1280, 14, 80), roberta(1024, 24, 16, 4096)),
        "ViT-tiny-16" => (128, vision(64, 4, 128, 16, 64), tiny_bert()),
        _ => {
            return Err(ModelError::UnknownPreset { name: name.to_owned(), known: PRESETS.join(", ") });
        }
    };
    let context_length = if name == "ViT-tiny-16" { 20 } else { 52 };
    Ok(ClipConfig { name: name.to_owned(), embed_dim, context_length, vision, text })
}

fn vision(image_resolution: usize, layers: usize, width: usize, patch_size: usize, head_width: usize) -> VisionConfig {
    VisionConfig { image_resolution, layers, width, patch_size, head_width }
}

fn roberta_base() -> TextConfig {
    roberta(768, 12, 12, 3072)
}

fn roberta(hidden_size: usize, layers: usize, heads: usize, intermediate_size: usize) -> TextConfig {
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

fn tiny_bert() -> TextConfig {
    TextConfig { max_position_embeddings: 64, ..roberta(128, 2, 2, 256) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_counts_equal_the_reference() {
        for (name, expected) in [
            ("ViT-B-16", 188_262_913),
            ("ViT-B-32", 189_919_489),
            ("ViT-L-14", 406_233_089),
            ("ViT-L-14-336", 406_560_769),
            ("ViT-H-14", 957_598_209),
        ] {
            assert_eq!(preset(name).unwrap().parameter_count(), expected, "{name}");
        }
    }
}
