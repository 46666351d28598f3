use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tuwen::augment::evaluation_pixels;
use tuwen::ingest::decode;
use tuwen::model::{Checkpoint, ComputeDevice, Encoder, Precision, preset};

use crate::support::{Workspace, files_below, repository};

/// A workspace with raw data and a small random model in the folder `model`.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write_muge();
    workspace.write_surfaces();
    fs::create_dir(workspace.path("model")).unwrap();
    let config = preset("ViT-tiny-16").unwrap();
    let state = config.random_state(3).unwrap();
    Checkpoint { config, state }.save(&workspace.path("model")).unwrap();
    workspace
}

/// Lines of a feature file: id and vector.
fn features(workspace: &Workspace, file: &str, key: &str) -> Vec<(Value, Vec<f32>)> {
    let rows = workspace.read(file);
    let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let vector = |row: &Value| row["feature"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    rows.map(|row| (row[key].clone(), vector(&row))).collect()
}

#[test]
fn a_table_of_images_becomes_the_unit_features_of_the_model() {
    let workspace = workspace();
    let ran = workspace.tuwen(&["encode", "--model", "model", "--images", "muge/valid_imgs.tsv", "--output", "out"]);
    assert!(ran.succeeds().stdout.contains("images/s"));
    let found = features(&workspace, "out/valid_imgs.img_feat.jsonl", "image_id");
    let Checkpoint { config, state } = Checkpoint::open(&workspace.path("model")).unwrap();
    let encoder = Encoder::new(&config, state, &ComputeDevice::cpu(), Precision::Fp32).unwrap();
    let table = workspace.read("muge/valid_imgs.tsv");
    assert_eq!(found.len(), table.lines().count());
    for ((id, vector), line) in found.iter().zip(table.lines()) {
        let (expected_id, base64) = line.split_once('\t').unwrap();
        // The reference's evaluation wants integers.
        assert_eq!(id.as_i64().unwrap().to_string(), expected_id);
        let bytes = base64_simd::STANDARD.decode_to_vec(base64).unwrap();
        let mut pixels = vec![0.0; 3 * 64 * 64];
        evaluation_pixels(&decode(&bytes).unwrap().0, 64, &mut pixels);
        assert_eq!(*vector, encoder.encode_images(&pixels, 1).unwrap());
        assert!((vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_folder_gives_its_paths_as_ids_and_parquet_holds_the_same_vectors() {
    let workspace = workspace();
    let encode = |format: &str| {
        let images = ["encode", "--model", "model", "--images", "surfaces/images", "--output", "out"];
        workspace.tuwen(&[&images[..], &["--format", format, "--json"]].concat()).succeeds().json()
    };
    let json = encode("chinese-clip");
    let found = features(&workspace, "out/images.img_feat.jsonl", "image_id");
    assert_eq!(json["files"][0]["rows"].as_u64().unwrap() as usize, found.len());
    assert_eq!(found.len(), files_below(&workspace.path("surfaces/images")).len());
    assert!(found.iter().any(|(id, _)| id == "carbon_fibre_black_1"), "{found:?}");
    encode("parquet");
    let table = fs::File::open(workspace.path("out/images.img_feat.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(table).unwrap();
    let mut rows = BTreeMap::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_any().downcast_ref::<arrow_array::StringArray>().unwrap();
        let vectors = batch.column(1).as_any().downcast_ref::<arrow_array::FixedSizeListArray>().unwrap();
        for row in 0..batch.num_rows() {
            let vector = vectors.value(row);
            let vector = vector.as_any().downcast_ref::<arrow_array::Float32Array>().unwrap().values().to_vec();
            rows.insert(ids.value(row).to_owned(), vector);
        }
    }
    let expected = found.into_iter().map(|(id, vector)| (id.as_str().unwrap().to_owned(), vector)).collect();
    assert_eq!(rows, expected);
}

#[test]
fn texts_are_the_same_in_every_batch_size_and_nearly_so_in_bf16() {
    let workspace = workspace();
    let encode = |output: &str, more: &[&str]| {
        let texts = ["encode", "--model", "model", "--texts", "muge/train_texts.jsonl", "--output", output];
        workspace.tuwen(&[&texts[..], more].concat()).succeeds();
        features(&workspace, &format!("{output}/train_texts.txt_feat.jsonl"), "text_id")
    };
    let whole = encode("whole", &[]);
    assert_eq!(whole.len(), workspace.read("muge/train_texts.jsonl").lines().count());
    assert_eq!(encode("single", &["--batch-size", "1"]), whole);
    let narrow = encode("narrow", &["--precision", "bf16"]);
    assert_ne!(narrow, whole);
    for ((_, a), (_, b)) in narrow.iter().zip(&whole) {
        let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.999, "{cosine}");
    }
}

#[test]
fn a_bad_row_stops_the_work_or_is_set_aside_as_allowed() {
    let workspace = workspace();
    let mut table = workspace.read("muge/valid_imgs.tsv");
    let rows = table.lines().count();
    table.insert_str(0, "7\tnot base64!\n");
    workspace.write("bad_imgs.tsv", table);
    let encode = ["encode", "--model", "model", "--images", "bad_imgs.tsv", "--output", "out"];
    workspace.tuwen(&encode).fails(65, &["bad_imgs.tsv:1", "base64", "--max-quarantine"]);
    assert_eq!(files_below(&workspace.path("out")), [""; 0]);
    workspace.tuwen(&[&encode[..], &["--max-quarantine", "1"]].concat()).succeeds();
    assert_eq!(features(&workspace, "out/bad_imgs.img_feat.jsonl", "image_id").len(), rows);
    let noted = workspace.read("out/bad_imgs.img_feat.quarantine.jsonl");
    assert_eq!(noted.lines().count(), 1);
    assert!(noted.contains("base64") && noted.contains("\"line\":1"), "{noted}");
    // The note of an earlier run is not left beside a clean one.
    let clean = workspace.read("bad_imgs.tsv").split_once('\n').unwrap().1.to_owned();
    workspace.write("bad_imgs.tsv", clean + "\t/9j/\n");
    workspace.tuwen(&encode).fails(65, &["the id is empty"]);
    let clean = workspace.read("bad_imgs.tsv").replace("\t/9j/\n", "");
    workspace.write("bad_imgs.tsv", clean.clone() + &clean);
    assert!(workspace.tuwen(&encode).succeeds().stderr.contains(&format!("{rows} rows have an id")));
    assert_eq!(files_below(&workspace.path("out")), ["bad_imgs.img_feat.jsonl"]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let workspace = workspace();
    let hf = repository().join("tests/golden/zoo/hf").to_string_lossy().into_owned();
    let encode = |arguments: &[&str]| workspace.tuwen(&[&["encode", "--output", "out"], arguments].concat());
    encode(&["--model", "model"]).fails(2, &["--images"]);
    encode(&["--model", &hf, "--texts", "muge/valid_texts.jsonl"]).fails(65, &["tokenizer", "21128"]);
    encode(&["--model", "model", "--texts", "nowhere.jsonl"]).fails(66, &["nowhere.jsonl"]);
    encode(&["--model", "nowhere", "--texts", "muge/valid_texts.jsonl"]).fails(66, &["nowhere"]);
    encode(&["--model", "model", "--texts", "muge"]).fails(2, &["muge", "JSONL"]);
    // The second source is looked at before the first is worked on.
    let both = ["--model", "model", "--images", "muge/valid_imgs.tsv", "--texts", "nowhere.jsonl"];
    encode(&both).fails(66, &["nowhere.jsonl"]);
    fs::create_dir(workspace.path("bare")).unwrap();
    encode(&["--model", "model", "--images", "bare"]).fails(65, &["bare", "nothing to encode"]);
    encode(&["--model", "model", "--texts", "muge/valid_imgs.tsv"]).fails(65, &["valid_imgs.tsv:1"]);
    encode(&["--model", "model", "--images", "muge/valid_texts.jsonl"]).fails(65, &["valid_texts.jsonl:1", "no tab"]);
    assert_eq!(files_below(&workspace.path("out")), [""; 0]);
}
