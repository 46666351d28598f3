use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tuwen::model::{
    Checkpoint, ClipConfig, ComputeDevice, ConfigChanges, Encoder, ModelError, Precision, StateDict, TextConfig,
    Trainer, TrainerOptions, TrainingBatch, VisionConfig, VitConfig, normalize_rows, open_model, read_safetensors,
};
use tuwen::train::learning_rate;

use super::fixture;

const BATCH: usize = 4;

pub(super) fn config() -> ClipConfig {
    let json: Value = serde_json::from_slice(&fs::read(fixture("tiny_clip_config.json")).unwrap()).unwrap();
    let number = |name: &str| json["model"][name].as_u64().unwrap() as usize;
    ClipConfig {
        name: "golden".to_owned(),
        embed_dim: number("embed_dim"),
        context_length: json["context_length"].as_u64().unwrap() as usize,
        vision: VisionConfig::Vit(VitConfig {
            image_resolution: number("image_resolution"),
            layers: number("vision_layers"),
            width: number("vision_width"),
            patch_size: number("vision_patch_size"),
            head_width: number("vision_head_width"),
        }),
        text: TextConfig {
            vocab_size: number("vocab_size"),
            hidden_size: number("text_hidden_size"),
            layers: number("text_num_hidden_layers"),
            heads: number("text_num_attention_heads"),
            intermediate_size: number("text_intermediate_size"),
            max_position_embeddings: number("text_max_position_embeddings"),
            type_vocab_size: number("text_type_vocab_size"),
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
        },
    }
}

fn read(name: &str) -> Result<StateDict, ModelError> {
    open_model(&fixture(name), Some(config()), ConfigChanges::default()).map(|model| model.state)
}

pub(super) fn weights() -> StateDict {
    read("tiny_clip.safetensors").unwrap()
}

pub(super) fn expected() -> StateDict {
    read_safetensors(&fixture("tiny_clip_expected.safetensors")).unwrap()
}

pub(super) fn tokens() -> Vec<u32> {
    tokens_of(&fixture("tiny_clip_expected.safetensors"))
}

/// The integer tensor `tokens`, which a state dict of floats leaves out.
pub(super) fn tokens_of(path: &Path) -> Vec<u32> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("tokens").unwrap();
    view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect()
}

/// Trains as the reference does.
pub(super) fn trainer(config: &ClipConfig, state: StateDict, precision: Precision) -> Trainer {
    let options = TrainerOptions { precision, ..TrainerOptions::default() };
    Trainer::new(config, state, &[ComputeDevice::cpu()], options).unwrap()
}

/// The batch of a fixture.
pub(super) fn batch<'a>(expected: &'a StateDict, tokens: &'a [u32]) -> TrainingBatch<'a> {
    let size = expected["images"].shape[0];
    TrainingBatch { pixels: &expected["images"].values, tokens, size, positives: None, teacher: None, seed: 1 }
}

/// The largest difference relative to the largest expected value.
pub(super) fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-12f32, |max, v| max.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}

#[test]
fn features_equal_the_reference() {
    let (config, expected) = (config(), expected());
    let encoder = Encoder::new(&config, weights(), &ComputeDevice::cpu(), Precision::Fp32).unwrap();
    let unit = |name: &str| {
        let mut values = expected[name].values.clone();
        normalize_rows(&mut values, config.embed_dim);
        values
    };
    let images = encoder.encode_images(&expected["images"].values, BATCH).unwrap();
    assert!(relative_error(&images, &unit("image_features")) < 1e-5);
    let texts = encoder.encode_texts(&tokens(), BATCH).unwrap();
    assert!(relative_error(&texts, &unit("text_features")) < 1e-5);
}

#[test]
fn one_step_of_training_equals_the_reference() {
    let expected = expected();
    let mut step = trainer(&config(), weights(), Precision::Fp32);
    let outcome = step.step(batch(&expected, &tokens()), 1e-3).unwrap();
    let loss = f64::from(expected["loss"].values[0]);
    assert!((outcome.loss - loss).abs() < 1e-5 * loss, "{} against {loss}", outcome.loss);
    let squares = expected.iter().filter(|(key, _)| key.starts_with("grad."));
    let norm: f64 = squares.flat_map(|(_, t)| &t.values).map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    assert!((outcome.gradient_norm - norm).abs() < 1e-4 * norm, "{} against {norm}", outcome.gradient_norm);
    compare_weights(&step.state_dict().unwrap(), &expected, "step1.");
}

