use std::fs;

use tuwen::data::Manifest;

use crate::support::{PIPELINE, Ran, Workspace, files_below};

/// Digests of weights and training logs that a store's checkpoints hold, by stage.
fn weights(workspace: &Workspace, store: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for file in files_below(&workspace.path(store)) {
        if !file.contains("checkpoint") || !file.ends_with("manifest.json") {
            continue;
        }
        let manifest: Manifest = serde_json::from_str(&workspace.read(&format!("{store}/{file}"))).unwrap();
        found.push((manifest.stage, manifest.files.into_iter().map(|file| file.digest).collect()));
    }
    found.sort();
    found
}

fn reused(ran: &Ran) -> Vec<(String, bool)> {
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap().clone();
    steps.iter().map(|s| (s["stage"].as_str().unwrap().to_owned(), s["reused"].as_bool().unwrap())).collect()
}

#[test]
fn a_pipeline_runs_to_its_end_publishes_and_reuses_everything_the_second_time() {
    let workspace = Workspace::with_pipeline();
    let first = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds();
    assert_eq!(first.json()["release"], 1);
    assert!(first.json()["published"].as_bool().unwrap());
    assert!(reused(&first).iter().all(|(_, reused)| !reused));
    let report = fs::read_to_string(workspace.path(first.json()["report"].as_str().unwrap())).unwrap();
    assert!(report.contains("<svg") && report.contains("data:image/jpeg;base64,"));
    assert!(!report.contains("http://") && !report.contains("https://"), "the page must be self-contained");

    let second = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds();
    assert!(reused(&second).iter().all(|(_, reused)| *reused));
    assert_eq!(second.json()["release"], 1);
    assert!(!second.json()["published"].as_bool().unwrap());
    assert_eq!(second.json()["scores"], first.json()["scores"]);
    assert!(files_below(&workspace.path("artifacts/work")).is_empty(), "scratch is removed");
}

#[test]
fn a_changed_setting_runs_its_stage_and_what_depends_on_it_and_nothing_else() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    workspace.write("pipeline.yaml", PIPELINE.replace("learning_rate: 5e-4", "learning_rate: 4e-4"));
    let plan = workspace.tuwen(&["plan", "pipeline.yaml", "--json"]).succeeds().json();
    let why = |stage: &str| {
        plan["steps"].as_array().unwrap().iter().find(|step| step["stage"] == stage).unwrap()["why"].clone()
    };
    assert_eq!(why("second"), "learning_rate: 0.0005 -> 0.0004");
    assert_eq!(why("vectors"), "`second` runs again");
    assert!(why("first").is_null());
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds();
    let again: Vec<String> = reused(&ran).into_iter().filter(|(_, reused)| !reused).map(|(id, _)| id).collect();
    assert_eq!(again, ["second", "vectors", "index", "scores", "report"]);
    assert_eq!(ran.json()["release"], 2);
}

#[test]
fn the_same_seed_gives_the_same_weights_on_one_thread_and_on_several() {
    let workspace = Workspace::with_pipeline();
    for (store, threads) in [("one", "1"), ("many", "4")] {
        let mut command =
            workspace.command(&["run", "pipeline.yaml", "--quiet", "--until", "second", "--store", store]);
        Ran::new(&command.env("RAYON_NUM_THREADS", threads).output().unwrap()).succeeds();
    }
    assert_eq!(weights(&workspace, "one"), weights(&workspace, "many"));
    assert_eq!(weights(&workspace, "one").len(), 3);
    workspace.write("other.yaml", PIPELINE.replace("seed: 7", "seed: 8"));
    workspace.tuwen(&["run", "other.yaml", "--quiet", "--until", "first", "--store", "other"]).succeeds();
    assert_ne!(weights(&workspace, "one")[0], weights(&workspace, "other")[0]);
}

