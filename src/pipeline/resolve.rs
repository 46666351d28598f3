//! A stage with its paths resolved: what decides its result, and how it is built.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::spec::{StageEntry, StageKind, StageSpec};
use crate::data::{ArtifactKind, Fingerprint, FingerprintBuilder};
use crate::embed::Embed;
use crate::evaluate::Evaluate;
use crate::index::BuildIndex;
use crate::ingest::{Audit, Ingest, IngestError};
use crate::report::{Against, Report};
use crate::stage::{Stage, StageError};
use crate::store::{Sources, digest_file};
use crate::train::{BaseModel, Finetune, weights_digest};

/// Where the settings of a report name what it compares with.
pub(super) const AGAINST: &str = "against";

/// A stage whose relative paths start at the pipeline file.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub id: String,
    pub spec: StageSpec,
    pub seed: u64,
    /// What a report compares with.
    pub against: Option<Against>,
}

impl Resolved {
    /// Resolves the paths of an entry against the folder of the pipeline file.
    pub fn new(entry: &StageEntry, folder: &Path, seed: u64) -> Self {
        let mut spec = entry.spec.clone();
        match &mut spec {
            StageSpec::Ingest(ingest) => {
                ingest.source.resolve_root(folder);
            }
            StageSpec::Model(model) => join(&mut model.weights, folder),
            StageSpec::Index(index) => join(&mut index.text.dictionary, folder),
            _ => {}
        }
        Self { id: entry.id.clone(), spec, seed, against: None }
    }

    /// The stage, ready to run. The one place where a spec becomes code.
    pub fn build(&self) -> Box<dyn Stage> {
        let seed = self.seed;
        match self.spec.clone() {
            StageSpec::Ingest(spec) => Box::new(Ingest { spec, seed }),
            StageSpec::Audit(spec) => Box::new(Audit { spec }),
            StageSpec::Model(spec) => Box::new(BaseModel { spec, seed }),
            StageSpec::Finetune(spec) => Box::new(Finetune { spec, seed }),
            StageSpec::Embed(spec) => Box::new(Embed::new(spec)),
            StageSpec::Index(spec) => Box::new(BuildIndex { spec }),
            StageSpec::Evaluate(spec) => Box::new(Evaluate { spec }),
            StageSpec::Report(spec) => Box::new(Report { spec, against: self.against.clone() }),
        }
    }

    /// The kind of artifact it makes.
    pub fn artifact_kind(&self) -> ArtifactKind {
        match self.spec.kind() {
            StageKind::Ingest => ArtifactKind::Dataset,
            StageKind::Audit => ArtifactKind::Audit,
            StageKind::Model | StageKind::Finetune => ArtifactKind::Checkpoint,
            StageKind::Embed => ArtifactKind::Embeddings,
            StageKind::Index => ArtifactKind::Index,
            StageKind::Evaluate => ArtifactKind::Scores,
            StageKind::Report => ArtifactKind::Report,
        }
    }

    /// The settings that decide the result: no path, but the digest of what the path leads to.
    pub fn settings(&self, sources: &Sources) -> Result<Value, StageError> {
        let mut settings = self.spec.to_json().map_err(|error| StageError::internal(error.to_string()))?;
        match &self.spec {
            StageSpec::Ingest(spec) => {
                let digest = Ingest { spec: spec.clone(), seed: self.seed }.source_digest(sources)?;
                replace(&mut settings, "/source/root", digest.as_str());
            }
            StageSpec::Model(spec) => {
                if let Some(path) = &spec.weights {
                    replace(&mut settings, "/weights", &weights_digest(path, sources)?);
                }
            }
            StageSpec::Index(spec) => {
                if let Some(path) = &spec.text.dictionary {
                    replace(&mut settings, "/text/dictionary", &file_digest(path)?);
                }
            }
            // Which stage the inputs come from does not matter, only what they are.
            StageSpec::Finetune(_) => {
                if let Some(fields) = settings.as_object_mut() {
                    // How often a state is saved changes no result either.
                    ["needs", "save_every_steps"].into_iter().for_each(|field| drop(fields.remove(field)));
                }
            }
            // The names of the data sets stand in the table.
            StageSpec::Audit(_) => {}
            // What the scores have to be changes none of them.
            StageSpec::Evaluate(_) => drop(settings.as_object_mut().and_then(|fields| fields.remove("gate"))),
            StageSpec::Report(_) => {
                if let (Some(against), Some(fields)) = (&self.against, settings.as_object_mut()) {
                    let json =
                        serde_json::to_value(against).map_err(|error| StageError::internal(error.to_string()))?;
                    fields.insert(AGAINST.to_owned(), json);
                }
            }
            StageSpec::Embed(_) => {}
        }
        Ok(settings)
    }

    /// The fingerprint of the result, from settings and the fingerprints of the direct inputs in order.
    pub fn fingerprint(&self, settings: &Value, inputs: &[Fingerprint]) -> Fingerprint {
        let version = self.code_version();
        let mut builder =
            FingerprintBuilder::new(self.spec.kind().as_str(), version).field("settings", settings.to_string());
        if matches!(self.spec.kind(), StageKind::Ingest | StageKind::Model | StageKind::Finetune) {
            builder = builder.field("seed", self.seed.to_le_bytes());
        }
        for input in inputs {
            builder = builder.field("input", input.as_str());
        }
        builder.finish()
    }

    /// Version of the stage's code.
    pub fn code_version(&self) -> u32 {
        match self.spec.kind() {
            StageKind::Ingest | StageKind::Audit => crate::ingest::VERSION,
            StageKind::Model | StageKind::Finetune => crate::train::VERSION,
            StageKind::Embed => crate::embed::VERSION,
            StageKind::Index => crate::index::VERSION,
            StageKind::Evaluate => crate::evaluate::VERSION,
            StageKind::Report => crate::report::VERSION,
        }
    }
}

fn join(path: &mut Option<PathBuf>, folder: &Path) {
    if let Some(path) = path
        && !path.to_string_lossy().contains("://")
    {
        *path = folder.join(&*path);
    }
}

fn replace(settings: &mut Value, pointer: &str, digest: &str) {
    if let Some(value) = settings.pointer_mut(pointer) {
        *value = Value::String(format!("digest:{digest}"));
    }
}

fn file_digest(path: &Path) -> Result<String, StageError> {
    if !path.exists() {
        return Err(IngestError::Missing { path: path.to_owned() }.into());
    }
    Ok(digest_file(path)?.1)
}
