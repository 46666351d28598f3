//! Shards made by processes of their own, and the run that joins them.
use std::fs;

use serde_json::Value;
use tuwen::data::Manifest;

use crate::support::{Ran, Workspace, files_below};

/// Six shards: images and texts of three splits.
const SHARDED: &str = "\
kind: Pipeline
version: 1
name: sharded
seed: 7
stages:
  - { id: muge, kind: ingest, source: { format: chinese-clip, root: muge } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: vectors, kind: embed, needs: { models: [base], data: [muge] } }
";
const COUNT: u64 = 6;

/// A workspace whose store `parts` has the inputs of the stage `vectors`.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write_muge();
    workspace.write("pipeline.yaml", SHARDED);
    for input in ["muge", "base"] {
        workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--until", input, "--store", "parts"]).succeeds();
    }
    workspace
}

fn shard(workspace: &Workspace, arguments: &[&str]) -> Ran {
    let fixed = ["shard", "run", "pipeline.yaml", "--stage", "vectors", "--store", "parts", "--json"];
    workspace.tuwen(&[&fixed[..], arguments].concat())
}

fn list(workspace: &Workspace) -> Value {
    workspace
        .tuwen(&["shard", "list", "pipeline.yaml", "--stage", "vectors", "--store", "parts", "--json"])
        .succeeds()
        .json()
}

fn join(workspace: &Workspace) -> Ran {
    workspace.tuwen(&["run", "pipeline.yaml", "--store", "parts", "--json"]).succeeds()
}

