use std::fs;

use tuwen::model::{
    ClipConfig, ComputeDevice, ConfigChanges, Encoder, ModelFile, Precision, StateDict, WeightsFormat, normalize_rows,
    open_model, read_config, read_safetensors,
};

use super::fixture;
use super::model::{batch, relative_error, tokens_of, trainer};

const ARCHITECTURES: [&str; 4] = ["vit_h", "vit_l", "vit_b32", "rn50"];

fn config(name: &str) -> ClipConfig {
    read_config(&fixture(&format!("zoo/{name}_config.json"))).unwrap()
}

fn open(file: &str, config: Option<ClipConfig>) -> ModelFile {
    open_model(&fixture(file), config, ConfigChanges::default()).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn tensors(file: &str) -> StateDict {
    read_safetensors(&fixture(&format!("zoo/{file}.safetensors"))).unwrap()
}

fn tiny_clip() -> StateDict {
    read_safetensors(&fixture("tiny_clip.safetensors")).unwrap()
}

fn tiny_config() -> ClipConfig {
    open("zoo/hf", None).config
}

#[test]
fn features_and_logits_of_every_architecture_equal_the_reference() {
    for name in ARCHITECTURES {
        let (config, expected) = (config(name), tensors(&format!("{name}_expected")));
        let state = open(&format!("zoo/{name}.safetensors"), Some(config.clone())).state;
        let logit_factor = state["logit_scale"].values[0].exp();
        let encoder = Encoder::new(&config, state, &ComputeDevice::cpu(), Precision::Fp32).unwrap();
        let batch = expected["images"].shape[0];
        let unit = |key: &str| {
            let mut values = expected[key].values.clone();
            normalize_rows(&mut values, config.embed_dim);
            values
        };
        let images = encoder.encode_images(&expected["images"].values, batch).unwrap();
        let error = relative_error(&images, &unit("image_features"));
        assert!(error < 1e-4, "{name}: images differ by {error}");
        let tokens = tokens_of(&fixture(&format!("zoo/{name}_expected.safetensors")));
        let texts = encoder.encode_texts(&tokens, batch).unwrap();
        let error = relative_error(&texts, &unit("text_features"));
        assert!(error < 1e-4, "{name}: texts differ by {error}");
        let rows = images.chunks(config.embed_dim);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() * logit_factor;
        let logits: Vec<f32> =
            rows.flat_map(|image| texts.chunks(config.embed_dim).map(move |text| dot(image, text))).collect();
        let error = relative_error(&logits, &expected["logits_per_image"].values);
        assert!(error < 1e-4, "{name}: logits differ by {error}");
    }
}

#[test]
fn loss_and_gradients_of_every_architecture_equal_the_reference() {
    for name in ARCHITECTURES {
        let (config, mut expected) = (config(name), tensors(&format!("{name}_expected")));
        if name == "rn50" {
            expected.extend(tensors("rn50_grads"));
        }
        let state = open(&format!("zoo/{name}.safetensors"), Some(config.clone())).state;
        let mut step = trainer(&config, state, Precision::Fp32);
        let tokens = tokens_of(&fixture(&format!("zoo/{name}_expected.safetensors")));
        let outcome = step.step(batch(&expected, &tokens), 1e-3).unwrap();
        let loss = f64::from(expected["loss"].values[0]);
        assert!((outcome.loss - loss).abs() < 1e-4 * loss, "{name}: loss {} against {loss}", outcome.loss);
        // After the first step the first moment is (1 - beta1) times the gradient.
        let moments = step.optimizer_state().unwrap();
        let gradients = expected.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("grad.")?, tensor)));
        let mut checked = 0;
        for (key, gradient) in gradients {
            // Zero but for rounding.
            if key.ends_with("key.bias") || key.ends_with("k_proj.bias") {
                continue;
            }
            let found: Vec<f32> = moments[&format!("first.{key}")].values.iter().map(|v| v / 0.1).collect();
            let error = relative_error(&found, &gradient.values);
            assert!(error < 1e-4, "{name}: the gradient of {key} differs by {error}");
            checked += 1;
        }
        assert!(checked > 60, "{name}: only {checked} gradients");
    }
}

#[test]
fn running_statistics_move_as_in_the_reference() {
    let (config, expected) = (config("rn50"), tensors("rn50_expected"));
    let state = open("zoo/rn50.safetensors", Some(config.clone())).state;
    let mut step = trainer(&config, state, Precision::Fp32);
    let tokens = tokens_of(&fixture("zoo/rn50_expected.safetensors"));
    step.step(batch(&expected, &tokens), 1e-3).unwrap();
    let found = step.state_dict().unwrap();
    let after: Vec<_> =
        expected.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("after.")?, tensor))).collect();
    assert_eq!(after.len(), 44);
    for (key, tensor) in after {
        let error = relative_error(&found[key].values, &tensor.values);
        assert!(error < 1e-4, "{key} differs by {error}");
    }
}

