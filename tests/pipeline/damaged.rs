//! Bytes that are wrong: every one is named, costs its own row and no other, and nothing of a file that is not whole is taken for all of it.
use std::fs;

use super::ingest::{counts, ingest, quarantine};
use crate::support::{Workspace, files_below, repository};

const SMALL: &str = "{ id: data, kind: ingest, max_quarantine: 1.0, source: { format: chinese-clip, root: small } }";

/// The sample in the layout of the reference, as `tests/formats` writes it.
fn small(variant: &str) -> Workspace {
    let workspace = Workspace::new();
    let source = repository().join("tests/formats").join(variant);
    for file in files_below(&source) {
        workspace.write(&format!("small/{file}"), fs::read(source.join(&file)).unwrap());
    }
    workspace
}

fn line(id: &str, text: &[u8]) -> Vec<u8> {
    [format!("{{\"text_id\": \"{id}\", \"text\": \"").as_bytes(), text, b"\", \"image_ids\": []}\n"].concat()
}

#[test]
fn bytes_that_are_no_text_cost_their_own_row() {
    let whole = small("chinese-clip");
    let sound = counts(&ingest(&whole, SMALL).succeeds());
    assert_eq!(sound.2, 0);
    let workspace = small("chinese-clip");
    let mut texts = fs::read(workspace.path("small/train_texts.jsonl")).unwrap();
    texts.extend(line("bad", b"\xe7\xba"));
    texts.extend(line("surrogate", b"\xed\xa0\x80"));
    texts.extend(line("overlong", b"\xc0\xaf"));
    texts.extend(line("nul", b"a\0b"));
    workspace.write("small/train_texts.jsonl", texts);
    let mut images = fs::read(workspace.path("small/train_imgs.tsv")).unwrap();
    images.extend(b"\xff\xfe\tQUJD\n\0\0\0\n");
    workspace.write("small/train_imgs.tsv", images);
    let found = counts(&ingest(&workspace, SMALL).succeeds());
    let rows = quarantine(&workspace);
    assert_eq!((found.1, found.2), (sound.1, 6), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.0 == "texts").count(), 4, "{rows:?}");
}

#[test]
fn a_byte_order_mark_and_carriage_returns_change_nothing() {
    let plain = small("chinese-clip");
    ingest(&plain, SMALL).succeeds();
    let marked = small("chinese-clip");
    for file in ["train_imgs.tsv", "train_texts.jsonl", "valid_texts.jsonl", "test_texts.jsonl"] {
        let text = marked.read(&format!("small/{file}")).replace('\n', "\r\n");
        let mark = if file.ends_with(".tsv") { "" } else { "\u{feff}" };
        marked.write(&format!("small/{file}"), format!("{mark}{text}"));
    }
    ingest(&marked, SMALL).succeeds();
    let tables = |workspace: &Workspace| {
        let files = files_below(&workspace.path("artifacts/artifacts")).into_iter();
        let read = |file: String| fs::read(workspace.path("artifacts/artifacts").join(file)).unwrap();
        files.filter(|file| file.ends_with(".parquet")).map(read).collect::<Vec<_>>()
    };
    assert_eq!(tables(&plain), tables(&marked));
}

#[test]
fn a_source_file_that_is_cut_or_changed_is_refused_by_name() {
    let parquet = "{ id: data, kind: ingest, max_quarantine: 1.0, source: { format: parquet, root: small } }";
    let cases = [
        ("chinese-clip-gz", "train_imgs.tsv.gz", SMALL),
        ("chinese-clip-zst", "train_imgs.tsv.zst", SMALL),
        ("chinese-clip-gz", "valid_texts.jsonl.gz", SMALL),
        ("parquet", "train-00000-of-00001.parquet", parquet),
    ];
    for (variant, file, stage) in cases {
        let workspace = small(variant);
        let path = format!("small/{file}");
        let bytes = fs::read(workspace.path(&path)).unwrap();
        // Not in the middle: there a frame ends, and what is left is a whole file.
        for cut in [bytes.len() - 1, bytes.len() * 3 / 4, bytes.len() * 2 / 5, 13, 3] {
            workspace.write(&path, &bytes[..cut]);
            ingest(&workspace, stage).fails(65, &[file]);
        }
        let mut changed = bytes.clone();
        for at in (bytes.len() / 3..bytes.len() * 2 / 3).step_by(97) {
            changed[at] ^= 0x55;
        }
        workspace.write(&path, changed);
        let ran = ingest(&workspace, stage);
        assert!(matches!(ran.code, 0 | 65), "{variant}: {} {}", ran.code, ran.stderr);
        assert!(!workspace.path("artifacts/releases").exists() || ran.code == 0);
    }
}

#[test]
fn a_picture_that_is_cut_or_changed_is_set_aside_or_whole() {
    let folder = repository().join("tests/golden/preprocess");
    let stage = "{ id: data, kind: ingest, max_quarantine: 1.0, source: { format: folder, root: pictures, captions: captions.jsonl } }";
    let workspace = Workspace::new();
    let mut captions = String::new();
    let mut cut = 0;
    for file in files_below(&folder) {
        let ending = file.rsplit('.').next().unwrap_or_default();
        if !["jpg", "png", "webp", "gif", "bmp"].contains(&ending) {
            continue;
        }
        let bytes = fs::read(folder.join(&file)).unwrap();
        for (name, part) in [("half", bytes.len() / 2), ("head", 20), ("none", 0)] {
            let name = format!("{}-{name}.{ending}", file.replace('/', "-"));
            workspace.write(&format!("pictures/{name}"), &bytes[..part]);
            captions.push_str(&format!("{}\n", serde_json::json!({ "image": name, "text": "红心" })));
            cut += 1;
        }
    }
    let sound = repository().join("sample_data/surfaces/images/carbon_fibre_black_1.jpg");
    workspace.write("pictures/sound.jpg", fs::read(sound).unwrap());
    captions.push_str("{\"image\": \"sound.jpg\", \"text\": \"红心\"}\n");
    workspace.write("pictures/captions.jsonl", captions);
    ingest(&workspace, stage).succeeds();
    let images = quarantine(&workspace).iter().filter(|row| row.0 == "images").count();
    // Half of the animation holds its first picture, which is the one that is read.
    assert!(cut > 200 && images == cut - 1, "{images} of {cut}");
}