/// The sealed vectors of a store: files with digests, and the counts.
fn vectors(workspace: &Workspace, store: &str) -> (Vec<tuwen::data::FileEntry>, Value) {
    let folder = workspace.path(store).join("artifacts/embeddings");
    let manifest = files_below(&folder).into_iter().find(|file| file.ends_with("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(manifest)).unwrap()).unwrap();
    (manifest.files, manifest.stats)
}

#[test]
fn shards_of_several_processes_join_to_the_digests_of_one_run() {
    let workspace = workspace();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--store", "whole"]).succeeds();
    let listed = list(&workspace);
    assert_eq!((listed["count"].as_u64(), listed["finished"].as_u64()), (Some(COUNT), Some(0)));
    // Three workers at once, one of them twice.
    let arguments = |index| {
        [
            "shard",
            "run",
            "pipeline.yaml",
            "--stage",
            "vectors",
            "--store",
            "parts",
            "--json",
            "--quiet",
            "--of",
            "3",
            "--index",
            index,
        ]
    };
    let workers = ["0", "1", "2", "1"]
        .map(|index| workspace.command(&arguments(index)).stdout(std::process::Stdio::piped()).spawn().unwrap());
    let made: u64 = workers
        .into_iter()
        .map(|worker| Ran::new(&worker.wait_with_output().unwrap()).succeeds().json()["made"].as_u64().unwrap())
        .sum();
    assert_eq!(made, COUNT, "every shard is made once");
    assert_eq!(list(&workspace)["finished"].as_u64(), Some(COUNT));
    assert!(!workspace.path("parts/artifacts/embeddings").exists(), "only a run seals");
    let joined = join(&workspace);
    assert!(joined.stderr.contains("6 of 6 shards were made elsewhere"), "{}", joined.stderr);
    assert_eq!(vectors(&workspace, "parts"), vectors(&workspace, "whole"));
    assert!(files_below(&workspace.path("parts/work")).is_empty(), "nothing is left of the shards");
    workspace.tuwen(&["verify", "--store", "parts"]).succeeds();
    // Whoever comes late has nothing to do.
    let artifact = listed["artifact"].as_str().unwrap();
    for arguments in [&["--index", "2"][..], &["--index", "2", "--artifact", artifact]] {
        let late = shard(&workspace, arguments).succeeds().json();
        assert_eq!((late["sealed"].as_bool(), late["made"].as_u64()), (Some(true), Some(0)));
    }
    assert_eq!(list(&workspace)["finished"].as_u64(), Some(COUNT));
}

#[test]
fn a_run_makes_the_shards_that_are_missing_or_damaged() {
    let workspace = workspace();
    workspace.tuwen(&["run", "pipeline.yaml", "--quiet", "--store", "whole"]).succeeds();
    let mut command =
        workspace.command(&["shard", "run", "pipeline.yaml", "--stage", "vectors", "--store", "parts", "--json"]);
    let ran = Ran::new(&command.env("JOB_COMPLETION_INDEX", "1").output().unwrap()).succeeds().json();
    assert_eq!((ran["index"].as_u64(), ran["made"].as_u64()), (Some(1), Some(1)));
    let again = shard(&workspace, &["--index", "1"]).succeeds().json();
    assert_eq!((again["made"].as_u64(), again["shards"][0]["end"].as_str()), (Some(0), Some("found")));
    shard(&workspace, &["--index", "4"]).succeeds();
    let work = workspace.path("parts/work");
    let file = files_below(&work).into_iter().find(|file| file.contains("/files/")).unwrap();
    let mut bytes = fs::read(work.join(&file)).unwrap();
    bytes[40] ^= 1;
    fs::write(work.join(&file), bytes).unwrap();
    let joined = join(&workspace);
    assert!(joined.stderr.contains("is made again") && joined.stderr.contains("1 of 6 shards"), "{}", joined.stderr);
    assert_eq!(vectors(&workspace, "parts"), vectors(&workspace, "whole"));
}

#[test]
fn a_restart_forgets_shards_that_were_made_elsewhere() {
    let workspace = workspace();
    shard(&workspace, &["--index", "0", "--of", "1"]).succeeds();
    let ran = workspace.tuwen(&["run", "pipeline.yaml", "--store", "parts", "--restart"]).succeeds();
    assert!(!ran.stderr.contains("made elsewhere"), "{}", ran.stderr);
}

#[test]
fn a_worker_needs_no_source_once_the_shards_were_listed() {
    let workspace = workspace();
    let artifact = list(&workspace)["artifact"].as_str().unwrap().to_owned();
    workspace.shell("mv muge elsewhere");
    shard(&workspace, &["--index", "0"]).fails(66, &["muge"]);
    let ran = shard(&workspace, &["--index", "0", "--of", "2", "--artifact", &artifact]).succeeds().json();
    assert_eq!((ran["made"].as_u64(), ran["artifact"].as_str()), (Some(COUNT / 2), Some(artifact.as_str())));
    workspace.write("other.yaml", SHARDED.replace("data: [muge] }", "data: [muge] }, precision: bf16"));
    let other = [
        "shard",
        "run",
        "other.yaml",
        "--stage",
        "vectors",
        "--store",
        "parts",
        "--index",
        "0",
        "--artifact",
        &artifact,
    ];
    workspace.tuwen(&other).fails(78, &["not the one that makes", "list again"]);
    let unknown = format!("embeddings/{}", "0".repeat(32));
    shard(&workspace, &["--index", "0", "--artifact", &unknown]).fails(66, &["tuwen shard list"]);
    shard(&workspace, &["--index", "0", "--artifact", "../../x"]).fails(2, &["kind/fingerprint"]);
}

#[test]
fn what_cannot_be_made_in_shards_is_refused_with_its_remedy() {
    let workspace = workspace();
    let one = |stage| {
        workspace.tuwen(&["shard", "run", "pipeline.yaml", "--stage", stage, "--store", "parts", "--index", "0"])
    };
    one("muge").fails(2, &["made in one piece", "tuwen run FILE --until muge"]);
    one("nowhere").fails(66, &["muge, base, vectors"]);
    let whole = workspace
        .tuwen(&["shard", "list", "pipeline.yaml", "--stage", "muge", "--store", "parts", "--json"])
        .succeeds();
    assert_eq!((whole.json()["count"].as_u64(), whole.json()["divides"].as_bool()), (Some(1), Some(false)));
    shard(&workspace, &["--index", "6"]).fails(2, &["6 shards", "from 0 and below 6"]);
    shard(&workspace, &["--index", "3", "--of", "3"]).fails(2, &["index 3 of 3"]);
    shard(&workspace, &[]).fails(2, &["--index"]);
    let idle = shard(&workspace, &["--index", "8", "--of", "9"]).succeeds().json();
    assert_eq!(idle["shards"].as_array().map(Vec::len), Some(0), "more workers than shards");
    let empty = ["shard", "list", "pipeline.yaml", "--stage", "vectors", "--store", "empty"];
    workspace.tuwen(&empty).fails(66, &["`base`", "`muge`", "tuwen run FILE --until muge"]);
}
