use crate::support::{PIPELINE, Ran, Workspace};

#[test]
fn a_sound_file_passes_and_nothing_but_the_file_is_read() {
    let workspace = Workspace::new();
    workspace.write("pipeline.yaml", PIPELINE);
    let ran = workspace.tuwen(&["check", "pipeline.yaml", "--json"]).succeeds();
    assert_eq!(ran.json()["stages"], 9);
    assert!(!workspace.path("artifacts").exists());
}

#[test]
fn a_root_may_come_from_the_environment() {
    let workspace = Workspace::with_pipeline();
    workspace.write("pipeline.yaml", PIPELINE.replace("root: muge }", "root: \"${env:MUGE_ROOT}\" }"));
    workspace.tuwen(&["check", "pipeline.yaml"]).fails(78, &["variable `MUGE_ROOT` is not set; set MUGE_ROOT"]);
    let plan = |name: &str| {
        let output = workspace.command(&["plan", "pipeline.yaml", "--json"]).env("MUGE_ROOT", name).output().unwrap();
        Ran::new(&output).succeeds().json()["steps"][0].clone()
    };
    std::fs::rename(workspace.path("muge"), workspace.path("elsewhere")).unwrap();
    assert_eq!(plan("elsewhere"), plan("./elsewhere"), "a path is no part of a fingerprint");
}

#[test]
fn a_missing_file_exits_66() {
    Workspace::new().tuwen(&["check", "nowhere.yaml"]).fails(66, &["nowhere.yaml"]);
}

#[test]
fn every_problem_is_reported_at_once_with_place_and_remedy() {
    let workspace = Workspace::new();
    let text = PIPELINE
        .replace("epochs: 3", "epoch: 3")
        .replace("batch_size: 8", "batch_size: eight")
        .replace("format: folder", "format: folders")
        .replace("model: second }", "model: secnd }")
        .replace("learning_rate: 5e-4", "learning_rate: 0");
    workspace.write("bad.yaml", text);
    let ran = workspace.tuwen(&["check", "bad.yaml"]).fails(
        78,
        &[
            "bad.yaml:12:5: stages[3] (first).epoch: unknown field `epoch`; did you mean `epochs`?",
            "stages[3] (first): field `epochs` is missing",
            "bad.yaml:21:17: stages[4] (second).batch_size: expected a whole number, found `eight`",
            "stages[4] (second).learning_rate: 0 is out of range; use more than 0",
            "stages[1] (surfaces).source.format: unknown value `folders`; did you mean `folder`?",
            "stages[6] (index).needs.model: no stage has the id `secnd`; did you mean `second`?",
        ],
    );
    assert!(ran.stderr.contains("6 problem(s)"), "{}", ran.stderr);
}

#[test]
fn json_output_carries_the_diagnostics() {
    let workspace = Workspace::new();
    workspace.write("bad.yaml", PIPELINE.replace("name: small", "name: Small Name"));
    let ran = workspace.tuwen(&["check", "bad.yaml", "--json"]);
    assert_eq!(ran.code, 78);
    let json = ran.json();
    assert_eq!(json["exit_code"], 78);
    assert_eq!(json["diagnostics"][0]["line"], 3);
    assert_eq!(json["diagnostics"][0]["path"], "name");
}

#[test]
fn needs_must_exist_be_of_the_right_kind_and_lead_nowhere_round() {
    let workspace = Workspace::new();
    let cases = [
        ("model: base, data: muge", "model: base, data: mug", "did you mean `muge`?"),
        ("model: base, data: muge", "model: muge, data: muge", "name a stage of kind model or finetune"),
        ("model: base, data: muge", "model: second, data: muge", "needs itself: first -> second -> first"),
        ("id: second", "id: first", "is the id of stages[3] too"),
        ("models: [base, first, second]", "models: [base, first]", "holds no vectors of `second`"),
    ];
    for (from, to, words) in cases {
        workspace.check_with(from, to).fails(78, &[words]);
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let workspace = Workspace::new();
    let cases = [
        ("preset: ViT-tiny-16", "preset: ViT-Z", "unknown preset `ViT-Z`"),
        ("valid: 0.2, test: 0.3", "valid: 0.7, test: 0.3", "leave something for training"),
        ("scale: [0.8, 1.0]", "scale: [1.0, 0.8]", "no range of areas"),
        ("{ random_horizontal_flip: {} }", "{ random_vertical_flip: {} }", "unknown `random_vertical_flip`"),
        ("{ random_horizontal_flip: {} }", "{ random_horizontal_flip: { p: 2 } }", "use at most 1"),
        ("kind: model", "kind: modle", "did you mean `model`?"),
        ("root: muge }", "root: muge, splits: [train, train] }", "named once each"),
        ("id: base", "id: Base Model", "does not fit"),
        ("model: second } }", "model: second }, fusion: { method: convex, alpha: tunde } }", "did you mean `tuned`?"),
        ("model: second } }", "model: second }, fusion: { method: convex, alpha: 2 } }", "use at most 1"),
    ];
    for (from, to, words) in cases {
        workspace.check_with(from, to).fails(78, &[words]);
    }
}

#[test]
fn yaml_that_cannot_be_read_is_reported_with_its_place() {
    let workspace = Workspace::new();
    for text in ["kind: [unclosed", "a: 1\na: 2\n", "", "- just\n- a list\n"] {
        workspace.write("broken.yaml", text);
        workspace.tuwen(&["check", "broken.yaml"]).fails(78, &["broken.yaml:"]);
    }
    let bomb: String = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let items = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{items}]\n")
    });
    workspace.write("bomb.yaml", bomb);
    workspace.tuwen(&["check", "bomb.yaml"]).fails(78, &["bomb.yaml:"]);
}
