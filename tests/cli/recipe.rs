//! What the YAML of a fine-tuning stage can ask for, run as a user would.
use serde_json::Value;

use crate::support::{PIPELINE, Ran, Workspace, files_below};

/// Runs the stage `first` with more settings; its log, line by line, and what was said.
fn first_with(workspace: &Workspace, settings: &str) -> (Vec<Value>, Ran) {
    let text = PIPELINE.replacen("epochs: 3", &format!("epochs: 3\n    {}", settings.replace('\n', "\n    ")), 1);
    workspace.write("recipe.yaml", text);
    let store = format!("store-{}", files_below(workspace.folder.path()).len());
    let ran = workspace.tuwen(&["run", "recipe.yaml", "--until", "first", "--store", &store]);
    let logs = files_below(&workspace.path(&store)).into_iter().filter(|file| file.ends_with("train_log.jsonl"));
    let lines = logs.flat_map(|file| {
        let log = workspace.read(&format!("{store}/{file}"));
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    });
    (lines.collect(), ran)
}

fn steps(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["event"] == "step").collect()
}

fn losses(log: &[Value]) -> Vec<f64> {
    steps(log).iter().map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn max_steps_ends_the_run_and_the_schedule_in_the_middle_of_an_epoch() {
    let workspace = Workspace::with_pipeline();
    let (log, ran) = first_with(&workspace, "max_steps: 5");
    ran.succeeds();
    let steps = steps(&log);
    assert_eq!(steps.len(), 5);
    assert!(steps[4]["learning_rate"].as_f64().unwrap() < 0.3e-3, "{}", steps[4]);
    assert_eq!(log.last().unwrap()["event"], "epoch");
}

#[test]
fn validation_within_epochs_and_early_stopping_leave_their_marks() {
    let workspace = Workspace::with_pipeline();
    let (log, ran) = first_with(&workspace, "validate_every_steps: 2\nlearning_rate: 1e-9");
    // The setting is there already.
    ran.fails(78, &["learning_rate"]);
    assert!(log.is_empty());
    let settings = "validate_every_steps: 1\nearly_stopping: { patience: 2, min_delta: 0.9 }";
    let (log, ran) = first_with(&workspace, settings);
    assert!(ran.succeeds().stderr.contains("stops early at step 2"));
    assert_eq!(steps(&log).len(), 2);
    assert_eq!(log.iter().filter(|line| line["event"] == "validation").count(), 2);
    // A validation at the last step of an epoch is the one at its end.
    let (log, ran) = first_with(&workspace, "validate_every_steps: 3\nearly_stopping: { patience: 1, min_delta: 0.9 }");
    assert!(ran.succeeds().stderr.contains("stops early at step 3"));
    let scores: Vec<&Value> = log.iter().map(|line| &line["validation"]).filter(|scores| !scores.is_null()).collect();
    assert_eq!(scores.len(), 3);
    assert_eq!(scores[1], scores[2]);
    let (log, ran) = first_with(&workspace, "validate_every_epochs: 2");
    ran.succeeds();
    let validated: Vec<bool> =
        log.iter().filter(|line| line["event"] == "epoch").map(|line| !line["validation"].is_null()).collect();
    assert_eq!(validated, [true, false, true, true]);
}

#[test]
fn settings_of_the_recipe_change_what_is_learnt() {
    let workspace = Workspace::with_pipeline();
    let (plain, ran) = first_with(&workspace, "max_steps: 3");
    // Captions of one image stand in one batch.
    assert!(ran.succeeds().stderr.contains("positives: shared"));
    let plain = losses(&plain);
    for settings in [
        "seed: 8",
        "dropout: 0.5",
        "mask_ratio: 0.5",
        "positives: shared",
        "sampler: distinct",
        "precision: bf16",
        "freeze: [text]",
        "lora: { rank: 2 }",
        "clip_gradient_norm: 0.01",
        "decay: matrices",
        "epsilon: 1e-3",
        "beta2: 0.5",
        "weight_decay: 0.9",
        "needs: { model: base, data: muge, teacher: base }\n    distillation: { weight: 2 }",
    ] {
        let text = PIPELINE
            .replacen("    needs: { model: base, data: muge }\n", "", usize::from(settings.starts_with("needs")))
            .replacen("epochs: 3", &format!("epochs: 3\n    max_steps: 3\n    {settings}"), 1);
        workspace.write("changed.yaml", text);
        let store = format!("changed-{}", settings.len() * 1_000 + usize::from(settings.as_bytes()[0]));
        workspace.tuwen(&["run", "changed.yaml", "--quiet", "--until", "first", "--store", &store]).succeeds();
        let file = files_below(&workspace.path(&store)).into_iter().find(|file| file.ends_with("train_log.jsonl"));
        let log = workspace.read(&format!("{store}/{}", file.unwrap()));
        let found = losses(&log.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>());
        assert_ne!(found, plain, "{settings} changes nothing");
        assert!(found.iter().all(|loss| loss.is_finite()), "{settings}: {found:?}");
    }
}

#[test]
fn memory_settings_change_only_roundings() {
    let workspace = Workspace::with_pipeline();
    let settings = "max_steps: 4\ndropout: 0.0";
    let (plain, ran) = first_with(&workspace, settings);
    ran.succeeds();
    for more in ["accumulation: 4", "gradient_checkpointing: true", "accumulation: 3\ngradient_checkpointing: true"] {
        let (found, ran) = first_with(&workspace, &format!("{settings}\n{more}"));
        ran.succeeds();
        for (a, b) in losses(&plain).iter().zip(losses(&found)) {
            assert!((a - b).abs() < 1e-4, "{more}: {b} for {a}");
        }
    }
}

#[test]
fn interpolation_and_inheritance_reach_the_result() {
    let workspace = Workspace::with_pipeline();
    let kept = PIPELINE.replacen(
        "epochs: 3",
        "epochs: 1\n    keep_optimizer: true\n    interpolation: 0.0\n    keep: last",
        1,
    );
    workspace.write(
        "pipeline.yaml",
        kept.replacen("epochs: 1\n    batch_size: 8", "epochs: 1\n    optimizer: inherit\n    batch_size: 8", 1),
    );
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", "second"]).succeeds();
    let folder = workspace.path("artifacts/artifacts/checkpoint");
    let read = |file: &String| std::fs::read(folder.join(file)).unwrap();
    let models: Vec<Vec<u8>> =
        files_below(&folder).iter().filter(|file| file.ends_with("model.safetensors")).map(read).collect();
    // Nothing of the tuned weights is in what `first` hands on.
    assert_eq!(models.len(), 3);
    let distinct: std::collections::BTreeSet<&Vec<u8>> = models.iter().collect();
    assert_eq!(distinct.len(), 2, "base and first are equal, second differs");
    let without =
        PIPELINE.replacen("epochs: 1\n    batch_size: 8", "epochs: 1\n    optimizer: inherit\n    batch_size: 8", 1);
    workspace.write("without.yaml", without.clone());
    workspace
        .tuwen(&["run", "without.yaml", "--quiet", "--until", "second", "--store", "without"])
        .fails(65, &["first", "keep_optimizer: true"]);
    let ranks = without.replacen("epochs: 3", "epochs: 1\n    keep_optimizer: true\n    lora: { rank: 2 }", 1);
    workspace.write("ranks.yaml", ranks.replacen("optimizer: inherit", "optimizer: inherit\n    lora: { rank: 4 }", 1));
    workspace
        .tuwen(&["run", "ranks.yaml", "--quiet", "--until", "second", "--store", "ranks"])
        .fails(65, &["lora_a.", "has shape"]);
}

#[test]
fn recipes_that_cannot_work_are_refused_before_anything_is_read() {
    let workspace = Workspace::with_pipeline();
    for (settings, field) in [
        ("freeze: [vision, text]", "freeze"),
        ("accumulation: 21", "accumulation"),
        ("distillation: {}", "needs.teacher"),
        ("mask_ratio: 1.0", "mask_ratio"),
        ("lora: { rank: 0 }", "lora.rank"),
        ("ema: 1.0", "ema"),
        ("early_stopping: {}", "patience"),
        ("optimizer: keep", "optimizer"),
    ] {
        workspace.check_with("epochs: 3", &format!("epochs: 3\n    {settings}")).fails(78, &[field]);
    }
    workspace
        .check_with("preset: ViT-tiny-16", "preset: ViT-tiny-16, image_resolution: 65")
        .fails(78, &["image_resolution"]);
    workspace
        .check_with("preset: ViT-tiny-16", "preset: ViT-tiny-16, text_model: GPT")
        .fails(78, &["text_model", "RBT3"]);
}

#[test]
fn a_warm_up_longer_than_the_run_is_warned_of() {
    let workspace = Workspace::with_pipeline();
    let text = PIPELINE.replacen("warmup_steps: 2", "warmup_steps: 200\n    max_steps: 1", 1);
    workspace.write("pipeline.yaml", text);
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--until", "first"]).succeeds();
    assert!(ran.stderr.contains("never reaches its peak"), "{}", ran.stderr);
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_state_before_it() {
    let workspace = Workspace::with_pipeline();
    workspace.write("pipeline.yaml", PIPELINE.replacen("learning_rate: 1e-3", "learning_rate: 1e30", 1));
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", "first"]);
    let ran = ran.fails(65, &["lower learning_rate", "the state before it is kept in"]);
    assert!(ran.stderr.contains("NaN") || ran.stderr.contains("inf"), "{}", ran.stderr);
    let kept = files_below(&workspace.path("artifacts/work"));
    assert!(kept.iter().any(|file| file.contains("step-") && file.ends_with("weights.safetensors")), "{kept:?}");
    assert!(!workspace.path("artifacts/releases").exists());
}

#[test]
fn step_times_are_kept_with_the_run_and_not_with_the_result() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", "first"]).succeeds();
    let files = files_below(&workspace.path("artifacts/runs"));
    let timing = files.iter().find(|file| file.ends_with("/first/steps.jsonl")).unwrap();
    let lines = workspace.read(&format!("artifacts/runs/{timing}"));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 9);
    for line in lines {
        assert!(line["step_seconds"].as_f64().unwrap() > 0.0 && line["data_wait_seconds"].as_f64().unwrap() >= 0.0);
        assert!(line["pairs_per_second"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_range_of_learning_rates_is_tried_and_drawn() {
    let workspace = Workspace::with_pipeline();
    let find = ["find-lr", "pipeline.yaml", "--stage", "first", "--steps", "30", "--from", "1e-6", "--to", "10"];
    let ran = workspace.tuwen(&[&find[..], &["--json", "--quiet"]].concat()).succeeds();
    let json = ran.json();
    let trials = json["trials"].as_array().unwrap();
    assert!(trials.len() > 5 && trials.len() <= 30, "{}", trials.len());
    let rates: Vec<f64> = trials.iter().map(|trial| trial["learning_rate"].as_f64().unwrap()).collect();
    assert!(rates.is_sorted_by(|a, b| a < b) && (rates[0] - 1e-6).abs() < 1e-12);
    let suggested = json["suggested"].as_f64().unwrap();
    assert!(suggested > 1e-7 && suggested < 1.0, "{suggested}");
    let page = workspace.read("learning-rate.html");
    assert!(page.contains("<svg") && page.contains("Suggested peak"));
    workspace.tuwen(&["find-lr", "pipeline.yaml", "--from", "1", "--to", "0.1"]).fails(2, &["--from"]);
    workspace.tuwen(&["find-lr", "pipeline.yaml", "--stage", "muge"]).fails(66, &["first, second"]);
}

#[test]
fn the_device_of_the_file_is_used_unless_a_flag_names_another() {
    let workspace = Workspace::with_pipeline();
    workspace.write("device.yaml", PIPELINE.replacen("seed: 7", "seed: 7\ndevice: cuda:7", 1));
    workspace.tuwen(&["run", "device.yaml", "--quiet", "--until", "base"]).fails(69, &["cuda:7"]);
    workspace.tuwen(&["run", "device.yaml", "--quiet", "--until", "base", "--device", "cpu"]).succeeds();
    workspace.check_with("seed: 7", "seed: 7\ndevice: tpu").fails(78, &["device"]);
}
