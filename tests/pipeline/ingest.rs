use std::fs;

use serde_json::Value;
use tuwen::data::table::Table;
use tuwen::store::read_table;

use crate::support::{Ran, Workspace, files_below, repository};

const MUGE: &str = "{ id: data, kind: ingest, max_quarantine: 1.0, source: { format: chinese-clip, root: muge } }";
const FOLDER: &str =
    "{ id: data, kind: ingest, max_quarantine: 1.0, source: { format: folder, root: pictures, captions: CAPTIONS } }";

/// Ingests one stage; the workspace's store holds the data set.
pub fn ingest(workspace: &Workspace, stage: &str) -> Ran {
    let text = format!("kind: Pipeline\nversion: 1\nname: t\nstages:\n  - {stage}\n");
    workspace.write("pipeline.yaml", text);
    workspace.tuwen(&["run", "pipeline.yaml", "--json"])
}

/// Table, id and reason of every row in quarantine.
pub fn quarantine(workspace: &Workspace) -> Vec<(String, String, String)> {
    let file =
        files_below(&workspace.path("artifacts")).into_iter().find(|f| f.ends_with("quarantine.parquet")).unwrap();
    read_table(&workspace.path("artifacts").join(file), Table::Quarantine, |batch, row| {
        let text = |column| batch.text(column).map(|values| values.value(row).to_owned());
        Ok((text("table")?, text("id")?, text("reason")?))
    })
    .unwrap()
}

pub fn counts(ran: &Ran) -> (u64, u64, u64) {
    let step = ran.json()["steps"][0].clone();
    let count = |name: &str| step[name].as_u64().unwrap();
    (count("rows_in"), count("rows_out"), count("rows_quarantined"))
}

#[test]
fn every_bad_row_of_the_tsv_layout_goes_to_quarantine_with_a_reason() {
    let workspace = Workspace::with_pipeline();
    let first = workspace.read("muge/train_imgs.tsv").lines().next().unwrap().to_owned();
    let (id, encoded) = first.split_once('\t').unwrap();
    let jpeg = base64_simd::STANDARD.decode_to_vec(encoded).unwrap();
    let half = base64_simd::STANDARD.encode_to_string(&jpeg[..jpeg.len() / 2]);
    let url_safe = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&jpeg);
    let mut images = workspace.read("muge/train_imgs.tsv");
    images.push_str(&format!("{first}\n77\t{half}\n78\tnot base64!\nno tab here\n79\t{}\n80\t{url_safe}\r\n", "QUJD"));
    workspace.write("muge/train_imgs.tsv", images);
    let mut texts = workspace.read("muge/train_texts.jsonl");
    texts.push_str(&format!(
        "{{\"text_id\": \"a\", \"text\": \"红心\", \"image_ids\": [{id}, 424242]}}\n{{\"text_id\": \"b\", \"text\": \"  \", \"image_ids\": []}}\n{{\"text_id\": \"a\", \"text\": \"x\", \"image_ids\": []}}\n{{\"text_id\": 1.5, \"text\": \"x\", \"image_ids\": []}}\n{{broken\n"
    ));
    workspace.write("muge/train_texts.jsonl", texts);
    let ran = ingest(&workspace, MUGE).succeeds();
    let rows = quarantine(&workspace);
    let reason = |table: &str, id: &str| {
        let found = rows.iter().find(|row| row.0 == table && row.1 == id);
        found.unwrap_or_else(|| unreachable!("no {table} {id} in {rows:?}")).2.clone()
    };
    assert!(reason("images", id).contains("repeats"));
    assert!(reason("images", "77").contains("truncated"));
    assert!(reason("images", "78").contains("base64"));
    assert!(reason("images", "").contains("no tab"));
    assert!(reason("images", "79").contains("not a JPEG"));
    assert!(reason("pairs", "a:424242").contains("not in the data set"));
    assert!(reason("texts", "b").contains("empty"));
    assert!(reason("texts", "a").contains("repeats"));
    assert!(reason("texts", "1.5").contains("integers or strings"));
    assert_eq!(rows.len(), 10, "{rows:?}");
    let (rows_in, rows_out, quarantined) = counts(&ran);
    assert_eq!(quarantined, 10);
    assert_eq!(rows_in, rows_out + quarantined);
}

