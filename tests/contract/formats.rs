//! One small data set in every source format, written by the format's own tools: what comes in must be the same.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tuwen::data::table::Table;
use tuwen::data::{ArtifactKey, Split};
use tuwen::ingest::Dataset;
use tuwen::store::{Store, StoreOptions, open_artifact, read_table};

use crate::support::{Workspace, files_below, repository};

/// Image by id: split and bytes. Text and split with each image, or none.
type Images = BTreeMap<String, (String, Vec<u8>)>;
type Pairs = Vec<(String, String, Option<String>)>;

fn formats() -> PathBuf {
    repository().join("tests/formats")
}

fn expected(variant: &str) -> Value {
    let json: Value = serde_json::from_slice(&fs::read(formats().join("expected.json")).unwrap()).unwrap();
    json["variants"][variant].clone()
}

/// The bytes of the pictures by their SHA-256, from the plainest of the formats.
fn pictures() -> BTreeMap<String, Vec<u8>> {
    let digests = expected("chinese-clip");
    let digest_of = |id: &str| {
        let image = digests["images"].as_array().unwrap().iter().find(|image| image["id"] == id).unwrap();
        image["sha256"].as_str().unwrap().to_owned()
    };
    let mut pictures = BTreeMap::new();
    for split in ["train", "valid", "test"] {
        let tsv = fs::read_to_string(formats().join(format!("chinese-clip/{split}_imgs.tsv"))).unwrap();
        for (id, encoded) in tsv.lines().map(|line| line.split_once('\t').unwrap()) {
            let standard = encoded.replace('-', "+").replace('_', "/");
            pictures.insert(digest_of(id), base64_simd::STANDARD.decode_to_vec(standard).unwrap());
        }
    }
    assert_eq!(pictures.len(), 6);
    pictures
}

/// Runs one ingest stage and opens its data set.
fn ingest(source: &Value, more: &str) -> (Workspace, Dataset, PathBuf) {
    let workspace = Workspace::new();
    let stage = format!("{{ id: data, kind: ingest, source: {source}{more} }}");
    workspace.write("pipeline.yaml", format!("kind: Pipeline\nversion: 1\nname: t\nstages:\n  - {stage}\n"));
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds();
    let key: ArtifactKey = serde_json::from_value(ran.json()["steps"][0]["artifact"].clone()).unwrap();
    let store =
        Store::open(&workspace.path("artifacts").to_string_lossy(), StoreOptions::cached_in(&workspace.path("cache")))
            .unwrap();
    let sealed = open_artifact(&store, &key).unwrap();
    let dataset = Dataset::open(&sealed).unwrap();
    (workspace, dataset, sealed.folder)
}

fn found(dataset: &Dataset) -> (Images, Pairs) {
    let (mut images, mut pairs) = (Images::new(), Pairs::new());
    for split in Split::ALL {
        for id in dataset.image_ids(split).unwrap() {
            let bytes = dataset.image_bytes(&id).unwrap();
            images.insert(id, (split.to_string(), bytes));
        }
        let linked = dataset.pairs(split).unwrap();
        for text in dataset.texts(split).unwrap() {
            let of_text: Vec<_> = linked.iter().filter(|pair| pair.text_id == text.id).collect();
            if of_text.is_empty() {
                pairs.push((text.text.clone(), split.to_string(), None));
            }
            for pair in of_text {
                pairs.push((text.text.clone(), split.to_string(), Some(pair.image_id.clone())));
            }
        }
    }
    pairs.sort();
    (images, pairs)
}

/// What `expected.json` says of a variant.
fn wanted(variant: &Value, pictures: &BTreeMap<String, Vec<u8>>) -> (Images, Pairs) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let images = variant["images"].as_array().unwrap().iter();
    // Flickr30k-CN keeps its pictures as files of their own.
    let file =
        |id: &str| fs::read(formats().join(format!("{}/images/{id}.jpg", variant["root"].as_str().unwrap()))).unwrap();
    let images = images.map(|row| {
        let id = text(&row["id"]);
        let bytes = pictures.get(row["sha256"].as_str().unwrap()).cloned().unwrap_or_else(|| file(&id));
        (id, (text(&row["split"]), bytes))
    });
    let mut pairs = Pairs::new();
    for row in variant["texts"].as_array().unwrap() {
        // What the format cannot keep apart from its surroundings does not count.
        let (caption, split) = (text(&row["text"]).trim().to_owned(), text(&row["split"]));
        let linked = row["images"].as_array().unwrap();
        if linked.is_empty() {
            pairs.push((caption.clone(), split.clone(), None));
        }
        pairs.extend(linked.iter().map(|image| (caption.clone(), split.clone(), Some(text(image)))));
    }
    pairs.sort();
    (images.collect(), pairs)
}

fn check(variant: &str, source: &Value) {
    let expected = expected(variant);
    let (_workspace, dataset, folder) = ingest(source, "");
    let (images, pairs) = found(&dataset);
    let (wanted_images, wanted_pairs) = wanted(&expected, &pictures());
    assert_eq!(images.keys().collect::<Vec<_>>(), wanted_images.keys().collect::<Vec<_>>(), "{variant}");
    assert!(images == wanted_images, "{variant}: an image's split or bytes differ");
    assert_eq!(pairs, wanted_pairs, "{variant}");
    // Where a source gives some of its texts no id, tuwen's own stand beside the others.
    let texts = expected["texts"].as_array().unwrap();
    let ids: Option<BTreeSet<String>> = texts.iter().map(|row| Some(row["id"].as_str()?.to_owned())).collect();
    if let Some(ids) = ids {
        let found = Split::ALL.into_iter().flat_map(|split| dataset.texts(split).unwrap()).map(|text| text.id);
        assert_eq!(found.collect::<BTreeSet<_>>(), ids, "{variant}");
    }
    let sizes = read_table(&folder.join("images.parquet"), Table::Images, |batch, row| {
        Ok((
            batch.text("image_id")?.value(row).to_owned(),
            (batch.u32("width")?.value(row), batch.u32("height")?.value(row)),
        ))
    });
    for row in expected["images"].as_array().unwrap() {
        let found = sizes.as_ref().unwrap().iter().find(|(id, _)| row["id"] == *id).unwrap().1;
        assert_eq!((json!(found.0), json!(found.1)), (row["width"].clone(), row["height"].clone()), "{variant}");
    }
}