#[test]
fn position_embeddings_are_interpolated_as_in_the_reference() {
    let fixtures = tensors("positions");
    let mut small = config("vit_h");
    let VitSizes { patch, .. } = sizes(&mut small, 8, 4);
    let before = {
        let mut state = small.random_state(1).unwrap();
        state.insert("visual.positional_embedding".to_owned(), fixtures["before_4"].clone());
        state
    };
    for side in [3, 6, 7] {
        let changes = ConfigChanges { image_resolution: Some(side * patch), context_length: None };
        let fitted = small.clone().with(changes).unwrap().fit(before.clone()).unwrap();
        let error =
            relative_error(&fitted["visual.positional_embedding"].values, &fixtures[&format!("after_{side}")].values);
        assert!(error < 1e-6, "{side}: {error}");
    }
}

struct VitSizes {
    patch: usize,
}

/// Gives the tower another width and another grid.
fn sizes(config: &mut ClipConfig, width: usize, grid: usize) -> VitSizes {
    let tuwen::model::VisionConfig::Vit(vit) = &mut config.vision else { panic!("not a vision transformer") };
    (vit.width, vit.head_width, vit.image_resolution) = (width, width, grid * vit.patch_size);
    VitSizes { patch: vit.patch_size }
}

#[test]
fn both_hugging_face_layouts_and_every_layout_of_the_reference_hold_the_same_weights() {
    let original = tiny_clip();
    for (file, format) in [("zoo/hf", WeightsFormat::HuggingFace), ("zoo/hf_bin", WeightsFormat::HuggingFace)] {
        let model = open(file, None);
        assert_eq!((model.format, &model.state), (format, &original), "{file}");
    }
    let flash = open("zoo/flash.pt", Some(tiny_config()));
    assert_eq!(flash.format, WeightsFormat::ChineseClipFlashAttention);
    assert_eq!(flash.state, original);
    let legacy = open("zoo/legacy.pt", Some(config("vit_l")));
    assert_eq!(legacy.state, tensors("vit_l"));
    // Half precision keeps eleven bits.
    let half = open("zoo/no_module.pt", Some(tiny_config()));
    assert_eq!(half.dtypes.keys().copied().collect::<Vec<_>>(), ["f16"]);
    for (key, tensor) in &original {
        let error = relative_error(&half.state[key].values, &tensor.values);
        assert!(error < 1e-3, "{key}: {error}");
    }
    let trainer = open("zoo/optimizer.pt", Some(config("vit_l")));
    assert_eq!(trainer.state.keys().collect::<Vec<_>>(), tensors("vit_l").keys().collect::<Vec<_>>());
}

#[test]
fn a_hostile_pickle_is_refused_by_name_and_runs_nothing() {
    for file in ["zoo/hostile.pt", "zoo/hostile_legacy.pt"] {
        let error = open_model(&fixture(file), None, ConfigChanges::default()).unwrap_err().to_string();
        assert!(error.contains("hostile") && !error.contains('\n'), "{error}");
    }
    assert!(!fs::exists("/tmp/tuwen_hostile_ran").unwrap());
}

#[test]
fn bad_weights_are_refused_in_one_line_that_names_tensor_or_file() {
    let refuse = |file: &str, config: Option<ClipConfig>| {
        let error = open_model(&fixture(file), config, ConfigChanges::default()).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let wrong_tower = refuse("zoo/vit_b32.safetensors", Some(config("vit_l")));
    assert!(wrong_tower.contains("`visual.") && wrong_tower.contains("expects ["), "{wrong_tower}");
    let other = refuse("zoo/positions.safetensors", None);
    assert!(other.contains("positions.safetensors") && other.contains("text_projection"), "{other}");
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("zoo/flash.pt")).unwrap();
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        let path = folder.path().join("cut.pt");
        fs::write(&path, &whole[..length]).unwrap();
        let error = open_model(&path, Some(tiny_config()), ConfigChanges::default()).unwrap_err().to_string();
        assert!(error.contains("cut.pt") && !error.contains('\n'), "{length}: {error}");
    }
    let whole = fs::read(fixture("tiny_clip.safetensors")).unwrap();
    for length in [0, 4, 200, whole.len() - 1] {
        let path = folder.path().join("cut.safetensors");
        fs::write(&path, &whole[..length]).unwrap();
        let error = open_model(&path, Some(tiny_config()), ConfigChanges::default()).unwrap_err().to_string();
        assert!(error.contains("cut.safetensors"), "{length}: {error}");
    }
    let tokenizer = open("zoo/hf", None).check_tokenizer().unwrap_err().to_string();
    assert!(tokenizer.contains("21128"), "{tokenizer}");
}
