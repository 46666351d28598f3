//! Filters, normalisation, duplicates, groups and leaks, as a pipeline file declares them.
use std::fs;

use serde_json::{Value, json};

use crate::support::{Ran, Workspace, repository};

/// A picture of the sample's surfaces.
fn surface(name: &str) -> Vec<u8> {
    fs::read(repository().join(format!("sample_data/surfaces/images/{name}.jpg"))).unwrap()
}

/// A folder of pictures with captions `image,text,split,family`.
fn workspace(rows: &[(&str, &str, &str, &str)]) -> Workspace {
    let workspace = Workspace::new();
    let mut csv = "image,text,split,family\n".to_owned();
    for (image, text, split, family) in rows {
        csv.push_str(&format!("{image},{text},{split},{family}\n"));
    }
    workspace.write("pictures/captions.csv", csv);
    workspace
}

fn run(workspace: &Workspace, stages: &str) -> Ran {
    workspace.write("pipeline.yaml", format!("kind: Pipeline\nversion: 1\nname: t\nstages:\n{stages}"));
    workspace.tuwen(&["run", "pipeline.yaml", "--json"])
}

fn folder_stage(more: &str) -> String {
    format!(
        "  - {{ id: data, kind: ingest, source: {{ format: folder, root: pictures, captions: captions.csv }}{more} }}\n"
    )
}

fn show(workspace: &Workspace) -> Value {
    workspace.tuwen(&["show", "data", "--json"]).succeeds().json()
}

#[test]
fn conditions_leave_rows_out_with_what_belongs_to_them() {
    let workspace =
        workspace(&[("a.jpg", "黑色碳纤维材料表面", "", ""), ("b.jpg", "红", "", ""), ("small.png", "小图", "", "")]);
    workspace.write("pictures/a.jpg", surface("carbon_fibre_black_1"));
    workspace.write("pictures/b.jpg", surface("marble_white_1"));
    workspace.write("pictures/small.png", fs::read(repository().join("tests/golden/augment/rgba.png")).unwrap());
    let stage =
        folder_stage(", where: { images: \"format = 'jpeg' AND width >= 64\", texts: 'character_length(text) > 1' }");
    let step = run(&workspace, &stage).succeeds().json()["steps"][0].clone();
    // The small image with its text and pair, and the short text with its pair.
    assert_eq!(
        (&step["rows_in"], &step["rows_out"], &step["rows_left_out"]),
        (&json!(9), &json!(4), &json!(5)),
        "{step}"
    );
    let shown = show(&workspace);
    assert_eq!((&shown["images"], &shown["texts"], &shown["pairs"]), (&json!(2), &json!(1), &json!(1)));
    for (condition, remedy) in [
        ("images: 'no_such_column > 1'", "columns: image_id"),
        ("texts: 'tokens +'", "where"),
        ("texts: 'tokens + 1'", "not true or false"),
        ("images: 'image_id IN (SELECT 1)'", "where"),
    ] {
        let stage = folder_stage(&format!(", where: {{ {condition} }}"));
        run(&workspace, &stage).fails(78, &[remedy]);
    }
}

#[test]
fn texts_are_normalised_and_identical_images_merged_only_where_asked_for() {
    let workspace = workspace(&[("a.jpg", "“碳纤维”　ＡＢ", "", ""), ("copy.jpg", "另一句", "", "")]);
    workspace.write("pictures/a.jpg", surface("carbon_fibre_black_1"));
    workspace.write("pictures/copy.jpg", surface("carbon_fibre_black_1"));
    run(&workspace, &folder_stage("")).succeeds();
    let shown = show(&workspace);
    assert_eq!((&shown["images"], &shown["pairs"], &shown["identical_images"]), (&json!(2), &json!(2), &json!(1)));
    let more = ", identical_images: merge, normalize_text: [quotes, full-width, white-space]";
    run(&workspace, &folder_stage(more)).succeeds();
    let shown = show(&workspace);
    assert_eq!((&shown["images"], &shown["pairs"], &shown["identical_images"]), (&json!(1), &json!(2), &json!(0)));
    workspace.tuwen(&["export", "dataset", "data", "--format", "chinese-clip", "--output", "out"]).succeeds();
    let texts = workspace.read("out/train_texts.jsonl");
    assert!(texts.contains("\\\"碳纤维\\\" AB"), "{texts}");
    assert!(texts.lines().all(|line| line.contains("a.jpg")), "{texts}");
}