fn source(format: &str, folder: &str) -> Value {
    json!({ "format": format, "root": formats().join(folder) })
}

#[test]
fn the_layout_of_the_reference_plain_and_compressed() {
    for folder in ["chinese-clip", "chinese-clip-gz", "chinese-clip-zst"] {
        check(folder, &source("chinese-clip", folder));
    }
    let mut unlabelled = source("chinese-clip", "chinese-clip-unlabelled");
    unlabelled["splits"] = json!(["test"]);
    check("chinese-clip-unlabelled", &unlabelled);
}

#[test]
fn the_first_release_of_muge() {
    for folder in ["muge-2021", "muge-2021-bare"] {
        check(folder, &source("muge-2021", folder));
    }
}

#[test]
fn the_lmdb_of_the_reference() {
    check("reference-lmdb", &source("chinese-clip-lmdb", "reference-lmdb"));
}

#[test]
fn every_release_of_flickr30k_cn() {
    for variant in ["flickr30k-cn/boson", "flickr30k-cn/cna", "flickr30k-cn/plain"] {
        let mut source = source("flickr30k-cn", "flickr30k-cn");
        source["captions"] = expected(variant)["captions"].clone();
        check(variant, &source);
    }
}

#[test]
fn a_folder_with_captions_of_every_kind() {
    for captions in ["captions.csv", "captions.csv.gz", "captions.jsonl", "captions.parquet"] {
        let mut source = source("folder", "folder");
        source["captions"] = json!(captions);
        check("folder", &source);
    }
}

#[test]
fn parquet_as_the_hub_keeps_it() {
    for folder in ["parquet", "parquet-lists", "parquet-paths", "parquet-binary"] {
        check(folder, &source("parquet", folder));
    }
}

#[test]
fn webdataset_shards() {
    for folder in ["webdataset", "webdataset-names"] {
        check(folder, &source("webdataset", folder));
    }
}

#[test]
fn hostile_archives_are_set_aside_or_refused() {
    let alone = |name: &str| {
        let workspace = Workspace::new();
        workspace.write(&format!("shards/{name}"), fs::read(formats().join("webdataset-hostile").join(name)).unwrap());
        workspace.write(
            "pipeline.yaml",
            "kind: Pipeline\nversion: 1\nname: t\nstages:\n  - { id: data, kind: ingest, max_quarantine: 1.0, source: { format: webdataset, root: shards } }\n",
        );
        let ran = workspace.tuwen(&["run", "pipeline.yaml", "--json"]);
        (workspace, ran)
    };
    let aside = [
        "traversal.tar",
        "inner_traversal.tar",
        "absolute.tar",
        "symlink.tar",
        "hardlink.tar",
        "fifo.tar",
        "twice.tar",
    ];
    for name in aside {
        let (workspace, ran) = alone(name);
        let step = ran.succeeds().json()["steps"][0].clone();
        assert!(step["rows_quarantined"].as_u64().unwrap() > 0, "{name}: {step}");
        let written = files_below(&workspace.path(""));
        assert!(!written.iter().any(|file| file.contains("evil")), "{name}: {written:?}");
    }
    for name in ["truncated.tar", "bad_checksum.tar"] {
        let (_workspace, ran) = alone(name);
        ran.fails(65, &[name, "not a readable tar file"]);
    }
    let (_workspace, ran) = alone("no_end.tar");
    assert_eq!(ran.succeeds().json()["steps"][0]["rows_quarantined"], 0);
}

#[test]
fn a_pickle_that_would_run_code_goes_to_quarantine() {
    let workspace = Workspace::new();
    for (from, to) in
        [("reference-lmdb/train/imgs", "lmdb/train/imgs"), ("reference-lmdb-hostile/train/pairs", "lmdb/train/pairs")]
    {
        workspace.write(&format!("{to}/data.mdb"), fs::read(formats().join(from).join("data.mdb")).unwrap());
    }
    workspace.write(
        "pipeline.yaml",
        "kind: Pipeline\nversion: 1\nname: t\nstages:\n  - { id: data, kind: ingest, source: { format: chinese-clip-lmdb, root: lmdb, splits: [train] } }\n",
    );
    workspace.tuwen(&["run", "pipeline.yaml"]).fails(65, &["not executed", "quarantine"]);
}

#[test]
fn what_is_exported_comes_in_again_as_it_was() {
    let (workspace, dataset, _) = ingest(&source("chinese-clip", "chinese-clip"), "");
    let before = found(&dataset);
    for (format, reader) in
        [("chinese-clip", "chinese-clip"), ("chinese-clip-lmdb", "chinese-clip-lmdb"), ("webdataset", "webdataset")]
    {
        let folder = format!("out-{format}");
        workspace.tuwen(&["export", "dataset", "data", "--format", format, "--output", &folder]).succeeds();
        workspace
            .tuwen(&["export", "dataset", "data", "--format", format, "--output", &folder])
            .fails(2, &["exists already"]);
        let again = json!({ "format": reader, "root": workspace.path(&folder) });
        let (_workspace, dataset, _) = ingest(&again, "");
        assert!(found(&dataset) == before, "{format}");
    }
}
