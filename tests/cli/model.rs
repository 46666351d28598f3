use std::fs;

use crate::support::{Workspace, files_below, repository};

fn golden(name: &str) -> String {
    repository().join("tests/golden").join(name).to_string_lossy().into_owned()
}

#[test]
fn the_list_gives_the_parameters_of_every_preset() {
    let json = Workspace::new().tuwen(&["model", "list", "--json"]).succeeds().json();
    let models = json["models"].as_array().unwrap();
    let parameters = |name: &str| models.iter().find(|model| model["name"] == name).unwrap()["parameters"].as_u64();
    assert_eq!(parameters("ViT-B-16"), Some(188_262_913));
    assert_eq!(parameters("ViT-L-14-336"), Some(406_560_769));
    assert_eq!(parameters("ViT-H-14"), Some(957_598_209));
    assert_eq!(parameters("RN50"), Some(76_989_537));
    assert!(models.iter().all(|model| model["text_tower"].is_string()), "{models:?}");
}

#[test]
fn show_describes_every_accepted_file() {
    let workspace = Workspace::new();
    workspace.tuwen(&["model", "import", &golden("zoo/hf"), "--output", "tiny"]).succeeds();
    let tiny = "tiny/config.json".to_owned();
    let native = workspace.tuwen(&["model", "show", "tiny"]).succeeds().stdout;
    assert!(native.contains("tuwen") && native.contains("logit scale"), "{native}");
    for (file, config, format, tensors) in [
        ("zoo/hf", None, "hugging-face", "f32"),
        ("zoo/hf_bin", None, "hugging-face", "f32"),
        ("tiny_clip.pt", Some(tiny.clone()), "chinese-clip", "f32"),
        ("zoo/flash.pt", Some(tiny.clone()), "chinese-clip with flash-attention", "f32"),
        ("zoo/no_module.pt", Some(tiny), "chinese-clip", "f16"),
        ("zoo/legacy.pt", Some(golden("zoo/vit_l_config.json")), "chinese-clip", "f32"),
        ("zoo/rn50.safetensors", Some(golden("zoo/rn50_config.json")), "chinese-clip", "f32"),
    ] {
        let file = golden(file);
        let mut arguments = vec!["model", "show", &file, "--json"];
        if let Some(config) = &config {
            arguments.extend(["--config", config]);
        }
        let json = workspace.tuwen(&arguments).succeeds().json();
        assert_eq!(json["format"], format, "{file}");
        assert!(json["tensors"][tensors].as_u64().unwrap() > 20, "{file}: {json}");
        assert!(json["parameters"]["total"].as_u64().unwrap() > 5_000, "{file}: {json}");
    }
}

#[test]
fn what_was_imported_can_be_exported_in_every_layout_and_read_again() {
    let workspace = Workspace::new();
    let scale = |path: &str, more: &[&str]| {
        let json = workspace.tuwen(&[&["model", "show", path, "--json"], more].concat()).succeeds().json();
        (json["logit_scale"].clone(), json["parameters"]["total"].clone())
    };
    workspace.tuwen(&["model", "import", &golden("zoo/hf"), "--output", "native"]).succeeds();
    let original = scale("native", &[]);
    for (format, output) in [("hugging-face", "hf"), ("chinese-clip", "clip.pt"), ("native", "copy")] {
        workspace.tuwen(&["model", "export", "native", "--format", format, "--output", output]).succeeds();
        let config: &[&str] = if format == "chinese-clip" { &["--config", "native/config.json"] } else { &[] };
        assert_eq!(scale(output, config), original, "{format}");
        let again = workspace.tuwen(&["model", "import", output, "--output", &format!("{output}-again")]);
        if config.is_empty() {
            again.succeeds();
            let weights = |folder: &str| fs::read(workspace.path(folder).join("model.safetensors")).unwrap();
            assert_eq!(weights(&format!("{output}-again")), weights("native"), "{format}");
        } else {
            // Heads of another width than 64 leave no trace in the weights.
            again.fails(65, &["clip.pt", "--config"]);
        }
    }
    let tiny = ["model", "import", "clip.pt", "--config", "native/config.json", "--output", "from-pt"];
    workspace.tuwen(&tiny).succeeds();
    let weights = |folder: &str| fs::read(workspace.path(folder).join("model.safetensors")).unwrap();
    assert_eq!(weights("from-pt"), weights("native"));
}

