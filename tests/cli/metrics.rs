use std::collections::BTreeMap;

use crate::support::{PIPELINE, Ran, Workspace};

/// Samples by name and labels, read by the rules of the exposition format: every sample under its type, no label twice, escapes undone.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut family = "";
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap();
            assert!(kind == "HELP" || (kind == "TYPE" && said == "gauge" && name == family), "{line}");
            family = name;
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap();
        assert_eq!(name, family, "a sample outside its family");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        let (labels, value) = read_labels(rest);
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite());
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert!(found.insert(format!("{name} {}", labels.join(" ")), value).is_none(), "twice: {line}");
    }
    found
}

/// `a="b",c="d"} 1`: the labels, and what follows.
fn read_labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (mut value, mut end, mut escaped) = (String::new(), 0, false);
        for (at, c) in after.char_indices() {
            match c {
                '"' if !escaped => {
                    end = at;
                    break;
                }
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                'n' if escaped => value.push('\n'),
                c if escaped && c != '"' && c != '\\' => panic!("escape \\{c}"),
                c => value.push(c),
            }
            escaped = false;
        }
        assert!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix("} ").unwrap()),
        }
    }
}

fn run(workspace: &Workspace, more: &[&str]) -> Ran {
    let arguments = [&["run", "pipeline.yaml", "--metrics-file", "node/tuwen.prom", "--quiet"], more].concat();
    workspace.tuwen(&arguments)
}

fn read(workspace: &Workspace) -> BTreeMap<String, f64> {
    samples(&workspace.read("node/tuwen.prom"))
}

#[test]
fn the_metrics_file_says_how_every_run_ended_and_keeps_the_last_success() {
    let workspace = Workspace::with_pipeline();
    let gated = PIPELINE.replace(
        "kind: evaluate, ",
        "kind: evaluate, gate: { metric: mean_recall, min_delta: 0.99, rule: not_worse }, ",
    );
    workspace.write("pipeline.yaml", &gated);
    run(&workspace, &[]).succeeds();
    let good = read(&workspace);
    let of = |name: &str| format!("{name} pipeline=small");
    assert_eq!(good[&of("tuwen_run_success")], 1.0);
    assert_eq!(good[&of("tuwen_run_exit_code")], 0.0);
    assert_eq!(good[&of("tuwen_run_release")], 1.0);
    assert_eq!(good[&of("tuwen_run_published")], 1.0);
    let started = good[&of("tuwen_run_started_timestamp_seconds")];
    let success = good[&of("tuwen_run_last_success_timestamp_seconds")];
    let took = good[&of("tuwen_run_duration_seconds")];
    assert!(started > 1.6e9 && took > 0.0 && (success - started - took).abs() < 5.0, "{started} {took} {success}");
    let stage = |name: &str, more: &str| format!("{name} kind=ingest {more} pipeline=small stage=muge");
    let duration = |outcome: &str| stage("tuwen_stage_duration_seconds", &format!("outcome={outcome}"));
    assert!(good[&duration("done")] <= took);
    let rows = |which: &str| format!("tuwen_stage_rows kind=ingest pipeline=small rows={which} stage=muge");
    let sum = good[&rows("out")] + good[&rows("quarantined")] + good[&rows("left_out")];
    assert!(good[&rows("in")] > 0.0 && good[&rows("in")] == sum);
    assert_eq!(good.keys().filter(|name| name.starts_with("tuwen_stage_duration_seconds")).count(), 9);

    workspace.write("pipeline.yaml", gated.replace("learning_rate: 5e-4", "learning_rate: 4e-4"));
    run(&workspace, &[]).fails(3, &["the gate is closed"]);
    let closed = read(&workspace);
    assert_eq!((closed[&of("tuwen_run_success")], closed[&of("tuwen_run_exit_code")]), (0.0, 3.0));
    assert_eq!(closed[&of("tuwen_run_last_success_timestamp_seconds")], success);
    assert_eq!(closed[&of("tuwen_run_release")], 1.0);
    assert!(closed.contains_key(&duration("reused")) && !closed.contains_key(&rows("in")), "{closed:?}");

    workspace.write("pipeline.yaml", gated.replace("root: muge", "root: nowhere"));
    run(&workspace, &[]).fails(66, &["nowhere"]);
    workspace.write("pipeline.yaml", "kind: Pipeline\nversion: 1\nname: [");
    run(&workspace, &[]).fails(78, &[]);
    let broken = read(&workspace);
    assert_eq!((broken[&of("tuwen_run_success")], broken[&of("tuwen_run_exit_code")]), (0.0, 78.0));
    assert_eq!(broken[&of("tuwen_run_last_success_timestamp_seconds")], success);
    assert_eq!(broken[&of("tuwen_run_release")], 1.0);

    workspace.write("pipeline.yaml", &gated);
    run(&workspace, &["--skip-exit-code", "99", "--run-id", "again"]);
    let skipped = read(&workspace);
    assert_eq!((skipped[&of("tuwen_run_success")], skipped[&of("tuwen_run_exit_code")]), (1.0, 99.0));
    assert!(skipped[&of("tuwen_run_last_success_timestamp_seconds")] > success);
    assert_eq!(crate::support::files_below(&workspace.path("node")), ["tuwen.prom"], "nothing temporary stays");
}

#[test]
fn a_stopped_run_is_in_the_metrics_and_a_file_that_cannot_be_written_stops_nothing() {
    let workspace = Workspace::with_pipeline();
    let long = PIPELINE.replacen("epochs: 3", "epochs: 3000", 1);
    assert_ne!(long, PIPELINE);
    workspace.write("pipeline.yaml", &long);
    // The stage's progress shows that training goes on.
    let line = "\"$0\" run pipeline.yaml --metrics-file node/tuwen.prom --log-format json 2>log & child=$!; \
                while ! grep -q 'first: finetune' log; do sleep 0.1; done; kill -TERM $child; wait $child";
    Ran::new(&workspace.shell(line)).fails(143, &[]);
    let stopped = read(&workspace);
    assert_eq!(stopped["tuwen_run_success pipeline=small"], 0.0);
    assert_eq!(stopped["tuwen_run_exit_code pipeline=small"], 143.0);
    assert!(!stopped.contains_key("tuwen_run_last_success_timestamp_seconds pipeline=small"));
    let key = "tuwen_stage_duration_seconds kind=finetune outcome=stopped pipeline=small stage=first";
    assert!(stopped.contains_key(key), "{stopped:?}");

    workspace.write("file", "in the way");
    let arguments = ["run", "pipeline.yaml", "--until", "base", "--metrics-file", "file/tuwen.prom"];
    let ran = workspace.tuwen(&arguments).succeeds();
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: the metrics file was not written: file"), "{}", ran.stderr);
}
