//! What a worker has to know of a stage whose shards it makes: from the plan, or as `shard list` left it in the store.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::plan::Plan;
use super::resolve::Resolved;
use crate::data::{ArtifactKey, Fingerprint};
use crate::stage::{Input, StageError};
use crate::store::{ShardStore, Sources, Store, open_artifact, read_manifest};

/// One stage, its result to be, and what it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardPlan {
    /// Always `ShardPlan`.
    kind: String,
    version: u32,
    pub stage: String,
    pub artifact: ArtifactKey,
    /// Fingerprints of the direct inputs, in order of need: with the settings they decide the artifact's own.
    needs: Vec<Fingerprint>,
    /// What is read, by stage.
    inputs: BTreeMap<String, ArtifactKey>,
    /// The stage's result in the newest release: what it holds need not be made again.
    pub base: Option<ArtifactKey>,
}

impl ShardPlan {
    /// From a plan, whose making read the sources.
    pub fn of(plan: &Plan, id: &str) -> Result<Self, PipelineError> {
        let step = plan.step(id).ok_or_else(|| {
            let known = plan.steps.iter().map(|step| step.stage.id.as_str()).collect::<Vec<_>>().join(", ");
            PipelineError::UnknownStage { id: id.to_owned(), known }
        })?;
        let input = |id: &String| Some((id.clone(), plan.step(id)?.artifact.clone()));
        Ok(Self {
            kind: "ShardPlan".to_owned(),
            version: 1,
            stage: id.to_owned(),
            artifact: step.artifact.clone(),
            needs: step.needs.iter().map(|(_, fingerprint)| fingerprint.clone()).collect(),
            inputs: step.inputs.iter().filter_map(input).collect(),
            base: plan.published.get(id).cloned(),
        })
    }

    /// As `shard list` left it: no source is read. The stage of the file must be the one that was listed.
    pub fn read(store: &Store, artifact: &ArtifactKey, stage: &Resolved) -> Result<Self, PipelineError> {
        let found: Option<Self> = ShardStore::new(store, artifact).read_plan().map_err(StageError::from)?;
        let id = stage.id.clone();
        let found = found.map_or_else(|| Self::of_sealed(store, artifact, stage), |plan| Ok(Some(plan)))?;
        let Some(plan) = found else {
            let store = store.url().to_owned();
            return Err(PipelineError::NotListed { stage: id, artifact: artifact.clone(), store });
        };
        let settings = stage.settings(&Sources::forgetful(store))?;
        let fingerprint = stage.fingerprint(&settings, &plan.needs);
        if plan.stage != id || plan.artifact != *artifact || fingerprint != artifact.fingerprint {
            return Err(PipelineError::OtherStage { stage: id, artifact: artifact.clone() });
        }
        Ok(plan)
    }

    /// Of a stage that is done, whose shards are gone and with them the list: it reads nothing any more.
    fn of_sealed(store: &Store, artifact: &ArtifactKey, stage: &Resolved) -> Result<Option<Self>, StageError> {
        let Some(manifest) = read_manifest(store, artifact)? else { return Ok(None) };
        let needs = stage.spec.needs();
        let needs = needs.iter().filter_map(|need| manifest.inputs.get(need.id)?.first().cloned()).collect();
        let (kind, inputs) = ("ShardPlan".to_owned(), BTreeMap::new());
        Ok(Some(Self {
            kind,
            version: 1,
            stage: manifest.stage,
            artifact: artifact.clone(),
            needs,
            inputs,
            base: None,
        }))
    }

    /// An error that names every input that is not sealed yet.
    pub(super) fn require_inputs(&self, store: &Store) -> Result<(), PipelineError> {
        let mut missing = Vec::new();
        for (id, key) in &self.inputs {
            if read_manifest(store, key).map_err(StageError::from)?.is_none() {
                missing.push(id.as_str());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let remedy = missing.iter().map(|id| format!("`tuwen run FILE --until {id}`")).collect::<Vec<_>>().join(", ");
        let missing = missing.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        Err(PipelineError::InputsMissing { stage: self.stage.clone(), missing, remedy })
    }

    /// The sealed inputs, made local.
    pub(super) fn open_inputs(&self, store: &Store) -> Result<BTreeMap<String, Input>, StageError> {
        let open = |(id, key): (&String, &ArtifactKey)| {
            Ok((id.clone(), Input { key: key.clone(), sealed: open_artifact(store, key)? }))
        };
        self.inputs.iter().map(open).collect()
    }
}
