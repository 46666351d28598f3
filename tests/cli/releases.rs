use std::fs;

use crate::support::{PIPELINE, Workspace, files_below};

/// The pipeline once with its own settings and once with a smaller learning rate.
fn two_releases() -> Workspace {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    workspace.write("pipeline.yaml", PIPELINE.replace("learning_rate: 5e-4", "learning_rate: 4e-4"));
    workspace
        .tuwen(&["run", "pipeline.yaml", "--quiet", "--run-id", "night-2", "--logical-date", "2026-11-24"])
        .succeeds();
    workspace
}

#[test]
fn releases_are_listed_compared_named_and_taken_back() {
    let workspace = two_releases();
    let listed = workspace.tuwen(&["releases", "list", "--json"]).succeeds().json();
    assert_eq!(listed["releases"].as_array().unwrap().len(), 2);
    assert_eq!(listed["releases"][1]["run_id"], "night-2");
    let changed = workspace.tuwen(&["releases", "diff", "1", "--json"]).succeeds().json();
    let stages: Vec<&str> =
        changed["changes"].as_array().unwrap().iter().map(|change| change["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["index", "report", "scores", "second", "vectors"]);

    workspace.tuwen(&["releases", "tag", "1", "good"]).succeeds();
    let back = workspace.tuwen(&["releases", "rollback", "good", "--json"]).succeeds().json();
    assert_eq!((back["release"].as_u64(), back["rollback_to"].as_u64()), (Some(3), Some(1)));
    let again = workspace.tuwen(&["releases", "rollback", "1", "--json"]).succeeds().json();
    assert_eq!(again["published"], false, "it is current already");
    let first = workspace.tuwen(&["releases", "show", "good", "--json"]).succeeds().json();
    let third = workspace.tuwen(&["releases", "show", "--json"]).succeeds().json();
    assert_eq!(first["artifacts"], third["artifacts"]);

    assert_eq!(workspace.tuwen(&["releases", "show", "9"]).code, 66);
    assert_eq!(workspace.tuwen(&["releases", "show", "missing"]).code, 66);
    for name in ["", "..", "a/b", "17"] {
        assert_eq!(workspace.tuwen(&["releases", "tag", "1", name]).code, 2, "{name}");
    }
    let runs = workspace.tuwen(&["runs", "--json"]).succeeds().json();
    assert_eq!(runs["runs"][0]["logical_date"], "2026-11-24");
    assert!(workspace.tuwen(&["status"]).succeeds().stdout.contains("release 3"));
}

#[test]
fn what_compare_says_is_what_the_scores_say() {
    let workspace = two_releases();
    let compared = workspace.tuwen(&["compare", "1", "2", "--json"]).succeeds().json();
    let scores = |release: &str| {
        let show = workspace.tuwen(&["releases", "show", release, "--json"]).succeeds().json();
        let key =
            format!("artifacts/artifacts/scores/{}", show["artifacts"]["scores"]["fingerprint"].as_str().unwrap());
        tuwen::evaluate::read_scores(&workspace.path(&key)).unwrap()
    };
    let (before, after) = (scores("1"), scores("2"));
    let mut checked = 0;
    for row in compared["comparisons"].as_array().unwrap() {
        for change in row["comparison"]["changes"].as_array().unwrap() {
            let value = |scores: &[tuwen::evaluate::Score]| {
                let found = scores.iter().find(|score| {
                    score.model == "second"
                        && score.subset == "all"
                        && row["dataset"] == score.dataset.as_str()
                        && row["direction"] == score.direction.as_str()
                        && change["metric"] == score.metric.as_str()
                });
                found.map(|score| score.value)
            };
            if let (Some(before), Some(after)) = (value(&before), value(&after)) {
                let near = |name: &str, value: f64| (change[name].as_f64().unwrap() - value).abs() < 1e-12;
                assert!(near("published", before) && near("candidate", after), "{change} {before} {after}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "{checked}");
    let same = workspace.tuwen(&["compare", "1", "1"]).succeeds().stdout;
    assert!(same.contains("overlap@10 1.000"), "{same}");
    let models = workspace.tuwen(&["compare", ":first", ":second"]).succeeds().stdout;
    assert!(models.starts_with("release 2, first -> release 2, second"), "{models}");
    let unknown = workspace.tuwen(&["compare", ":nobody", "1"]);
    assert!(unknown.code == 66 && unknown.stderr.contains("it has: base, first, second"), "{}", unknown.stderr);
}

#[test]
fn a_worse_model_does_not_pass_the_gate_and_the_old_release_stays() {
    let workspace = Workspace::with_pipeline();
    let gated = PIPELINE.replace(
        "kind: evaluate, ",
        "kind: evaluate, gate: { metric: mean_recall, min_delta: 0.99, rule: not_worse }, ",
    );
    assert_ne!(gated, PIPELINE);
    workspace.write("pipeline.yaml", &gated);
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    workspace.write("pipeline.yaml", gated.replace("learning_rate: 5e-4", "learning_rate: 4e-4"));
    let refused = workspace.tuwen(&["run", "pipeline.yaml"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("the gate is closed, nothing is published"), "{}", refused.stderr);
    assert_eq!(
        workspace.tuwen(&["releases", "list", "--json"]).succeeds().json()["releases"].as_array().unwrap().len(),
        1
    );
    assert_eq!(workspace.tuwen(&["publish", "pipeline.yaml"]).code, 3);
    let reports = || {
        let files = files_below(&workspace.path("artifacts/artifacts/report")).into_iter();
        files
            .filter(|file| file.ends_with("report.md"))
            .map(|file| workspace.read(&format!("artifacts/artifacts/report/{file}")))
    };
    assert!(reports().any(|report| report.contains("Closed: ") && report.contains("against release 1 failed")));
    // The gate is no part of the scores, but the report tells what it said.
    workspace.write(
        "pipeline.yaml",
        gated.replace("learning_rate: 5e-4", "learning_rate: 4e-4").replace("min_delta: 0.99", "min_delta: -0.99"),
    );
    let passed = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds().json();
    let made = passed["steps"].as_array().unwrap().iter().filter(|step| step["reused"] == false);
    assert_eq!(made.map(|step| step["stage"].as_str().unwrap()).collect::<Vec<_>>(), ["report"], "{passed}");
    let shown = workspace.tuwen(&["releases", "show", "--json"]).succeeds().json();
    assert!(passed["release"] == 2 && shown["gate"].as_str().unwrap().contains("mean_recall"), "{passed} {shown}");
    assert!(reports().any(|report| report.contains("Open: nothing stands against taking the place of release 1.")));
    let again = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds().json();
    assert!(again["steps"].as_array().unwrap().iter().all(|step| step["reused"] == true), "{again}");
}

#[test]
fn verify_finds_a_changed_byte_a_missing_file_and_a_wrong_vector() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    let whole = workspace.tuwen(&["verify", "--json"]).succeeds().json();
    assert!(whole["vectors"].as_u64().unwrap() > 0 && whole["findings"].as_array().unwrap().is_empty());
    let files = files_below(&workspace.path("artifacts/artifacts"));
    let table = files.iter().find(|file| file.starts_with("dataset/") && file.ends_with("texts.parquet")).unwrap();
    let path = workspace.path(&format!("artifacts/artifacts/{table}"));
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&path, &bad).unwrap();
    let found = workspace.tuwen(&["verify"]);
    assert!(found.code == 65 && found.stderr.contains("texts.parquet has another content"), "{}", found.stderr);
    fs::remove_file(&path).unwrap();
    let found = workspace.tuwen(&["verify"]);
    assert!(found.code == 65 && found.stderr.contains("texts.parquet is missing"), "{}", found.stderr);
    fs::write(&path, good).unwrap();
    workspace.tuwen(&["verify"]).succeeds();
}

#[test]
fn of_two_runs_at_once_one_publishes_and_one_ends_with_73() {
    let workspace = Workspace::with_pipeline();
    let run = || workspace.command(&["run", "pipeline.yaml", "--quiet"]).spawn().unwrap();
    let (mut first, mut second) = (run(), run());
    let mut codes = [first.wait().unwrap().code().unwrap(), second.wait().unwrap().code().unwrap()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 73]);
    let waited = workspace.tuwen(&["run", "pipeline.yaml", "--lock", "wait", "--json"]).succeeds().json();
    assert_eq!((waited["release"].as_u64(), waited["published"].as_bool()), (Some(1), Some(false)));
}

#[test]
fn a_run_with_nothing_to_do_can_say_so_and_one_without_time_stops_in_order() {
    let workspace = Workspace::with_pipeline();
    let stopped = workspace.tuwen(&["run", "pipeline.yaml", "--deadline", "0s"]);
    assert!(
        stopped.code == 75 && stopped.stderr.contains("the deadline passed"),
        "{} {}",
        stopped.code,
        stopped.stderr
    );
    workspace.tuwen(&["run", "pipeline.yaml", "--skip-exit-code", "99"]).succeeds();
    assert_eq!(workspace.tuwen(&["run", "pipeline.yaml", "--skip-exit-code", "99"]).code, 99);
    assert_eq!(workspace.tuwen(&["run", "pipeline.yaml", "--deadline", "soon"]).code, 2);
    assert_eq!(workspace.tuwen(&["run", "pipeline.yaml", "--run-id", "../x"]).code, 2);
    workspace.tuwen(&["doctor"]).succeeds();
}
