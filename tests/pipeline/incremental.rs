//! The next version of a data set: only what changed is looked at, and the result is that of a fresh run.
use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tuwen::data::{ArtifactKey, Split};
use tuwen::ingest::Dataset;
use tuwen::store::{Store, StoreOptions, open_artifact};

use crate::support::{Ran, Workspace, files_below};

const STAGE: &str = "kind: Pipeline\nversion: 1\nname: t\nstages:\n  - { id: data, kind: ingest, source: { format: chinese-clip, root: muge } }\n";

/// Tables and images of a version; what lies where does not count.
type Content = (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>);

fn run(workspace: &Workspace) -> Ran {
    run_with(workspace, STAGE, "2")
}

fn run_with(workspace: &Workspace, stage: &str, threads: &str) -> Ran {
    workspace.write("pipeline.yaml", stage);
    let mut command = workspace.command(&["run", "pipeline.yaml", "--json"]);
    Ran::new(&command.env("RAYON_NUM_THREADS", threads).output().unwrap()).succeeds()
}

fn content(workspace: &Workspace, ran: &Ran) -> Content {
    let key: ArtifactKey = serde_json::from_value(ran.json()["steps"][0]["artifact"].clone()).unwrap();
    let store =
        Store::open(&workspace.path("artifacts").to_string_lossy(), StoreOptions::cached_in(&workspace.path("cache")))
            .unwrap();
    let sealed = open_artifact(&store, &key).unwrap();
    let dataset = Dataset::open(&sealed).unwrap();
    let ids = Split::ALL.into_iter().flat_map(|split| dataset.image_ids(split).unwrap());
    let images = ids.map(|id| (id.clone(), dataset.image_bytes(&id).unwrap())).collect();
    let tables = files_below(&sealed.folder).into_iter().filter(|file| file.ends_with(".parquet"));
    (tables.map(|file| (file.clone(), fs::read(sealed.folder.join(&file)).unwrap())).collect(), images)
}

/// Another place with the same source and nothing else.
fn with_the_source_of(workspace: &Workspace) -> Workspace {
    let fresh = Workspace::new();
    for file in files_below(&workspace.path("muge")) {
        fresh.write(&format!("muge/{file}"), fs::read(workspace.path("muge").join(&file)).unwrap());
    }
    fresh
}

/// Changes one image, removes one, adds one.
fn change(workspace: &Workspace, round: usize) {
    let tsv = workspace.read("muge/train_imgs.tsv");
    let mut lines: Vec<String> = tsv.lines().map(str::to_owned).collect();
    let encoded = |line: &str| line.split_once('\t').unwrap().1.to_owned();
    let first = lines[0].split_once('\t').unwrap().0.to_owned();
    lines[0] = format!("{first}\t{}", encoded(&lines[3 + round % 2]));
    let removed = lines.remove(5);
    let gone = removed.split_once('\t').unwrap().0.to_owned();
    lines.push(format!("99{round}\t{}", encoded(&lines[1])));
    workspace.write("muge/train_imgs.tsv", lines.join("\n") + "\n");
    let texts = workspace.read("muge/train_texts.jsonl");
    let kept = texts.lines().filter(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let image = row["image_ids"][0].to_string();
        image != gone
    });
    let mut texts = kept.collect::<Vec<_>>().join("\n");
    texts.push_str(&format!("\n{{\"text_id\": 88{round}, \"text\": \"新的一句\", \"image_ids\": [99{round}]}}\n"));
    workspace.write("muge/train_texts.jsonl", texts);
}

#[test]
fn a_changed_source_gives_what_a_fresh_run_gives_with_a_fraction_of_the_work() {
    let workspace = Workspace::new();
    workspace.write_muge();
    run(&workspace);
    // More rounds than image stores are kept, so that they are copied into one on the way.
    for round in 0..11 {
        change(&workspace, round);
        let ran = run(&workspace);
        let images = content(&workspace, &ran).1.len();
        assert!(ran.stderr.contains(&format!("{} images as they were", images - 2)), "{}", ran.stderr);
        let fresh = with_the_source_of(&workspace);
        let anew = run(&fresh);
        assert!(content(&workspace, &ran) == content(&fresh, &anew), "round {round}");
    }
}