#[test]
fn an_image_id_that_repeats_stands_for_its_first_image_where_equal_ones_are_merged() {
    let workspace = Workspace::new();
    let [one, other] =
        ["carbon_fibre_black_1", "marble_white_1"].map(|name| base64_simd::STANDARD.encode_to_string(surface(name)));
    workspace.write("pairs/train_imgs.tsv", format!("1\t{one}\n1\t{other}\n2\t{other}\n3\t{one}\n"));
    let text = |id: u32| format!("{{\"text_id\": {id}, \"text\": \"第{id}句\", \"image_ids\": [{id}]}}\n");
    workspace.write("pairs/train_texts.jsonl", [1, 2, 3].map(text).concat());
    let stage = "  - { id: data, kind: ingest, max_quarantine: 1.0, identical_images: merge, source: { format: chinese-clip, root: pairs, splits: [train] } }\n";
    run(&workspace, stage).succeeds();
    workspace.tuwen(&["export", "dataset", "data", "--format", "chinese-clip", "--output", "out"]).succeeds();
    assert_eq!(workspace.read("out/train_imgs.tsv"), format!("1\t{one}\n2\t{other}\n"));
    let texts = workspace.read("out/train_texts.jsonl");
    let images: Vec<Value> =
        texts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["image_ids"].clone()).collect();
    assert_eq!(images, [json!([1]), json!([2]), json!([1])], "{texts}");
}

#[test]
fn a_text_stays_for_the_images_that_a_condition_leaves() {
    let workspace = Workspace::new();
    workspace.write("pictures/a.jpg", surface("carbon_fibre_black_1"));
    workspace.write("pictures/small.png", fs::read(repository().join("tests/golden/augment/rgba.png")).unwrap());
    let captions = "image,text,text_id\nsmall.png,同一句,t\na.jpg,同一句,t\nsmall.png,另一句,u\n";
    workspace.write("pictures/captions.csv", captions);
    run(&workspace, &folder_stage(", where: { images: \"format = 'jpeg'\" }")).succeeds();
    let shown = show(&workspace);
    assert_eq!((&shown["images"], &shown["texts"], &shown["pairs"]), (&json!(1), &json!(1), &json!(1)), "{shown}");
    assert_eq!(shown["images_per_text"], json!({ "1": 1 }), "{shown}");
}

#[test]
fn what_belongs_together_stays_on_one_side_of_a_split() {
    let names = ["carbon_fibre_black_1", "marble_white_1"];
    let mut rows = Vec::new();
    let files: Vec<String> = (0..40).map(|at| format!("{at}.jpg")).collect();
    let captions: Vec<String> = (0..40).map(|at| format!("第{at}张")).collect();
    for (file, caption) in files.iter().zip(&captions) {
        rows.push((file.as_str(), caption.as_str(), "", ""));
    }
    let workspace = workspace(&rows);
    for (at, file) in files.iter().enumerate() {
        // Bytes after the end of the image make another file of the same picture.
        let mut bytes = surface(names[at % 2]);
        bytes.extend(at.to_le_bytes());
        workspace.write(&format!("pictures/{file}"), bytes);
    }
    let splits = |group_by: &str| -> Vec<u64> {
        let stage = folder_stage(&format!(", split: {{ valid: 0.2, test: 0.3, group_by: {group_by} }}"));
        let ran = run(&workspace, &stage);
        let _ = fs::remove_dir_all(workspace.path("out"));
        if ran.code != 0 {
            // All pictures of one look fell to one side, so that another split has none.
            assert!(ran.stderr.contains("is empty after ingest"), "{}", ran.stderr);
            return Vec::new();
        }
        workspace.tuwen(&["export", "dataset", "data", "--format", "chinese-clip", "--output", "out"]).succeeds();
        ["train", "valid", "test"]
            .iter()
            .map(|split| workspace.read(&format!("out/{split}_imgs.tsv")).lines().count() as u64)
            .collect()
    };
    assert_eq!(splits("[]").iter().sum::<u64>(), 40);
    assert!(splits("[near-duplicate]").is_empty(), "two looks cannot fill three splits");
}