#[test]
fn bad_rows_stop_the_run_unless_they_are_allowed() {
    let workspace = Workspace::with_pipeline();
    workspace.write("muge/valid_imgs.tsv", format!("{}junk\n", workspace.read("muge/valid_imgs.tsv")));
    let strict = MUGE.replace("max_quarantine: 1.0, ", "");
    ingest(&workspace, &strict)
        .fails(65, &["1 of", "valid_imgs.tsv:7: no tab", "max_quarantine", "quarantine.parquet"]);
    assert!(!workspace.path("artifacts/artifacts").exists());
}

#[test]
fn a_text_may_not_name_an_image_of_another_split() {
    let workspace = Workspace::with_pipeline();
    let train = workspace.read("muge/train_imgs.tsv");
    let id = train.split('\t').next().unwrap();
    let texts = workspace.read("muge/valid_texts.jsonl");
    workspace.write(
        "muge/valid_texts.jsonl",
        format!("{texts}{{\"text_id\": \"new\", \"text\": \"x\", \"image_ids\": [\"{id}\"]}}\n"),
    );
    ingest(&workspace, MUGE).succeeds();
    assert!(quarantine(&workspace)[0].2.contains("belongs to split train"));
}

#[test]
fn an_empty_split_is_an_error_that_names_it() {
    let workspace = Workspace::with_pipeline();
    workspace.write("muge/valid_imgs.tsv", "");
    workspace.write("muge/valid_texts.jsonl", "");
    ingest(&workspace, MUGE).fails(65, &["split `valid` is empty", "source.splits"]);
    ingest(&workspace, &MUGE.replace("root: muge", "root: muge, splits: [train]")).succeeds();
}

#[test]
fn a_folder_is_read_from_csv_and_jsonl_alike_whatever_the_file_names_say() {
    let workspace = Workspace::new();
    let jpeg = fs::read(repository().join("sample_data/surfaces/images/carbon_fibre_black_1.jpg")).unwrap();
    let png = fs::read(repository().join("tests/golden/augment/rgba.png")).unwrap();
    workspace.write("pictures/a.jpg", &jpeg);
    workspace.write("pictures/deep/wrong-extension.jpg", &png);
    workspace.write("pictures/cut.jpg", &jpeg[..jpeg.len() / 2]);
    workspace.write("outside.jpg", &jpeg);
    let rows = [
        ("a.jpg", "黑色碳纤维,材料"),
        ("a.jpg", "同一张图的第二句"),
        ("deep/wrong-extension.jpg", "带透明通道"),
        ("cut.jpg", "半张图"),
        ("gone.jpg", "没有文件"),
        ("../outside.jpg", "路径越界"),
    ];
    let mut csv = "\u{feff}image,text\r\n".to_owned();
    let mut jsonl = String::new();
    for (image, text) in rows {
        csv.push_str(&format!("{image},\"{text}\"\r\n"));
        jsonl.push_str(&format!("{}\n", serde_json::json!({ "image": image, "text": text })));
    }
    workspace.write("pictures/captions.csv", csv);
    workspace.write("pictures/captions.jsonl", jsonl);
    let mut found = Vec::new();
    for captions in ["captions.csv", "captions.jsonl"] {
        let _ = fs::remove_dir_all(workspace.path("artifacts"));
        let ran = ingest(&workspace, &FOLDER.replace("CAPTIONS", captions)).succeeds();
        let (rows_in, rows_out, quarantined) = counts(&ran);
        // Five images, six texts, of which three have no image that could give them a split, and a pair for each other.
        assert_eq!((rows_in, rows_out, quarantined), (5 + 6 + 3, 2 + 3 + 3, 3 + 3), "{captions}");
        found.push(quarantine(&workspace));
    }
    assert_eq!(found[0], found[1]);
    let reasons: Vec<&str> = found[0].iter().filter(|row| row.0 == "images").map(|row| row.2.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("stay below")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("truncated")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("not found")), "{reasons:?}");
}