#[test]
fn gradients_equal_the_reference_tensor_by_tensor() {
    let expected = expected();
    let mut step = trainer(&config(), weights(), Precision::Fp32);
    step.step(batch(&expected, &tokens()), 1e-3).unwrap();
    // After the first step the first moment is (1 - beta1) times the gradient.
    let moments = step.optimizer_state().unwrap();
    let mut checked = 0;
    for (key, tensor) in expected.iter().filter_map(|(key, t)| Some((key.strip_prefix("grad.")?, t))) {
        let found: Vec<f32> = moments[&format!("first.{key}")].values.iter().map(|v| v / 0.1).collect();
        let largest = tensor.values.iter().fold(0.0f32, |max, v| max.max(v.abs()));
        // Gradients of key biases are zero but for rounding.
        if largest > 1e-6 {
            let error = relative_error(&found, &tensor.values);
            assert!(error < 1e-4, "{key}: {error}");
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} tensors");
}

#[test]
fn three_steps_with_the_schedule_equal_the_reference() {
    let expected = expected();
    let mut step = trainer(&config(), weights(), Precision::Fp32);
    for (index, loss) in expected["losses"].values.iter().enumerate() {
        let rate = learning_rate(index as u64, 1e-3, 2, 10);
        let outcome = step.step(batch(&expected, &tokens()), rate).unwrap();
        assert!((outcome.loss - f64::from(*loss)).abs() < 1e-4, "step {index}: {} against {loss}", outcome.loss);
    }
    compare_weights(&step.state_dict().unwrap(), &expected, "step3.");
}

fn compare_weights(found: &StateDict, expected: &StateDict, prefix: &str) {
    let mut compared = 0;
    for (key, tensor) in expected.iter().filter_map(|(key, t)| Some((key.strip_prefix(prefix)?, t))) {
        let limit = if key.contains("key.bias") || key.contains("in_proj_bias") { 2e-4 } else { 5e-5 };
        for (a, b) in found[key].values.iter().zip(&tensor.values) {
            assert!((a - b).abs() < limit, "{prefix}{key}: {a} against {b}");
        }
        compared += 1;
    }
    assert_eq!(compared, found.len());
}

#[test]
fn narrow_precisions_stay_near_the_full_one() {
    let (config, expected) = (config(), expected());
    let encode = |precision| {
        let encoder = Encoder::new(&config, weights(), &ComputeDevice::cpu(), precision).unwrap();
        encoder.encode_images(&expected["images"].values, BATCH).unwrap()
    };
    let full = encode(Precision::Fp32);
    let error = relative_error(&encode(Precision::Bf16), &full);
    assert!(error > 0.0 && error < 0.05, "{error}");
    // A CPU has no product of 16-bit floats.
    assert_eq!(encode(Precision::Fp16), full);
}

#[test]
fn padding_and_company_change_no_bit_of_a_text() {
    let encoder = Encoder::new(&config(), weights(), &ComputeDevice::cpu(), Precision::Fp32).unwrap();
    let tokens = tokens();
    let together = encoder.encode_texts(&tokens, BATCH).unwrap();
    for (text, vector) in tokens.chunks(tokens.len() / BATCH).zip(together.chunks(config().embed_dim)) {
        let used = text.iter().rposition(|id| *id != 0).unwrap() + 1;
        assert_eq!(encoder.encode_texts(&text[..used], 1).unwrap(), vector);
    }
}

#[test]
fn a_checkpoint_survives_the_disk_and_bad_ones_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint { config: config(), state: weights() };
    checkpoint.save(folder.path()).unwrap();
    let again = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(again.config, checkpoint.config);
    assert_eq!(again.state, checkpoint.state);

    let refuse = |change: &dyn Fn(&mut StateDict)| {
        let mut state = weights();
        change(&mut state);
        Encoder::new(&config(), state, &ComputeDevice::cpu(), Precision::Fp32).unwrap_err().to_string()
    };
    let missing = refuse(&|state| drop(state.remove("visual.proj")));
    assert!(missing.contains("visual.proj"), "{missing}");
    let misshapen = refuse(&|state| state.get_mut("visual.proj").unwrap().shape = vec![1, 2]);
    assert!(misshapen.contains("[1, 2]"), "{misshapen}");
    let extra = refuse(&|state| {
        let tensor = state["visual.proj"].clone();
        state.insert("visual.more".to_owned(), tensor);
    });
    assert!(extra.contains("visual.more"), "{extra}");
    fs::write(folder.path().join("model.safetensors"), b"not tensors").unwrap();
    assert!(Checkpoint::open(folder.path()).is_err());
    let keys: BTreeMap<_, _> = weights().into_iter().collect();
    assert!(keys.contains_key("bert.encoder.layer.0.attention.self.query.weight"));
}

#[test]
fn a_checkpoint_of_the_reference_reads_like_its_safetensors() {
    let torch = read("tiny_clip.pt").unwrap();
    assert_eq!(torch, weights());
}

#[test]
fn a_pickle_that_would_run_code_is_refused_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("executed");
    let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", trace.display());
    for name in ["hostile.pt", "hostile.bin"] {
        let path = folder.path().join(name);
        fs::write(&path, &pickle).unwrap();
        let error = open_model(&path, Some(config()), ConfigChanges::default()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(!trace.exists());
}

#[test]
fn a_step_in_a_narrow_precision_follows_the_full_one() {
    let expected = expected();
    let loss = f64::from(expected["loss"].values[0]);
    for (precision, limit) in [(Precision::Bf16, 0.05), (Precision::Fp16, 0.01)] {
        let mut step = trainer(&config(), weights(), precision);
        let mut losses = Vec::new();
        for _ in 0..6 {
            let outcome = step.step(batch(&expected, &tokens()), 1e-3).unwrap();
            assert!(outcome.gradient_norm.is_finite() || !outcome.applied, "{precision:?}: {outcome:?}");
            losses.push(outcome.loss);
        }
        assert!((losses[0] - loss).abs() < limit * loss, "{precision:?}: {} against {loss}", losses[0]);
        assert!(losses[5] < losses[0], "{precision:?} does not learn: {losses:?}");
    }
}
