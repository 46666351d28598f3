//! The layout of Hugging Face's `ChineseCLIPModel`: other names, projections transposed, query, key and value apart.
use std::path::Path;

use serde_json::{Value, json};

use super::reference::{name_preset, thirds};
use super::{CONFIG_FILE, Checkpoint, WEIGHTS_FILE, io, write_json, write_safetensors};
use crate::model::config::{ClipConfig, TextConfig, VisionConfig, VitConfig};
use crate::model::error::ModelError;
use crate::model::layout::reject_unused;
use crate::model::parameters::{NamedTensor, ParameterSource, StateDict};
use crate::model::preset::CONTEXT_LENGTH;
use crate::model::text::tokenizer::VOCABULARY;
use crate::model::vision::{MEAN, STD};

/// How a tensor of the reference is stored.
struct Place {
    /// One name, or those of query, key and value.
    names: Vec<String>,
    transposed: bool,
}

/// Whether the names are Hugging Face's.
pub(super) fn has_names(state: &StateDict) -> bool {
    state.keys().any(|key| key.starts_with("text_model.") || key.starts_with("vision_model."))
}

/// Weights under the reference's names.
pub(super) fn from_names(config: &ClipConfig, mut state: StateDict) -> Result<StateDict, ModelError> {
    let mut found = StateDict::new();
    for layout in config.tensors() {
        let Place { names, transposed } = place(&layout.key);
        // A grid made for another resolution keeps its own shape until it is fitted.
        let kept = |name: &String| state.get(name).map(|tensor| tensor.shape.clone());
        let mut shape = match names.first().and_then(kept) {
            Some(found) if layout.key.ends_with("positional_embedding") => found,
            _ => layout.shape.clone(),
        };
        if transposed {
            shape.reverse();
        }
        let mut part_shape = shape.clone();
        if let Some(rows) = part_shape.first_mut() {
            *rows /= names.len();
        }
        let mut values = Vec::with_capacity(layout.len());
        for name in &names {
            values.extend(state.take(name, &part_shape)?);
        }
        let tensor = NamedTensor { shape, values };
        found.insert(layout.key, if transposed { transpose(&tensor) } else { tensor });
    }
    state.retain(|key, _| !key.contains(".pooler."));
    reject_unused(&state)?;
    Ok(found)
}

/// Writes a folder that `ChineseCLIPModel.from_pretrained` and `ChineseCLIPProcessor.from_pretrained` read. There is no
/// residual network in that layout.
pub fn write_hugging_face(folder: &Path, checkpoint: &Checkpoint) -> Result<(), ModelError> {
    let VisionConfig::Vit(vit) = &checkpoint.config.vision else {
        return Err(ModelError::NoHuggingFaceLayout { name: checkpoint.config.name.clone() });
    };
    let mut state = StateDict::new();
    for (key, tensor) in &checkpoint.state {
        let Place { names, transposed } = place(key);
        let tensor = if transposed { transpose(tensor) } else { tensor.clone() };
        let parts = if names.len() == 3 { thirds(tensor) } else { vec![tensor] };
        state.extend(names.into_iter().zip(parts));
    }
    write_safetensors(&folder.join(WEIGHTS_FILE), &state)?;
    write_json(&folder.join(CONFIG_FILE), &model_json(&checkpoint.config, vit))?;
    write_json(&folder.join("preprocessor_config.json"), &preprocessor_json(vit.image_resolution))?;
    let tokenizer = json!({
        "tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": checkpoint.config.context_length,
    });
    write_json(&folder.join("tokenizer_config.json"), &tokenizer)?;
    let vocabulary = folder.join("vocab.txt");
    std::fs::write(&vocabulary, VOCABULARY).map_err(io(&vocabulary))
}

/// Reads `config.json`; what it leaves out has the defaults of `ChineseCLIPConfig`.
pub(super) fn parse_config(json: &Value) -> Result<ClipConfig, ModelError> {
    let wrong = |problem| ModelError::ImpossibleConfig { name: "config.json".to_owned(), problem };
    for (field, expected) in [
        ("/vision_config/hidden_act", json!("quick_gelu")),
        ("/text_config/hidden_act", json!("gelu")),
        ("/vision_config/layer_norm_eps", json!(1e-5)),
        ("/text_config/layer_norm_eps", json!(1e-12)),
    ] {
        if json.pointer(field).is_some_and(|found| *found != expected) {
            return Err(wrong("an activation or the epsilon of a norm is not that of Chinese-CLIP"));
        }
    }
    let mut mistyped = false;
    let mut number = |part: &str, name: &str, default: usize| match &json[part][name] {
        Value::Null => default,
        value => value.as_u64().and_then(|value| usize::try_from(value).ok()).unwrap_or_else(|| {
            mistyped = true;
            default
        }),
    };
    let (width, heads) =
        (number("vision_config", "hidden_size", 768), number("vision_config", "num_attention_heads", 12));
    let max_position_embeddings = number("text_config", "max_position_embeddings", 512);
    let dropout = |name: &str| json["text_config"][name].as_f64().unwrap_or(0.1);
    let mut config = ClipConfig {
        name: "custom".to_owned(),
        embed_dim: json["projection_dim"].as_u64().map_or(512, |value| value as usize),
        context_length: CONTEXT_LENGTH.min(max_position_embeddings),
        vision: VisionConfig::Vit(VitConfig {
            image_resolution: number("vision_config", "image_size", 224),
            layers: number("vision_config", "num_hidden_layers", 12),
            width,
            patch_size: number("vision_config", "patch_size", 32),
            head_width: width / heads.max(1),
        }),
        text: TextConfig {
            vocab_size: number("text_config", "vocab_size", 30_522),
            hidden_size: number("text_config", "hidden_size", 768),
            layers: number("text_config", "num_hidden_layers", 12),
            heads: number("text_config", "num_attention_heads", 12),
            intermediate_size: number("text_config", "intermediate_size", 3072),
            max_position_embeddings,
            type_vocab_size: number("text_config", "type_vocab_size", 2),
            hidden_dropout: dropout("hidden_dropout_prob"),
            attention_dropout: dropout("attention_probs_dropout_prob"),
        },
    };
    if mistyped || heads == 0 || !width.is_multiple_of(heads) {
        return Err(wrong("a size is no whole number, or the vision width no multiple of the heads"));
    }
    name_preset(&mut config);
    config.check()?;
    Ok(config)
}