#[test]
fn a_source_without_the_needed_columns_is_refused() {
    let workspace = Workspace::new();
    workspace.write("pictures/captions.csv", "file,caption\na.jpg,x\n");
    ingest(&workspace, &FOLDER.replace("CAPTIONS", "captions.csv")).fails(65, &["column `image` is missing"]);
    workspace.write("pictures/captions.tsv", "");
    ingest(&workspace, &FOLDER.replace("CAPTIONS", "captions.tsv")).fails(65, &[".csv, .jsonl or .parquet"]);
}

#[test]
fn a_decompression_bomb_is_refused_before_it_is_decoded() {
    let workspace = Workspace::with_pipeline();
    // A PNG header that claims 60,000 x 60,000 pixels.
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = 60_000u32.to_be_bytes().repeat(2);
    header.extend([8, 2, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", header.as_slice()), (b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01"), (b"IEND", b"")] {
        let body = [kind.as_slice(), data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&body);
        png.extend(crc32(&body).to_be_bytes());
    }
    let line = format!("99\t{}\n", base64_simd::STANDARD.encode_to_string(&png));
    workspace.write("muge/train_imgs.tsv", workspace.read("muge/train_imgs.tsv") + &line);
    ingest(&workspace, MUGE).succeeds();
    let rows = quarantine(&workspace);
    assert!(rows[0].2.contains("60000 x 60000 pixels"), "{rows:?}");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn nothing_of_the_sample_crosses_a_split() {
    let workspace = Workspace::new();
    let sample = repository().join("sample_data");
    for (name, source) in [("muge", "muge"), ("flickr", "flickr30k-cn")] {
        let text = format!(
            "kind: Pipeline\nversion: 1\nname: t\nstages:\n  - {{ id: {name}, kind: ingest, source: {{ format: chinese-clip, root: {} }} }}\n",
            sample.join(source).display()
        );
        workspace.write("pipeline.yaml", text);
        workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--store", name]).succeeds();
        let store = workspace.path(name);
        let file = |stem: &str| {
            let file = files_below(&store).into_iter().find(|f| f.ends_with(&format!("{stem}.parquet"))).unwrap();
            store.join(file)
        };
        let images: Vec<(String, String, u64)> = read_table(&file("images"), Table::Images, |batch, row| {
            let text = |column| batch.text(column).map(|values| values.value(row).to_owned());
            Ok((text("split")?, text("digest")?, batch.u64("perceptual_hash")?.value(row)))
        })
        .unwrap();
        for (at, one) in images.iter().enumerate() {
            for other in images.iter().skip(at + 1).filter(|other| other.0 != one.0) {
                assert_ne!(one.1, other.1, "{name}: a picture stands in two splits");
                assert!((one.2 ^ other.2).count_ones() > 0, "{name}: near-identical pictures in two splits");
            }
        }
        let texts: Vec<(String, String)> = read_table(&file("texts"), Table::Texts, |batch, row| {
            let text = |column| batch.text(column).map(|values| values.value(row).to_owned());
            Ok((text("text")?, text("split")?))
        })
        .unwrap();
        let mut splits = std::collections::BTreeMap::new();
        for (text, split) in texts {
            let known = splits.entry(text.clone()).or_insert_with(|| split.clone());
            assert_eq!(*known, split, "{name}: `{text}` stands in two splits");
        }
    }
    let digests: Value = serde_json::json!(fs::read_to_string(sample.join("SHA256SUMS")).unwrap().lines().count());
    assert!(digests.as_u64().unwrap() > 150);
}

#[test]
fn a_caption_with_an_unknown_split_is_left_out_whole_and_never_trained_on() {
    let workspace = Workspace::new();
    let jpeg = fs::read(repository().join("sample_data/surfaces/images/carbon_fibre_black_1.jpg")).unwrap();
    workspace.write("pictures/a.jpg", &jpeg);
    workspace.write("pictures/captions.csv", "image,text,split\na.jpg,好,test\na.jpg,坏,tset\n");
    let ran = ingest(&workspace, &FOLDER.replace("CAPTIONS", "captions.csv")).succeeds();
    // One image, one text and one pair of the first caption; the second caption as one bad row.
    assert_eq!(counts(&ran), (4, 3, 1));
    assert!(quarantine(&workspace)[0].2.contains("unknown split `tset`"));
}
