//! House rules: room order, page length, schemas and pipelines in step, README commands that exist.
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Workspace, files_below, repository};

/// The rooms in dependency order, as docs/architecture.md gives them.
const ROOMS: [&str; 14] = [
    "data", "model", "store", "stage", "ingest", "augment", "train", "embed", "index", "evaluate", "report",
    "pipeline", "cluster", "cli",
];
/// A page longer than this is two pages.
const PAGE_LINES: usize = 400;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = repository().join(folder);
    let files = files_below(&root)
        .into_iter()
        .filter(|file| Path::new(file).extension().is_some_and(|extension| extension == "rs"));
    files.map(|file| (Path::new(folder).join(&file), fs::read_to_string(root.join(&file)).unwrap())).collect()
}

/// Rooms that a line of source names.
fn named_rooms(line: &str) -> Vec<&str> {
    let after = line.match_indices("crate::").map(|(at, found)| &line[at + found.len()..]);
    after.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

#[test]
fn the_rooms_stand_in_dependency_order() {
    let library = fs::read_to_string(repository().join("src/lib.rs")).unwrap();
    let found: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let expected: Vec<&str> = ROOMS.into_iter().filter(|room| found.contains(room)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_room_imports_only_rooms_to_its_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(room) = path.components().nth(1).and_then(|part| part.as_os_str().to_str()) else { continue };
        let Some(position) = ROOMS.iter().position(|known| *known == room) else { continue };
        for (number, line) in text.lines().enumerate() {
            for named in named_rooms(line) {
                let other = ROOMS.iter().position(|known| *known == named);
                if other.is_none_or(|other| other > position) {
                    wrong.push(format!("room {room}: {}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a room imports from its right:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_model_room_names_burn_and_only_eight_pages_are_unsafe() {
    for (path, text) in sources("src") {
        let path = path.to_string_lossy();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let names_burn = code.contains("burn::") || code.contains("burn_");
            assert!(!names_burn || path.starts_with("src/model/"), "{path}:{}: names Burn", number + 1);
            let may_be_unsafe = [
                "src/store/lmdb.rs",
                "src/store/mapping.rs",
                "src/model/cpu/kernel.rs",
                "src/model/cpu/kernel_dots.rs",
                "src/model/cpu/kernel_fractions.rs",
                "src/model/cpu/kernel_i8.rs",
                "src/model/cpu/kernel_select.rs",
                "src/model/memory.rs",
            ]
            .contains(&&*path);
            assert!(!code.contains("unsafe {") || may_be_unsafe, "{path}:{}: unsafe", number + 1);
            let reads = code.contains("std::env::var") || code.contains("SystemTime::now");
            assert!(!reads || path.starts_with("src/cli/"), "{path}:{}: reads environment or clock", number + 1);
        }
    }
}

#[test]
fn every_page_says_what_it_is_and_fits() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let path = path.to_string_lossy();
        let lines = text.lines().count();
        assert!(lines <= PAGE_LINES, "{path}: {lines} lines, a page has at most {PAGE_LINES}");
        assert!(!path.starts_with("src") || text.starts_with("//! "), "{path}: no opening sentence");
    }
}

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    let workspace = Workspace::new();
    workspace.tuwen(&["schema", "--output", "schemas"]).succeeds();
    let committed = repository().join("schemas");
    assert_eq!(files_below(&committed), files_below(&workspace.path("schemas")));
    for file in files_below(&committed) {
        let text = fs::read_to_string(committed.join(&file)).unwrap();
        assert_eq!(text, workspace.read(&format!("schemas/{file}")), "schemas/{file}: run `tuwen schema`");
    }
}

#[test]
fn every_committed_pipeline_passes_the_check() {
    let folder = repository().join("pipelines");
    let files = files_below(&folder);
    assert!(files.contains(&"quickstart.yaml".to_owned()) && files.contains(&"chinese-clip.yaml".to_owned()));
    for file in files {
        Workspace::new().tuwen(&["check", folder.join(file).to_str().unwrap()]).succeeds();
    }
}

#[test]
fn the_real_recipe_is_the_published_one() {
    let text = fs::read_to_string(repository().join("pipelines/chinese-clip.yaml")).unwrap();
    for (batch, rate, decay, warmup, epochs) in
        [(128, "1e-5", "0.2", 1000, 5), (64, "5e-6", "0.2", 500, 10), (16, "1e-6", "0.1", 10, 30)]
    {
        let lines = [
            format!("epochs: {epochs}\n"),
            format!("batch_size: {batch}\n"),
            format!("learning_rate: {rate}\n"),
            format!("weight_decay: {decay}\n"),
            format!("warmup_steps: {warmup}\n"),
        ];
        for line in lines {
            assert!(text.contains(&line), "{line}");
        }
    }
    assert_eq!(text.matches("precision: fp16").count(), 3);
}

#[test]
fn the_commands_of_the_readme_exist() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let help = Workspace::new().tuwen(&["--help"]).succeeds().stdout;
    let mut checked = 0;
    for line in readme.lines() {
        let Some(command) = line.trim().trim_start_matches("$ ").strip_prefix("tuwen ") else { continue };
        let name = command.split_whitespace().next().unwrap_or_default();
        assert!(help.contains(&format!("  {name} ")), "README names `tuwen {name}`");
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} commands");
    for command in ["cargo run --release -- run pipelines/quickstart.yaml", "cargo test --release"] {
        assert!(readme.contains(command), "README lacks `{command}`");
    }
}

#[test]
fn the_files_of_the_sample_have_the_digests_they_are_listed_with_and_stay_small() {
    let sample = repository().join("sample_data");
    let files = files_below(&sample);
    let size: u64 = files.iter().map(|file| fs::metadata(sample.join(file)).unwrap().len()).sum();
    assert!(size <= 5 << 20, "sample_data has {size} bytes");
    let listed = fs::read_to_string(sample.join("SHA256SUMS")).unwrap();
    for file in files.iter().filter(|file| file.starts_with("muge/") || file.starts_with("surfaces/images/")) {
        assert!(listed.lines().any(|line| line.ends_with(&format!("  {file}"))), "{file} is not in SHA256SUMS");
    }
}

#[test]
fn the_dictionary_of_words_has_its_published_digest() {
    let vocabulary = fs::read(repository().join("src/model/text/vocab.txt")).unwrap();
    assert_eq!(vocabulary.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 21_128);
    let schema: Value =
        serde_json::from_slice(&fs::read(repository().join("schemas/pipeline.schema.json")).unwrap()).unwrap();
    assert_eq!(schema["title"], "tuwen pipeline");
}