fn model_json(config: &ClipConfig, vit: &VitConfig) -> Value {
    let text = &config.text;
    json!({
        "architectures": ["ChineseCLIPModel"],
        "model_type": "chinese_clip",
        "projection_dim": config.embed_dim,
        "logit_scale_init_value": 2.6592,
        "torch_dtype": "float32",
        "text_config": {
            "model_type": "chinese_clip_text_model",
            "vocab_size": text.vocab_size, "hidden_size": text.hidden_size, "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads, "intermediate_size": text.intermediate_size, "hidden_act": "gelu",
            "hidden_dropout_prob": text.hidden_dropout, "attention_probs_dropout_prob": text.attention_dropout,
            "max_position_embeddings": text.max_position_embeddings, "type_vocab_size": text.type_vocab_size,
            "layer_norm_eps": 1e-12, "pad_token_id": 0, "initializer_range": 0.02,
        },
        "vision_config": {
            "model_type": "chinese_clip_vision_model",
            "hidden_size": vit.width, "intermediate_size": 4 * vit.width, "projection_dim": config.embed_dim,
            "num_hidden_layers": vit.layers, "num_attention_heads": vit.heads(), "num_channels": 3,
            "image_size": vit.image_resolution, "patch_size": vit.patch_size, "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5, "attention_dropout": 0.0,
        },
    })
}

/// A squash to the square without a crop, as the reference evaluates; the class's own defaults would crop.
fn preprocessor_json(side: usize) -> Value {
    json!({
        "feature_extractor_type": "ChineseCLIPFeatureExtractor", "image_processor_type": "ChineseCLIPImageProcessor",
        "do_resize": true, "size": { "height": side, "width": side }, "resample": 3, "do_center_crop": false,
        "do_rescale": true, "do_normalize": true, "do_convert_rgb": true, "image_mean": MEAN, "image_std": STD,
    })
}

/// Where a tensor of the reference stands.
fn place(key: &str) -> Place {
    let one = |name: String, transposed: bool| Place { names: vec![name], transposed };
    match key {
        "logit_scale" => return one(key.to_owned(), false),
        "text_projection" => return one("text_projection.weight".to_owned(), true),
        "visual.proj" => return one("visual_projection.weight".to_owned(), true),
        "visual.class_embedding" => return one("vision_model.embeddings.class_embedding".to_owned(), false),
        "visual.positional_embedding" => {
            return one("vision_model.embeddings.position_embedding.weight".to_owned(), false);
        }
        "visual.conv1.weight" => return one("vision_model.embeddings.patch_embedding.weight".to_owned(), false),
        _ => {}
    }
    if let Some(rest) = key.strip_prefix("bert.") {
        return one(format!("text_model.{rest}"), false);
    }
    let name = key
        .replace("visual.transformer.resblocks.", "vision_model.encoder.layers.")
        // The layer's name is misspelt there.
        .replace("visual.ln_pre.", "vision_model.pre_layrnorm.")
        .replace("visual.ln_post.", "vision_model.post_layernorm.")
        .replace(".ln_1.", ".layer_norm1.")
        .replace(".ln_2.", ".layer_norm2.")
        .replace(".mlp.c_fc.", ".mlp.fc1.")
        .replace(".mlp.c_proj.", ".mlp.fc2.")
        .replace(".attn.out_proj.", ".self_attn.out_proj.");
    match name.split_once(".attn.in_proj_") {
        Some((layer, part)) => {
            let names = ["q", "k", "v"].map(|which| format!("{layer}.self_attn.{which}_proj.{part}"));
            Place { names: names.to_vec(), transposed: false }
        }
        None => one(name, false),
    }
}

/// A matrix with its dimensions exchanged.
fn transpose(tensor: &NamedTensor) -> NamedTensor {
    let (Some(rows), Some(columns)) = (tensor.shape.first(), tensor.shape.get(1)) else {
        return tensor.clone();
    };
    let values =
        (0..*columns).flat_map(|column| tensor.values.iter().skip(column).step_by(*columns)).copied().collect();
    NamedTensor { shape: vec![*columns, *rows], values }
}
