//! Whether a release is whole: every byte, every row, every vector, and nothing of mixed models.
use std::collections::BTreeMap;

use serde::Serialize;

use crate::data::{ArtifactKey, ArtifactKind, ItemKind, Manifest, Release, Split};
use crate::embed::EmbeddingSummary;
use crate::index::Searcher;
use crate::ingest::Dataset;
use crate::stage::{Monitor, StageError};
use crate::store::{Store, open_artifact, read_manifest};

/// How far the squared length of a unit vector may be from 1 in 32-bit arithmetic.
const UNIT_TOLERANCE: f64 = 1e-3;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stage id.
    pub stage: String,
    pub artifact: ArtifactKey,
    pub problem: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyStats {
    pub artifacts: u64,
    pub files: u64,
    pub bytes: u64,
    pub vectors: u64,
    pub findings: Vec<Finding>,
}

/// Checks every artifact of a release as it lies in the store.
pub fn verify(store: &Store, release: &Release, monitor: &dyn Monitor) -> Result<VerifyStats, StageError> {
    let mut stats = VerifyStats::default();
    let mut whole: BTreeMap<&str, &ArtifactKey> = BTreeMap::new();
    let progress = monitor.begin("verify", Some(release.artifacts.len() as u64), "artifacts");
    for (stage, key) in &release.artifacts {
        monitor.check_stop()?;
        let mut problems = Vec::new();
        match read_manifest(store, key)? {
            None => problems.push("has no manifest; run the pipeline again".to_owned()),
            Some(manifest) => check_files(store, key, &manifest, &mut stats, &mut problems)?,
        }
        stats.artifacts += 1;
        if problems.is_empty() {
            whole.insert(stage, key);
        }
        stats.note(stage, key, problems);
        progress.advance(1);
    }
    for (stage, key) in &whole {
        let mut problems = Vec::new();
        let release = Whole { store, artifacts: &whole };
        let checked = match key.kind {
            ArtifactKind::Dataset => release.dataset(key, &mut problems),
            ArtifactKind::Embeddings => release.embeddings(key, &mut stats, &mut problems),
            ArtifactKind::Index => release.index(key, &mut problems),
            _ => Ok(()),
        };
        problems.extend(checked.err().map(|error| error.to_string()));
        stats.note(stage, key, problems);
    }
    Ok(stats)
}

impl VerifyStats {
    fn note(&mut self, stage: &str, artifact: &ArtifactKey, problems: Vec<String>) {
        let finding = |problem| Finding { stage: stage.to_owned(), artifact: artifact.clone(), problem };
        self.findings.extend(problems.into_iter().map(finding));
    }
}

/// Length and digest of every file, wherever its home is.
fn check_files(
    store: &Store,
    key: &ArtifactKey,
    manifest: &Manifest,
    stats: &mut VerifyStats,
    problems: &mut Vec<String>,
) -> Result<(), StageError> {
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for file in &manifest.files {
        let prefix = file.home.as_ref().unwrap_or(key).prefix();
        let path = store.file_key(&prefix, file);
        if !listed.contains_key(&path) {
            listed.extend(store.objects(&prefix)?.into_iter().map(|object| (object.key, object.bytes)));
        }
        match listed.get(&path) {
            None => problems.push(format!("{} is missing", file.path)),
            Some(bytes) if *bytes != file.bytes => {
                problems.push(format!("{} has {bytes} bytes, its manifest says {}", file.path, file.bytes));
            }
            Some(bytes) if store.digest(&path, *bytes)? != file.digest => {
                problems.push(format!("{} has another content than its manifest says", file.path));
            }
            Some(bytes) => {
                stats.files += 1;
                stats.bytes += bytes;
            }
        }
    }
    Ok(())
}

/// The artifacts of a release whose bytes are right, by stage id.
struct Whole<'a> {
    store: &'a Store,
    artifacts: &'a BTreeMap<&'a str, &'a ArtifactKey>,
}

