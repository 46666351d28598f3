use std::fs;

use crate::support::{Ran, Workspace, repository};

/// A workspace with the files of the reference: features, truth, and what its scripts made of them.
fn with_features() -> Workspace {
    let workspace = Workspace::new();
    let folder = repository().join("tests/golden/files");
    for name in ["imgs.img_feat.jsonl", "texts.txt_feat.jsonl", "texts.jsonl", "texts.tr.jsonl"] {
        workspace.write(name, fs::read(folder.join(name)).unwrap());
    }
    workspace
}

fn expected(name: &str) -> String {
    fs::read_to_string(repository().join("tests/golden/files").join(name)).unwrap()
}

const SIDES: [&str; 4] = ["--image-features", "imgs.img_feat.jsonl", "--text-features", "texts.txt_feat.jsonl"];

fn score(workspace: &Workspace, more: &[&str]) -> Ran {
    workspace.tuwen(&[&["score", "--format", "features"], &SIDES[..], more].concat())
}

#[test]
fn both_directions_at_once_write_what_the_reference_writes_one_after_the_other() {
    let workspace = with_features();
    let to = ["--predictions-out", "found.jsonl", "--output", "score.json", "--per-query", "queries.csv"];
    let both = score(&workspace, &[&["--truth", "texts.jsonl", "--direction", "both", "--json"], &to[..]].concat());
    let json = both.succeeds().json();
    for (direction, mark, suffix, truth) in
        [("text-to-image", "", "", "texts.jsonl"), ("image-to-text", ".tr", "_tr", "texts.tr.jsonl")]
    {
        assert_eq!(workspace.read(&format!("found{mark}.jsonl")), expected(&format!("predictions{suffix}.jsonl")));
        assert_eq!(workspace.read(&format!("score{mark}.json")), expected(&format!("score{suffix}.json")));
        let to = ["--predictions-out", "one.jsonl", "--output", "one.json", "--per-query", "one.csv"];
        let one = score(&workspace, &[&["--truth", truth, "--direction", direction, "--json"], &to[..]].concat());
        assert_eq!(json[direction.replace('-', "_")], one.succeeds().json());
        assert_eq!(workspace.read("one.jsonl"), workspace.read(&format!("found{mark}.jsonl")));
        assert_eq!(workspace.read("one.json"), workspace.read(&format!("score{mark}.json")));
        assert_eq!(workspace.read("one.csv"), workspace.read(&format!("queries{mark}.csv")));
    }
    let printed = score(&workspace, &["--truth", "texts.jsonl", "--direction", "both"]).succeeds();
    assert!(printed.stdout.lines().next().unwrap().ends_with("text_to_image  image_to_text"), "{}", printed.stdout);
}

#[test]
fn what_comes_through_a_pipe_is_scored_as_a_file_is() {
    let workspace = with_features();
    let line = "mkfifo pipe && (cat texts.txt_feat.jsonl > pipe &) && \"$0\" score --format features --image-features imgs.img_feat.jsonl \
                --text-features pipe --truth texts.jsonl --direction both --predictions-out found.jsonl --output score.json";
    let ran = workspace.shell(line);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(workspace.read("found.tr.jsonl"), expected("predictions_tr.jsonl"));
    assert_eq!(workspace.read("score.json"), expected("score.json"));
}

#[test]
fn longer_lists_are_kept_and_the_first_ten_of_them_scored() {
    let workspace = with_features();
    let to = ["--k", "12", "--predictions-out", "found.jsonl", "--output", "score.json"];
    score(&workspace, &[&["--truth", "texts.jsonl", "--direction", "both"], &to[..]].concat()).succeeds();
    let ids =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["image_ids"].as_array().unwrap().clone();
    for (long, ten) in workspace.read("found.jsonl").lines().zip(expected("predictions.jsonl").lines()) {
        assert_eq!((ids(long).len(), &ids(long)[..10]), (12, &ids(ten)[..]));
    }
    assert_eq!(workspace.read("score.tr.json"), expected("score_tr.json"));
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_written() {
    let workspace = with_features();
    let texts = workspace.read("texts.txt_feat.jsonl");
    let twice = texts.clone() + texts.lines().nth(2).unwrap();
    let number = twice.lines().count();
    workspace.write("texts.txt_feat.jsonl", twice);
    for direction in ["both", "text-to-image", "image-to-text"] {
        let arguments = ["--truth", "texts.jsonl", "--direction", direction, "--output", "score.json"];
        let place = format!("texts.txt_feat.jsonl:{number}:");
        score(&workspace, &arguments).fails(65, &[&place, "stands in line 3 too"]);
    }
    workspace.write("texts.txt_feat.jsonl", texts);
    workspace.write("empty.jsonl", "");
    score(&workspace, &["--truth", "empty.jsonl", "--direction", "both", "--output", "score.json"])
        .fails(65, &["empty.jsonl"]);
    let turned = ["--truth", "texts.tr.jsonl", "--direction", "both", "--output", "score.json"];
    score(&workspace, &turned).fails(65, &["texts.tr.jsonl:1:", "text_id"]);
    assert!(!workspace.path("score.json").exists() && !workspace.path("score.tr.json").exists());
    let other =
        ["score", "--format", "chinese-clip", "--truth", "texts.jsonl", "--predictions", "x", "--direction", "both"];
    workspace.tuwen(&other).fails(2, &["both"]);
}

#[test]
fn what_the_reference_refuses_in_one_direction_is_said_and_the_other_is_scored() {
    let workspace = with_features();
    let images = workspace.read("imgs.img_feat.jsonl");
    let missing = images.lines().next().unwrap().split([':', ',']).nth(1).unwrap().trim();
    workspace.write("imgs.img_feat.jsonl", images.lines().skip(1).fold(String::new(), |all, line| all + line + "\n"));
    let to = ["--predictions-out", "found.jsonl", "--output", "score.json", "--per-query", "queries.csv"];
    let both = score(&workspace, &[&["--truth", "texts.jsonl", "--direction", "both"], &to[..]].concat());
    both.fails(65, &["score.tr.json", "have no prediction", missing]);
    assert!(workspace.read("score.json").contains("\"success\": true"));
    assert!(workspace.read("score.tr.json").contains("\"success\": false"));
    for written in ["found.jsonl", "found.tr.jsonl", "queries.csv", "queries.tr.csv"] {
        assert!(workspace.path(written).exists(), "{written}");
    }
}

#[test]
fn predictions_are_read_once() {
    let workspace = with_features();
    workspace.write("found.jsonl", expected("predictions.jsonl"));
    let line = "\"$0\" score --format chinese-clip --truth <(cat texts.jsonl) --predictions <(cat found.jsonl) --output score.json";
    let ran = workspace.shell(line);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(workspace.read("score.json"), expected("score.json"));
}
