//! Shared by the tests: the program, small data sets, small pipelines.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a pipeline, its data and its store.
pub struct Workspace {
    pub folder: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A workspace with data of both formats and the pipeline [`PIPELINE`].
    pub fn with_pipeline() -> Self {
        let workspace = Self::new();
        workspace.write_muge();
        workspace.write_surfaces();
        workspace.write("pipeline.yaml", PIPELINE);
        workspace
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The first rows of the sample in MUGE's layout: 12 images for training, 6 for validation, 4 without labels.
    pub fn write_muge(&self) {
        let source = repository().join("sample_data/flickr30k-cn");
        for (split, count) in [("train", 12), ("valid", 6), ("test", 4)] {
            let images = fs::read_to_string(source.join(format!("{split}_imgs.tsv"))).unwrap();
            let images: Vec<&str> = images.lines().take(count).collect();
            let ids: Vec<&str> = images.iter().map(|line| line.split('\t').next().unwrap()).collect();
            self.write(&format!("muge/{split}_imgs.tsv"), images.join("\n") + "\n");
            let texts = fs::read_to_string(source.join(format!("{split}_texts.jsonl"))).unwrap();
            let mut kept = String::new();
            for line in texts.lines() {
                let mut row: Value = serde_json::from_str(line).unwrap();
                if ids.contains(&row["image_ids"][0].to_string().as_str()) {
                    if split == "test" {
                        row["image_ids"] = Value::Array(Vec::new());
                    }
                    kept.push_str(&format!("{row}\n"));
                }
            }
            self.write(&format!("muge/{split}_texts.jsonl"), kept);
        }
    }

    /// Every fourth family of the sample's surfaces.
    pub fn write_surfaces(&self) {
        let source = repository().join("sample_data/surfaces");
        let captions = fs::read_to_string(source.join("captions.csv")).unwrap();
        let mut lines = captions.lines();
        let mut kept = format!("{}\n", lines.next().unwrap());
        for line in lines.enumerate().filter(|(at, _)| at / 2 % 4 == 0).map(|(_, line)| line) {
            let image = line.split(',').next().unwrap();
            self.write(&format!("surfaces/{image}"), fs::read(source.join(image)).unwrap());
            kept.push_str(&format!("{line}\n"));
        }
        self.write("surfaces/captions.csv", kept);
    }

    /// Runs the program in this folder.
    pub fn tuwen(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        Ran::new(&output)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuwen"));
        command.args(arguments).current_dir(self.folder.path()).env("TUWEN_CACHE", self.path("cache"));
        command
    }

    /// Runs a line of shell in this folder; `$0` is the program.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = Command::new("bash");
        command.args(["-c", line, env!("CARGO_BIN_EXE_tuwen")]).current_dir(self.folder.path());
        command.env("TUWEN_CACHE", self.path("cache")).output().unwrap()
    }

    /// Runs a pipeline file that is the usual one with `from` replaced by `to`.
    pub fn check_with(&self, from: &str, to: &str) -> Ran {
        assert!(PIPELINE.contains(from), "{from}");
        self.write("changed.yaml", PIPELINE.replacen(from, to, 1));
        self.tuwen(&["check", "changed.yaml"])
    }
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// The JSON object on the last line of stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap()).unwrap()
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails with that exit code and says each of `words`.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// Paths of all files below a folder, relative, sorted.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Two chained stages on a few rows.
pub const PIPELINE: &str = "\
kind: Pipeline
version: 1
name: small
seed: 7
stages:
  - { id: muge, kind: ingest, source: { format: chinese-clip, root: muge } }
  - { id: surfaces, kind: ingest, source: { format: folder, root: surfaces, captions: captions.csv }, split: { valid: 0.2, test: 0.3 } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - id: first
    kind: finetune
    needs: { model: base, data: muge }
    epochs: 3
    batch_size: 20
    learning_rate: 1e-3
    warmup_steps: 2
    augment: [ { random_resized_crop: { scale: [0.8, 1.0] } }, { random_horizontal_flip: {} }, { color_jitter: { brightness: 0.2 } } ]
  - id: second
    kind: finetune
    needs: { model: first, data: surfaces }
    epochs: 1
    batch_size: 8
    learning_rate: 5e-4
    warmup_steps: 1
  - { id: vectors, kind: embed, needs: { models: [base, first, second], data: [muge, surfaces] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: second } }
  - { id: scores, kind: evaluate, needs: { embeddings: vectors } }
  - { id: report, kind: report, needs: { scores: scores, index: index }, queries: [表面] }
";