#[test]
fn leaks_are_found_across_splits_and_data_sets() {
    let workspace = workspace(&[
        ("a.jpg", "黑色碳纤维", "train", "f1"),
        ("b.jpg", "白色大理石", "test", "f2"),
        ("c.jpg", "另一张白色大理石", "train", "f3"),
    ]);
    workspace.write("pictures/a.jpg", surface("carbon_fibre_black_1"));
    workspace.write("pictures/b.jpg", surface("marble_white_1"));
    workspace.write("pictures/c.jpg", [surface("marble_white_1"), vec![0]].concat());
    workspace.write("other/x.jpg", surface("marble_white_1"));
    workspace.write("other/captions.csv", "image,text,split\nx.jpg,白色 大理石！,train\n");
    let stages = |on_leak: &str| {
        format!(
            "{}  - {{ id: other, kind: ingest, source: {{ format: folder, root: other, captions: captions.csv }} }}\n  - {{ id: audit, kind: audit, needs: {{ data: [data, other] }}, on_leak: {on_leak} }}\n",
            folder_stage("")
        )
    };
    let ran = run(&workspace, &stages("warn")).succeeds();
    let warned = &ran.stderr;
    // The picture of b is that of x to the byte and that of c to the eye; its caption is that of x.
    assert!(warned.contains("2 leaks into validation or test: 1 by caption, 1 by image"), "{warned}");
    run(&workspace, &stages("fail")).fails(65, &["2 leaks", "on_leak"]);
    run(&workspace, &stages("drop")).succeeds();
}

#[test]
fn quarantine_and_differences_can_be_looked_at() {
    let workspace = workspace(&[("a.jpg", "一", "", ""), ("b.jpg", "二", "", ""), ("gone.jpg", "三", "", "")]);
    workspace.write("pictures/a.jpg", surface("carbon_fibre_black_1"));
    workspace.write("pictures/b.jpg", surface("marble_white_1"));
    run(&workspace, &folder_stage(", max_quarantine: 1.0")).succeeds();
    let listed = workspace.tuwen(&["quarantine", "show", "data"]).succeeds();
    assert!(listed.stdout.contains("gone.jpg") && listed.stdout.contains("2 rows in quarantine"), "{}", listed.stdout);
    workspace.write("pictures/captions.csv", "image,text\na.jpg,一\nb.jpg,两\n");
    workspace.write("pictures/a.jpg", surface("concrete_grey_1"));
    run(&workspace, &folder_stage(", max_quarantine: 1.0")).succeeds();
    let json = workspace.tuwen(&["diff", "data@1", "data@2", "--json"]).succeeds().json();
    assert_eq!((&json["images"]["changed"]["rows"], &json["images"]["unchanged"]), (&json!(1), &json!(1)));
    assert_eq!(json["images"]["changed"]["examples"], json!(["a.jpg"]));
    assert_eq!(json["texts"]["changed"]["rows"], 1);
    let same = workspace.tuwen(&["diff", "data@2", "data"]).succeeds();
    assert!(same.stdout.contains("the two are equal"), "{}", same.stdout);
    workspace.tuwen(&["show", "nothing"]).fails(66, &["it has data"]);
    workspace.tuwen(&["show", "data", "--sheet", "sheet.html"]).succeeds();
    let sheet = workspace.read("sheet.html");
    assert!(sheet.contains("data:image/jpeg;base64,") && sheet.contains("b.jpg"));
}