#[test]
fn neither_threads_nor_an_earlier_check_show_in_the_result() {
    let workspace = Workspace::new();
    workspace.write_muge();
    // More than a batch, and rows of every fate.
    let tsv = workspace.read("muge/train_imgs.tsv");
    let lines: Vec<(&str, &str)> = tsv.lines().filter_map(|line| line.split_once('\t')).collect();
    let more: String = (0..900)
        .map(|at| match at % 97 {
            5 => format!("{at}\tno base64!\n"),
            6 => "no tab\n".to_owned(),
            7 => format!("{}\t{}\n", lines[at % 3].0, lines[at % 5].1),
            _ => format!("many-{at}\t{}\n", lines[at % lines.len()].1),
        })
        .collect();
    workspace.write("muge/train_imgs.tsv", tsv.clone() + &more);
    let allowed = STAGE.replace("kind: ingest,", "kind: ingest, max_quarantine: 1.0,");
    let header = allowed.replace("kind: ingest,", "kind: ingest, decode: header,");
    let fresh = |stage: &str, threads: &str| {
        let fresh = with_the_source_of(&workspace);
        let ran = run_with(&fresh, stage, threads);
        content(&fresh, &ran)
    };
    let full = run_with(&workspace, &allowed, "2");
    let expected = content(&workspace, &full);
    for threads in ["1", "5"] {
        assert!(fresh(&allowed, threads) == expected, "{threads} threads");
    }
    // Every image is known now, from another check.
    let again = run_with(&workspace, &header, "3");
    assert!(again.stderr.contains("images as they were"), "{}", again.stderr);
    assert!(content(&workspace, &again) == fresh(&header, "1"));
}

#[test]
fn an_unchanged_source_writes_nothing_but_the_record_of_the_run() {
    let workspace = Workspace::new();
    workspace.write_muge();
    run(&workspace);
    let before = files_below(&workspace.path("artifacts"));
    let ran = run(&workspace);
    assert_eq!(ran.json()["steps"][0]["reused"], true);
    let after = files_below(&workspace.path("artifacts"));
    let new: Vec<&String> = after.iter().filter(|file| !before.contains(file)).collect();
    assert!(new.len() == 1 && new[0].starts_with("runs/"), "{new:?}");
}

const EMBED: &str = "kind: Pipeline\nversion: 1\nname: t\nstages:\n  - { id: data, kind: ingest, source: { format: chinese-clip, root: muge } }\n  - { id: base, kind: model, preset: ViT-tiny-16 }\n  - { id: vectors, kind: embed, needs: { models: [base], data: [data] } }\n";

/// Every vector by file, and how many were encoded for it.
fn vectors(workspace: &Workspace) -> (BTreeMap<String, Vec<u8>>, u64) {
    workspace.write("pipeline.yaml", EMBED);
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--json"]).succeeds();
    let note = ran.stderr.lines().find(|line| line.contains(" encoded")).unwrap().to_owned();
    let encoded = note.rsplit(", ").next().unwrap().trim_end_matches(" encoded").parse().unwrap();
    let key: ArtifactKey = serde_json::from_value(ran.json()["steps"][2]["artifact"].clone()).unwrap();
    let store =
        Store::open(&workspace.path("artifacts").to_string_lossy(), StoreOptions::cached_in(&workspace.path("cache")))
            .unwrap();
    let folder = open_artifact(&store, &key).unwrap().folder;
    let tables = files_below(&folder).into_iter().filter(|file| file.ends_with(".parquet"));
    (tables.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect(), encoded)
}

#[test]
fn only_what_changed_is_encoded_again() {
    let workspace = Workspace::new();
    workspace.write_muge();
    let (_, all) = vectors(&workspace);
    change(&workspace, 0);
    let (again, encoded) = vectors(&workspace);
    // The changed image has the bytes of another, and so has the new one: only the new text is new to the model.
    assert!(encoded >= 1 && encoded < all / 10, "{encoded} of {all}");
    let fresh = with_the_source_of(&workspace);
    assert!(vectors(&fresh).0 == again);
}

#[test]
fn a_damaged_earlier_version_is_named_and_everything_made_anew() {
    let workspace = Workspace::new();
    workspace.write_muge();
    run(&workspace);
    let store =
        files_below(&workspace.path("artifacts")).into_iter().find(|file| file.ends_with("images.mdb")).unwrap();
    let path = workspace.path("artifacts").join(store);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap();
    change(&workspace, 0);
    let ran = run(&workspace);
    assert!(ran.stderr.contains("nothing is taken over"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("as they were"), "{}", ran.stderr);
    assert!(!content(&workspace, &ran).1.is_empty());
}