impl Whole<'_> {
    /// Rows of the tables are those that the stage counted, and every image has its bytes.
    fn dataset(&self, key: &ArtifactKey, problems: &mut Vec<String>) -> Result<(), StageError> {
        let sealed = open_artifact(self.store, key)?;
        let dataset = Dataset::open(&sealed)?;
        for split in Split::ALL {
            let counts = sealed.manifest.stats.pointer(&format!("/shards/all/{split}"));
            let counted = |what: &str| counts.and_then(|counts| counts.get(what)?.as_u64()).unwrap_or(0);
            let images = dataset.image_ids(split)?;
            let found = [
                ("images", images.len()),
                ("texts", dataset.texts(split)?.len()),
                ("pairs", dataset.pairs(split)?.len()),
            ];
            for (what, rows) in found {
                if rows as u64 != counted(what) {
                    problems.push(format!("{rows} {what} of {split}, the stage counted {}", counted(what)));
                }
            }
            for id in images {
                if dataset.image_bytes(&id).is_err() {
                    problems.push(format!("image `{id}` has no bytes"));
                }
            }
        }
        Ok(())
    }

    /// Vectors are finite and of length 1, one per item, by the very checkpoints of the release.
    fn embeddings(
        &self,
        key: &ArtifactKey,
        stats: &mut VerifyStats,
        problems: &mut Vec<String>,
    ) -> Result<(), StageError> {
        let folder = open_artifact(self.store, key)?.folder;
        let summary = EmbeddingSummary::open(&folder)?;
        for model in &summary.models {
            if self.artifacts.get(model.id.as_str()).is_some_and(|key| key.fingerprint != model.fingerprint) {
                problems.push(format!("vectors of `{}` are by another checkpoint than the release's", model.id));
            }
        }
        for file in &summary.files {
            let block = summary.read(&folder, &file.model, &file.data, file.split, file.kind)?;
            stats.vectors += block.ids.len() as u64;
            let is_unit = |vector: &[f32]| {
                let length: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                (length - 1.0).abs() <= UNIT_TOLERANCE
            };
            let wrong = block.vectors.chunks(block.dimension.max(1)).position(|vector| !is_unit(vector));
            if let Some(id) = wrong.and_then(|at| block.ids.get(at)) {
                problems.push(format!("{}: the vector of `{id}` is not finite or not of length 1", file.path()));
            }
        }
        Ok(())
    }

    /// One row per image, and per text unless they were left out, by the release's model.
    fn index(&self, key: &ArtifactKey, problems: &mut Vec<String>) -> Result<(), StageError> {
        let sealed = open_artifact(self.store, key)?;
        let about = Searcher::open(&sealed.folder)?.about().clone();
        if !self.artifacts.values().any(|key| **key == about.model) {
            problems.push(format!("it was built with {}, which is not part of the release", about.model));
        }
        let (mut images, mut texts) = (0, 0);
        for (_, key) in self.artifacts.iter().filter(|(_, key)| sealed.manifest.uses(key)) {
            if key.kind == ArtifactKind::Embeddings {
                let folder = open_artifact(self.store, key)?.folder;
                let summary = EmbeddingSummary::open(&folder)?;
                let is_own = |model: &str| {
                    summary.models.iter().any(|m| m.id == model && m.fingerprint == about.model.fingerprint)
                };
                for file in summary.files.iter().filter(|file| is_own(&file.model)) {
                    match file.kind {
                        ItemKind::Image => images += file.rows,
                        ItemKind::Text => texts += file.rows,
                    }
                }
            }
        }
        if images != about.rows {
            problems.push(format!("{} rows for {images} embedded images", about.rows));
        }
        if about.texts != 0 && texts != about.texts {
            problems.push(format!("{} rows for {texts} embedded texts", about.texts));
        }
        Ok(())
    }
}