#[test]
fn another_resolution_interpolates_and_another_length_is_checked() {
    let workspace = Workspace::new();
    let hf = golden("zoo/hf");
    let side = |more: &[&str]| workspace.tuwen(&[&["model", "show", &hf, "--json"], more].concat());
    let json = side(&["--image-resolution", "64", "--context-length", "12"]).succeeds().json();
    assert_eq!(json["config"]["vision"]["image_resolution"], 64);
    assert_eq!(json["config"]["context_length"], 12);
    side(&["--image-resolution", "65"]).fails(65, &["multiple of the patch size"]);
    side(&["--context-length", "513"]).fails(65, &["513"]);
}

#[test]
fn a_refused_model_leaves_one_line_and_nothing_behind() {
    let workspace = Workspace::new();
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let ran = workspace.tuwen(arguments).fails(code, words);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    };
    workspace.write("text.pt", "not a checkpoint");
    refused(&["model", "show", "text.pt"], 65, &["text.pt", "not a readable checkpoint"]);
    refused(&["model", "show", "nowhere.pt"], 66, &["nowhere.pt"]);
    refused(&["model", "show", &golden("zoo/hostile.pt")], 65, &["hostile.pt"]);
    refused(&["model", "show", &golden("zoo/hf"), "--preset", "ViT-B-16"], 65, &["has shape [40]", "expects [768]"]);
    refused(&["model", "show", &golden("zoo/hf"), "--preset", "ViT-X"], 65, &["ViT-X", "ViT-B-16"]);
    for (from, to) in
        [("\"layers\": 2", "\"layers\": 1000000000000"), ("\"vocab_size\": 21128", "\"vocab_size\": 99999999999")]
    {
        let folder = workspace.path("huge");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.safetensors"), fs::read(golden("zoo/vit_b32.safetensors")).unwrap()).unwrap();
        let config = fs::read_to_string(golden("zoo/vit_b32_config.json")).unwrap();
        let config = config.replace("\"vocab_size\": 64", "\"vocab_size\": 21128");
        assert!(config.contains(from), "{config}");
        fs::write(folder.join("config.json"), config.replace(from, to)).unwrap();
        refused(&["model", "show", "huge"], 65, &["beyond any model"]);
        fs::remove_dir_all(&folder).unwrap();
    }
    workspace.write("empty/note.txt", "");
    refused(&["model", "import", "empty", "--output", "new"], 66, &["empty", "model.safetensors"]);
    refused(&["model", "import", &golden("zoo/hf"), "--output", "empty"], 65, &["exists already"]);
    let rn50 = golden("zoo/rn50.safetensors");
    let config = golden("zoo/rn50_config.json");
    let export = ["model", "export", &rn50, "--config", &config, "--format", "hugging-face", "--output", "rn50"];
    refused(&export, 65, &["no residual network", "chinese-clip"]);
    assert_eq!(files_below(workspace.folder.path()), ["empty/note.txt", "text.pt"]);
}

#[test]
fn weights_of_the_reference_beside_a_configuration_of_hugging_face_are_read_as_the_references() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("hub")).unwrap();
    fs::copy(golden("tiny_clip.pt"), workspace.path("hub/clip_cn_tiny.pt")).unwrap();
    fs::copy(golden("zoo/hf/config.json"), workspace.path("hub/config.json")).unwrap();
    // Its shapes are no published model's, so that the next question is the configuration.
    workspace.tuwen(&["model", "show", "hub/clip_cn_tiny.pt"]).fails(65, &["--config"]);
    let hf = fs::read_to_string(golden("zoo/hf/config.json")).unwrap();
    for (name, from, to) in [
        ("activation", "\"patch_size\": 8", "\"patch_size\": 8, \"hidden_act\": \"relu\""),
        ("type", "\"patch_size\": 8", "\"patch_size\": \"eight\""),
    ] {
        assert!(hf.contains(from), "{hf}");
        fs::create_dir(workspace.path(name)).unwrap();
        fs::copy(golden("zoo/hf/model.safetensors"), workspace.path(name).join("model.safetensors")).unwrap();
        fs::write(workspace.path(name).join("config.json"), hf.replace(from, to)).unwrap();
        workspace.tuwen(&["model", "show", name]).fails(65, &["config.json"]);
    }
}
