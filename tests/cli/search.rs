use std::sync::OnceLock;

use crate::support::Workspace;

/// One published pipeline for all tests of this page.
fn published() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::with_pipeline();
        workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
        workspace
    })
}

#[test]
fn keywords_find_captions_that_hold_them() {
    let json =
        published().tuwen(&["search", "--text", "碳纖維", "--mode", "text", "--k", "3", "--json"]).succeeds().json();
    let hits = json["hits"].as_array().unwrap();
    assert!(!hits.is_empty() && hits.len() <= 3);
    assert!(hits[0]["text"].as_str().unwrap().contains("碳纤维"), "{hits:?}");
    for hit in hits {
        // jieba's search mode also indexes the shorter words inside a word.
        assert!(hit["text"].as_str().unwrap().contains("纤维"), "{hit}");
        assert!(hit["id"].as_str().unwrap().starts_with("surfaces/images/"), "{hit}");
        assert!(hit["score"].as_f64().unwrap() > 0.0);
        assert!(hit["image"].is_string());
    }
}

#[test]
fn an_image_of_the_index_finds_itself_first() {
    let image = "surfaces/images/carbon_fibre_black_1.jpg";
    let ran = published().tuwen(&["search", "--image", image, "--mode", "vector", "--k", "5", "--json"]).succeeds();
    let json = ran.json();
    assert_eq!(json["hits"][0]["id"], image);
    assert!((json["hits"][0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-4);
    let scores: Vec<f64> = json["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 5);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn the_default_mode_fuses_both_sides_and_images_can_be_saved() {
    let ran =
        published().tuwen(&["search", "--text", "黑色碳纤维材料表面", "--k", "4", "--save-images", "found"]).succeeds();
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
    assert_eq!(crate::support::files_below(&published().path("found")).len(), 4);
}

#[test]
fn bad_questions_get_clear_answers() {
    let workspace = published();
    workspace.tuwen(&["search"]).fails(2, &["--text"]);
    workspace.tuwen(&["search", "--text", "x", "--k", "0"]).fails(2, &["--k"]);
    workspace.tuwen(&["search", "--image", "nowhere.jpg"]).fails(66, &["nowhere.jpg"]);
    workspace.tuwen(&["search", "--image", "pipeline.yaml"]).fails(65, &["pipeline.yaml", "not a JPEG"]);
    workspace
        .tuwen(&["search", "--image", "surfaces/images/carbon_fibre_black_1.jpg", "--mode", "text"])
        .fails(65, &["needs a text"]);
    workspace.tuwen(&["search", "--text", "x", "--store", "elsewhere"]).fails(66, &["run a pipeline first"]);
    workspace.tuwen(&["search", "--text", "x", "--store", "ftp://host"]).fails(66, &["scheme `ftp`"]);
    workspace.tuwen(&["search", "--text", "x", "--device", "cuda:99"]).fails(69, &["cuda:99"]);
    workspace.tuwen(&["search", "--text", "x", "--device", "tpu"]).fails(2, &["tpu"]);
    let empty = workspace.tuwen(&["search", "--text", "，。！", "--mode", "text"]).succeeds();
    assert_eq!(empty.stdout.trim(), "nothing found");
}

#[test]
fn a_condition_leaves_images_out_and_a_page_shows_what_was_found() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    let splits = |mode: &str, condition: &str| {
        let arguments = ["search", "--text", "表面", "--k", "500", "--mode", mode, "--json", "--where", condition];
        let found = workspace.tuwen(&[&arguments[..], &["--html", "found.html"]].concat()).succeeds().json();
        let hits = found["hits"].as_array().unwrap().clone();
        hits.len()
    };
    for mode in ["text", "vector", "hybrid"] {
        let (test, rest) = (splits(mode, "split = 'test'"), splits(mode, "split <> 'test'"));
        assert!(test > 0 && rest > 0, "{mode}: {test} {rest}");
        assert_eq!(test + rest, splits(mode, "width > 0"), "{mode}");
        assert_eq!(splits(mode, "width > 100000"), 0, "{mode}");
    }
    splits("text", "split = 'test'");
    let page = workspace.read("found.html");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("表面") && !page.contains("<script"));
    let wrong = workspace.tuwen(&["search", "--text", "x", "--where", "colour = 1"]);
    assert!(wrong.code == 65 && wrong.stderr.contains("columns: image_id"), "{} {}", wrong.code, wrong.stderr);
}

#[test]
fn texts_are_found_by_texts_and_by_images() {
    let workspace = published();
    let search = |arguments: &[&str]| {
        let all = [&["search", "--in", "texts", "--json"], arguments].concat();
        workspace.tuwen(&all).succeeds().json()["hits"].as_array().unwrap().clone()
    };
    let caption = "黑色碳纤维材料表面";
    let by_words = search(&["--text", "碳纖維", "--mode", "text", "--k", "3"]);
    assert_eq!(by_words.len(), 3);
    for hit in &by_words {
        assert!(hit["text"].as_str().unwrap().contains("纤维") && hit["id"].as_str().unwrap().starts_with("surfaces/"));
        assert!(hit["keywords"] == hit["score"] && hit["vectors"].is_null(), "{hit}");
        assert!(hit["image"].as_str().unwrap().starts_with("surfaces/"), "{hit}");
    }
    let by_vector = search(&["--text", caption, "--mode", "vector", "--k", "2"]);
    assert_eq!(by_vector[0]["text"], caption);
    assert!((by_vector[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-4, "a text is nearest to itself");
    let fused = search(&["--text", caption, "--k", "4"]);
    assert_eq!((fused.len(), fused[0]["text"].as_str()), (4, Some(caption)));
    assert!(fused[0]["keywords"].as_f64().unwrap() > 0.0 && fused[0]["vectors"].as_f64().unwrap() > 0.99);
    let image = "surfaces/images/carbon_fibre_black_1.jpg";
    let by_image = search(&["--image", image, "--k", "5"]);
    assert_eq!(by_image.len(), 5);
    for hit in &by_image {
        assert!(hit["vectors"] == hit["score"] && hit["keywords"].is_null(), "an image has no keywords: {hit}");
    }
    workspace.tuwen(&["search", "--image", image, "--in", "texts", "--mode", "text"]).fails(65, &["needs a text"]);
    let all = |condition: &str| search(&["--text", "x", "--mode", "vector", "--k", "500", "--where", condition]).len();
    let (long, short) = (all("tokens > 8"), all("tokens <= 8"));
    assert!(long > 0 && short > 0, "{long} {short}");
    assert_eq!(long + short, all("tokens > 0"));
    let unlabelled = search(&["--text", "x", "--mode", "vector", "--k", "500", "--where", "split = 'test'"]);
    assert!(unlabelled.iter().any(|hit| hit["image"] == ""), "the test split of `muge` has no labels");
}

#[test]
fn small_pictures_are_written_and_their_paths_shown() {
    let workspace = published();
    let arguments = ["search", "--text", "碳纤维", "--k", "3", "--thumbnails", "small"];
    let table = workspace.tuwen(&arguments).succeeds().stdout;
    let json = workspace.tuwen(&[&arguments[..], &["--json"]].concat()).succeeds().json();
    for (hit, line) in json["hits"].as_array().unwrap().iter().zip(table.lines()) {
        let path = hit["thumbnail"].as_str().unwrap();
        assert!(line.contains(path) && path.starts_with("small/"), "{line}");
        let bytes = std::fs::read(workspace.path(path)).unwrap();
        assert!(bytes.starts_with(&[0xFF, 0xD8]), "a JPEG");
        let (picture, _) = tuwen::ingest::decode(&bytes).unwrap();
        assert_eq!(picture.width.max(picture.height), 128);
    }
    let plain = workspace.tuwen(&["search", "--text", "碳纤维", "--json"]).succeeds().json();
    assert!(plain["hits"][0].get("thumbnail").is_none());
    let arguments =
        ["search", "--text", "x", "--in", "texts", "--mode", "vector", "--k", "500", "--where", "split = 'test'"];
    let json = workspace.tuwen(&[&arguments[..], &["--thumbnails", "of-texts", "--json"]].concat()).succeeds().json();
    let hits = json["hits"].as_array().unwrap();
    assert!(hits.iter().all(|hit| hit["thumbnail"].is_null() == (hit["image"] == "")));
    let written = hits.iter().filter(|hit| !hit["thumbnail"].is_null()).count();
    assert_eq!(crate::support::files_below(&workspace.path("of-texts")).len(), written);
    workspace.tuwen(&[&arguments[..], &["--html", "texts.html"]].concat()).succeeds();
    assert!(!workspace.read("texts.html").contains("src=\"\""), "no picture, no frame for one");
}

#[test]
fn an_index_without_texts_says_how_to_get_them() {
    let workspace = Workspace::new();
    workspace.write_surfaces();
    let pipeline = "kind: Pipeline\nversion: 1\nname: small\nstages:
  - { id: surfaces, kind: ingest, source: { format: folder, root: surfaces, captions: captions.csv } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: vectors, kind: embed, needs: { models: [base], data: [surfaces] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: base }, texts: false }
";
    workspace.write("pipeline.yaml", pipeline);
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet"]).succeeds();
    workspace.tuwen(&["search", "--text", "碳纤维"]).succeeds();
    workspace.tuwen(&["search", "--text", "碳纤维", "--in", "texts"]).fails(65, &["texts: true"]);
    workspace.tuwen(&["verify"]).succeeds();
    workspace.tuwen(&["report"]).fails(66, &["no report", "stage of kind report"]);
}

#[test]
fn images_are_classified_by_the_names_of_their_classes() {
    let workspace = Workspace::with_pipeline();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", "first"]).succeeds();
    workspace.shell(
        "mkdir -p classes/000 classes/001; i=0; for image in $(find surfaces -name '*.jpg' -o -name '*.png' | sort | head -12); do \
         cp $image classes/00$((i % 2))/; i=$((i + 1)); done; printf '木纹\n金属\n' >labels.txt; printf '一张{}的照片\n{}\n' >templates.txt; \
         mv $(dirname $(ls -d artifacts/artifacts/checkpoint/*/train_log.jsonl | head -1)) model",
    );
    let arguments = ["classify", "--model", "model", "--images", "classes", "--labels", "labels.txt", "--json"];
    let own = workspace.tuwen(&[&arguments[..], &["--templates", "templates.txt", "--output", "p.csv"]].concat());
    let json = own.succeeds().json();
    assert_eq!(
        (json["images"].as_u64(), json["classes"].as_u64(), json["top5"].as_f64()),
        (Some(12), Some(2), Some(1.0))
    );
    let table = workspace.read("p.csv");
    for line in table.lines().skip(1) {
        let sum: f64 = line.rsplit(',').take(2).map(|value| value.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{line}");
    }
    assert_eq!(table.lines().count(), 13);
    workspace.tuwen(&arguments).succeeds();
    workspace.write("labels.txt", "木纹\n");
    let wrong = workspace.tuwen(&arguments);
    assert!(wrong.code == 65 && wrong.stderr.contains("one name for each folder"), "{}", wrong.stderr);
}