#[test]
fn bad_input_exits_with_its_code_and_leaves_nothing_half_written() {
    let cases: [(&str, &str, i32, &str); 6] = [
        ("root: muge", "root: nowhere", 66, "nowhere/train_imgs.tsv: not found"),
        ("captions: captions.csv", "captions: captions.txt", 66, "not found"),
        ("batch_size: 20", "batch_size: 2000", 65, "lower it"),
        ("preset: ViT-tiny-16", "preset: ViT-tiny-16, weights: missing.pt", 66, "missing.pt"),
        ("{ scale: [0.8, 1.0] }", "{ size: 224 }", 65, "the model takes 64"),
        ("valid: 0.2, test: 0.3", "valid: 0.2, test: 0.000001", 65, "split `test` is empty"),
    ];
    for (from, to, code, words) in cases {
        let workspace = Workspace::with_pipeline();
        assert!(PIPELINE.contains(from), "{from}");
        workspace.write("pipeline.yaml", PIPELINE.replacen(from, to, 1));
        workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).fails(code, &[words]);
        assert!(!workspace.path("artifacts/releases").exists(), "{to}: something was published");
        for file in files_below(&workspace.path("artifacts/artifacts")) {
            let folder = file.split('/').take(2).collect::<Vec<_>>().join("/");
            assert!(
                workspace.path(&format!("artifacts/artifacts/{folder}/manifest.json")).exists(),
                "{file} is not sealed"
            );
        }
    }
}

#[test]
fn a_preview_shows_originals_and_augmentations() {
    let workspace = Workspace::with_pipeline();
    let arguments = ["preview", "pipeline.yaml", "--images", "3", "--augmentations", "4", "--cell", "64", "--quiet"];
    workspace.tuwen(&arguments).succeeds();
    let sheet = image::open(workspace.path("preview.png")).unwrap().to_rgb8();
    assert_eq!(sheet.dimensions(), (5 * 70 + 18, 3 * 70 + 6));
    let cell = |column: u32, row: u32| {
        let left = if column == 0 { 6 } else { 12 + column * 70 };
        image::imageops::crop_imm(&sheet, left, 6 + row * 70, 64, 64).to_image()
    };
    assert_ne!(cell(1, 0), cell(2, 0), "two augmentations of one image differ");
    assert_ne!(cell(0, 0), cell(0, 1), "two images differ");
    workspace.tuwen(&["preview", "pipeline.yaml", "--stage", "nowhere"]).fails(66, &["first, second"]);
}

#[test]
fn a_pipeline_runs_in_memory_as_on_disk() {
    let workspace = Workspace::with_pipeline();
    let disk = workspace.tuwen(&["run", "pipeline.yaml", "--json", "--quiet"]).succeeds().json();
    let memory =
        workspace.tuwen(&["run", "pipeline.yaml", "--json", "--quiet", "--store", "memory://"]).succeeds().json();
    assert_eq!(disk["scores"], memory["scores"]);
}

#[test]
fn a_full_disk_exits_74_and_the_same_command_finishes_once_there_is_room() {
    let workspace = Workspace::with_pipeline();
    // A limit on the size of one file fails a write in the middle, as a full disk does.
    let limited = "ulimit -f 4096; exec \"$0\" run pipeline.yaml --quiet --until base";
    let output = workspace.shell(limited);
    Ran::new(&output).fails(74, &["model.safetensors"]);
    assert!(!workspace.path("artifacts/artifacts/checkpoint").exists());
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", "base"]).succeeds();
}

#[test]
fn a_result_that_cannot_be_written_to_stdout_is_an_error() {
    let workspace = Workspace::with_pipeline();
    for json in ["", "--json"] {
        let output = workspace.shell(&format!("exec \"$0\" plan pipeline.yaml {json} >/dev/full"));
        Ran::new(&output).fails(74, &["stdout"]);
    }
    // A reader that has seen enough is no error.
    let output = workspace.shell("\"$0\" plan pipeline.yaml | true; exit ${PIPESTATUS[0]}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_report_says_how_it_was_made_and_times_encoding_only_if_asked() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    let timed = PIPELINE.replace("kind: report, ", "kind: report, time_encoding: true, ");
    assert_ne!(timed, PIPELINE);
    workspace.write("timed.yaml", timed);
    let page = |file: &str| {
        let ran = workspace.tuwen(&["run", file, "--json"]).succeeds().json();
        fs::read_to_string(workspace.path(ran["report"].as_str().unwrap())).unwrap()
    };
    let (plain, timed) = (page("pipeline.yaml"), page("timed.yaml"));
    assert!(!plain.contains("Inference time") && timed.contains("Inference time"));
    assert!(plain.contains("Settings of every stage") && plain.contains("random_resized_crop"));
}
