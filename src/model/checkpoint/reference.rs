//! The reference's state dict: its variants of names, and the configuration that its shapes tell.
use std::path::Path;

use super::RawWeights;
use crate::model::config::{ClipConfig, ResNetConfig, TextConfig, VisionConfig, VitConfig};
use crate::model::error::ModelError;
use crate::model::parameters::{NamedTensor, StateDict};
use crate::model::preset::{CONTEXT_LENGTH, PRESETS, TEXT_PRESETS, preset, text_preset};

/// Head width of every published model but ViT-H-14.
const HEAD_WIDTH: usize = 64;

/// Names without `module.`, without BERT's unused pooler, and with the flash-attention layout taken apart. Says whether
/// that layout was found.
pub(super) fn canonical(raw: RawWeights) -> (StateDict, bool) {
    let mut state = StateDict::new();
    let mut flash = false;
    for (key, tensor) in raw.state {
        let key = key.strip_prefix("module.").unwrap_or(&key).to_owned();
        if key.contains("bert.pooler") {
            continue;
        }
        // What cannot be divided keeps its name and is refused as left over.
        let divisible = tensor.shape.first().is_some_and(|rows| rows.is_multiple_of(3));
        if let Some((layer, part)) = key.split_once(".attention.self.Wqkv.").filter(|_| divisible) {
            flash = true;
            for (name, third) in ["query", "key", "value"].into_iter().zip(thirds(tensor)) {
                state.insert(format!("{layer}.attention.self.{name}.{part}"), third);
            }
        } else if let Some((layer, part)) = key.split_once(".attention.self.out_proj.") {
            flash = true;
            state.insert(format!("{layer}.attention.output.dense.{part}"), tensor);
        } else if let Some((layer, part)) = key.split_once(".attn.Wqkv.") {
            flash = true;
            state.insert(format!("{layer}.attn.in_proj_{part}"), tensor);
        } else {
            state.insert(key, tensor);
        }
    }
    (state, flash)
}

/// A tensor of three equal parts along its first dimension, taken apart.
pub(super) fn thirds(tensor: NamedTensor) -> Vec<NamedTensor> {
    let mut shape = tensor.shape;
    if let Some(rows) = shape.first_mut() {
        *rows /= 3;
    }
    let length = (tensor.values.len() / 3).max(1);
    tensor.values.chunks(length).map(|part| NamedTensor { shape: shape.clone(), values: part.to_vec() }).collect()
}

/// The configuration of weights that come without one. Head widths leave no trace in shapes, so that only towers of
/// published shapes are taken.
pub(super) fn infer_config(path: &Path, state: &StateDict) -> Result<ClipConfig, ModelError> {
    let shape = |key: &str| shape(path, state, key);
    let [hidden_size, embed_dim] = shape("text_projection")?;
    let [vocab_size, _] = shape("bert.embeddings.word_embeddings.weight")?;
    let [max_position_embeddings, _] = shape("bert.embeddings.position_embeddings.weight")?;
    let [type_vocab_size, _] = shape("bert.embeddings.token_type_embeddings.weight")?;
    let [intermediate_size, _] = shape("bert.encoder.layer.0.intermediate.dense.weight")?;
    let text = TextConfig {
        vocab_size,
        hidden_size,
        layers: count(state, "bert.encoder.layer."),
        heads: hidden_size / HEAD_WIDTH,
        intermediate_size,
        max_position_embeddings,
        type_vocab_size,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
    };
    let vision = infer_vision(path, state)?;
    let context_length = CONTEXT_LENGTH.min(max_position_embeddings);
    let mut config = ClipConfig { name: "custom".to_owned(), embed_dim, context_length, vision, text };
    if !is_published(&config) {
        return Err(ModelError::UnknownArchitecture { path: path.to_owned() });
    }
    name_preset(&mut config);
    config.check()?;
    Ok(config)
}

/// Whether both towers are published ones, if in another pairing or at another resolution.
fn is_published(config: &ClipConfig) -> bool {
    let side = config.vision.image_resolution();
    let mut visions = PRESETS.iter().filter_map(|name| preset(name).ok());
    let mut texts = TEXT_PRESETS.iter().filter_map(|name| text_preset(name).ok());
    visions.any(|known| known.vision.with_resolution(side) == config.vision) && texts.any(|known| known == config.text)
}

/// Gives a configuration the name of the preset it equals.
pub(super) fn name_preset(config: &mut ClipConfig) {
    let known = PRESETS.iter().filter_map(|name| preset(name).ok());
    let equal = |preset: &ClipConfig| {
        let resized = preset.vision.clone().with_resolution(config.vision.image_resolution());
        preset.embed_dim == config.embed_dim && resized == config.vision && preset.text == config.text
    };
    if let Some(preset) = known.into_iter().find(equal) {
        config.name = preset.name;
        config.context_length = preset.context_length;
    }
}

fn infer_vision(path: &Path, state: &StateDict) -> Result<VisionConfig, ModelError> {
    let [output, _, patch_size, _] = shape(path, state, "visual.conv1.weight")?;
    if state.contains_key("visual.attnpool.positional_embedding") {
        let [rows, _] = shape(path, state, "visual.attnpool.positional_embedding")?;
        let layers = std::array::from_fn(|stage| count(state, &format!("visual.layer{}.", stage + 1)));
        let image_resolution = rows.saturating_sub(1).isqrt() * 32;
        return Ok(VisionConfig::ResNet(ResNetConfig { image_resolution, layers, width: output * 2 }));
    }
    let [rows, width] = shape(path, state, "visual.positional_embedding")?;
    Ok(VisionConfig::Vit(VitConfig {
        image_resolution: rows.saturating_sub(1).isqrt() * patch_size,
        layers: count(state, "visual.transformer.resblocks."),
        width,
        patch_size,
        head_width: if width == 1280 { 80 } else { HEAD_WIDTH },
    }))
}

/// How many numbers follow `prefix` in the names.
fn count(state: &StateDict, prefix: &str) -> usize {
    let numbers = state.keys().filter_map(|key| key.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok());
    numbers.max().map_or(0, |last| last + 1)
}

fn shape<const D: usize>(path: &Path, state: &StateDict, key: &str) -> Result<[usize; D], ModelError> {
    let tensor = state.get(key);
    let tensor = tensor.ok_or_else(|| ModelError::NotAModel { path: path.to_owned(), key: key.to_owned() })?;
    let wrong = |_| ModelError::WrongShape { key: key.to_owned(), expected: vec![0; D], found: tensor.shape.clone() };
    tensor.shape.as_slice().try_into().map_err(wrong)
}
