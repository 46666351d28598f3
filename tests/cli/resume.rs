//! Runs that are cut off: what they leave, and that the same command ends as if nothing had happened.
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::{PIPELINE, Workspace, files_below};

/// Whether a saved state of at least `steps` steps is there.
fn is_saved(workspace: &Workspace, store: &str, steps: u64) -> bool {
    let saved = |file: &String| {
        let folder = file.split('/').find_map(|part| part.strip_prefix("step-"));
        let step = folder.and_then(|name| name.split_once('-')?.0.parse::<u64>().ok());
        file.ends_with("progress.json") && !file.contains(".part") && step.is_some_and(|step| step >= steps)
    };
    files_below(&workspace.path(store).join("work")).iter().any(saved)
}

/// Waits until a saved state of at least `steps` steps is there.
fn wait_for_step(workspace: &Workspace, store: &str, child: &mut Child, steps: u64) {
    let started = Instant::now();
    while !is_saved(workspace, store, steps) {
        assert!(started.elapsed() < Duration::from_mins(2), "no state of step {steps} was saved");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before step {steps} was saved");
        std::thread::yield_now();
    }
}

fn weights_and_log(workspace: &Workspace, store: &str) -> Vec<(String, Vec<u8>)> {
    let folder = workspace.path(store).join("artifacts/checkpoint");
    let files = files_below(&folder).into_iter();
    let told = files.filter(|file| file.ends_with(".safetensors") || file.ends_with("train_log.jsonl"));
    told.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect()
}

/// Long enough to be cut off between two steps of an epoch, with all that a resume has to bring back.
fn long_pipeline(workspace: &Workspace) {
    let recipe = "epochs: 3\n    save_every_steps: 1\n    validate_every_steps: 2\n    ema: 0.9\n    mask_ratio: 0.25\n    accumulation: 2";
    workspace.write(
        "pipeline.yaml",
        PIPELINE.replacen("epochs: 3", recipe, 1).replacen("batch_size: 20", "batch_size: 8", 1),
    );
}

#[test]
fn a_run_killed_at_any_step_continues_there_and_ends_with_the_same_weights() {
    let workspace = Workspace::with_pipeline();
    long_pipeline(&workspace);
    let run = |store: &'static str| ["run", "pipeline.yaml", "--until", "first", "--store", store];
    let whole = workspace.tuwen(&run("whole")).succeeds();
    assert!(!whole.stderr.contains("continues"), "{}", whole.stderr);
    for step in [1, 3, 11] {
        let mut child = workspace.command(&run("killed")).arg("--quiet").spawn().unwrap();
        wait_for_step(&workspace, "killed", &mut child, step);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let again = workspace.tuwen(&run("killed")).succeeds();
    assert!(again.stderr.contains("continues after step"), "{}", again.stderr);
    let (whole, killed) = (weights_and_log(&workspace, "whole"), weights_and_log(&workspace, "killed"));
    assert_eq!(whole.len(), 4, "weights of both models, last weights, and the log");
    assert!(whole == killed, "a file differs");
}

#[test]
fn a_run_killed_between_its_last_step_and_its_last_validation_is_validated_when_it_goes_on() {
    let workspace = Workspace::with_pipeline();
    let recipe = "epochs: 1\n    save_every_steps: 1";
    workspace.write("pipeline.yaml", PIPELINE.replacen("epochs: 3", recipe, 1));
    let run = |store: &'static str| ["run", "pipeline.yaml", "--until", "first", "--store", store];
    workspace.tuwen(&run("whole")).succeeds();
    // Killed once the state of the third and last step is there, if the machine is not faster.
    let mut child = workspace.command(&run("killed")).arg("--quiet").spawn().unwrap();
    while child.try_wait().unwrap().is_none() && !is_saved(&workspace, "killed", 3) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    workspace.tuwen(&run("killed")).succeeds();
    assert!(weights_and_log(&workspace, "whole") == weights_and_log(&workspace, "killed"), "a file differs");
}

#[test]
fn a_terminated_run_saves_its_step_stops_with_143_and_ends_as_if_it_had_not() {
    let workspace = Workspace::with_pipeline();
    long_pipeline(&workspace);
    let without_saving =
        workspace.read("pipeline.yaml").replace("    save_every_steps: 1\n", "").replace("epochs: 3", "epochs: 12");
    workspace.write("pipeline.yaml", without_saving);
    let run = |store: &'static str| ["run", "pipeline.yaml", "--until", "first", "--store", store];
    workspace.tuwen(&run("whole")).succeeds();
    let mut child = workspace.command(&run("stopped")).arg("--quiet").spawn().unwrap();
    // The end of the first epoch; the signal arrives somewhere in the second.
    wait_for_step(&workspace, "stopped", &mut child, 1);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!workspace.path("stopped/releases").exists(), "nothing was published");
    let records = files_below(&workspace.path("stopped/runs"));
    let record = records.iter().find(|file| !file.contains('/')).unwrap();
    assert!(workspace.read(&format!("stopped/runs/{record}")).contains("\"exit_code\":143"));
    // A copy of the store begins anew, and ends the same.
    workspace.shell("cp -r stopped restarted");
    let restarted = workspace.tuwen(&[&run("restarted")[..], &["--restart"]].concat()).succeeds();
    assert!(!restarted.stderr.contains("continues"), "{}", restarted.stderr);
    assert!(weights_and_log(&workspace, "whole") == weights_and_log(&workspace, "restarted"), "a file differs");
    let again = workspace.tuwen(&[&run("stopped")[..], &["--resume"]].concat()).succeeds();
    assert!(again.stderr.contains("continues after step"), "{}", again.stderr);
    assert!(weights_and_log(&workspace, "whole") == weights_and_log(&workspace, "stopped"), "a file differs");
}

#[test]
fn a_run_that_finds_its_work_folder_taken_exits_73() {
    let workspace = Workspace::with_pipeline();
    workspace.write("long.yaml", PIPELINE.replace("epochs: 3", "epochs: 300"));
    let run = ["run", "long.yaml", "--quiet", "--until", "first"];
    let mut child = workspace.command(&run).spawn().unwrap();
    wait_for_step(&workspace, "artifacts", &mut child, 1);
    workspace.tuwen(&run).fails(73, &["is being run by another process"]);
    let beside = [&run[..], &["--lock", "none"]].concat();
    workspace.tuwen(&beside).fails(73, &["another run is working in"]);
    child.kill().unwrap();
    child.wait().unwrap();
}
