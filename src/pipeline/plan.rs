//! A checked spec to steps in order, each with its fingerprint and whether its result is there already.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::PipelineError;
use super::resolve::{AGAINST, Resolved};
use super::spec::{PipelineSpec, StageEntry, StageKind, StageSpec};
use crate::data::{ArtifactKey, Fingerprint, Manifest};
use crate::report::Against;
use crate::stage::StageError;
use crate::store::{Sources, Store, latest_release, read_manifest};

/// What a run would do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub steps: Vec<Step>,
    /// Artifacts of the newest release by stage.
    pub published: BTreeMap<String, ArtifactKey>,
    /// Number of the newest release, 0 if there is none.
    pub base: u64,
}

/// One stage, resolved.
#[derive(Debug, Clone)]
pub struct Step {
    pub stage: Resolved,
    pub artifact: ArtifactKey,
    pub settings: Value,
    /// Fingerprints of the direct inputs by stage id, in order of need.
    pub needs: Vec<(String, Fingerprint)>,
    /// Stages whose artifacts the step reads, direct and indirect.
    pub inputs: Vec<String>,
    pub state: State,
}

/// Whether a step's result exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    Reuse,
    Run { why: String },
}

/// Orders the stages, computes fingerprints (reading the sources) and looks for results in the store.
pub fn compile(spec: &PipelineSpec, folder: &Path, store: &Store) -> Result<Plan, PipelineError> {
    let newest = latest_release(store, &spec.name).map_err(StageError::from)?;
    let base = newest.as_ref().map_or(0, |release| release.number);
    let artifacts = newest.map(|release| release.artifacts).unwrap_or_default();
    let published = manifests(&artifacts, store)?;
    let sources = Sources::of(store);
    let mut steps: Vec<Step> = Vec::new();
    for position in order(spec) {
        let Some(entry) = spec.stages.get(position) else { continue };
        let mut stage = Resolved::new(entry, folder, spec.seed);
        stage.against = against(entry, &steps, &artifacts, &published, base);
        let in_stage = |source| PipelineError::Stage { stage: entry.id.clone(), source };
        let settings = stage.settings(&sources).map_err(in_stage)?;
        let needs: Vec<(String, Fingerprint)> = entry
            .spec
            .needs()
            .into_iter()
            .filter_map(|need| Some((need.id.to_owned(), find(&steps, need.id)?.artifact.fingerprint.clone())))
            .collect();
        let inputs: Vec<Fingerprint> = needs.iter().map(|(_, fingerprint)| fingerprint.clone()).collect();
        let fingerprint = stage.fingerprint(&settings, &inputs);
        let artifact = ArtifactKey { kind: stage.artifact_kind(), fingerprint };
        let sealed = read_manifest(store, &artifact).map_err(StageError::from)?.is_some();
        let state = if sealed {
            State::Reuse
        } else {
            State::Run { why: reason(&entry.id, &settings, &needs, &steps, &published) }
        };
        let inputs = inputs_of(&entry.spec, &steps);
        steps.push(Step { stage, artifact, settings, needs, inputs, state });
    }
    Ok(Plan { name: spec.name.clone(), steps, published: artifacts, base })
}

impl Plan {
    /// Cuts the plan down to one stage and what it needs.
    pub fn until(self, id: &str) -> Result<Self, PipelineError> {
        let Some(last) = find(&self.steps, id) else {
            let known = self.steps.iter().map(|step| step.stage.id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(PipelineError::UnknownStage { id: id.to_owned(), known });
        };
        let mut wanted = ancestors(last, &self.steps);
        wanted.insert(id.to_owned());
        let steps = self.steps.iter().filter(|step| wanted.contains(&step.stage.id)).cloned().collect();
        Ok(Self { steps, ..self })
    }

    pub fn step(&self, id: &str) -> Option<&Step> {
        find(&self.steps, id)
    }
}

/// What a report compares with: the scores of the newest release. Where these are the plan's own, it is what the published report
/// compared with, so that a report that was drawn once stays as it is.
fn against(
    entry: &StageEntry,
    steps: &[Step],
    artifacts: &BTreeMap<String, ArtifactKey>,
    published: &BTreeMap<String, Manifest>,
    release: u64,
) -> Option<Against> {
    let StageSpec::Report(report) = &entry.spec else { return None };
    let step = find(steps, &report.needs.scores)?;
    let StageSpec::Evaluate(evaluate) = &step.stage.spec else { return None };
    let gate = evaluate.gate.clone()?;
    let scores = artifacts.get(&step.stage.id)?;
    if *scores != step.artifact {
        return Some(Against { release, scores: scores.clone(), gate });
    }
    let known = published.get(&entry.id)?.spec.get(AGAINST)?;
    let known: Against = serde_json::from_value(known.clone()).ok()?;
    Some(Against { gate, ..known })
}

/// Positions of the stages such that every stage comes after what it needs, file order otherwise.
fn order(spec: &PipelineSpec) -> Vec<usize> {
    let mut order = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while order.len() < spec.stages.len() {
        let next = spec.stages.iter().enumerate().find(|(position, stage)| {
            !order.contains(position) && stage.spec.needs().iter().all(|need| done.contains(need.id))
        });
        // `check` refuses circles, so there is always a next stage.
        let Some((position, stage)) = next else { break };
        order.push(position);
        done.insert(&stage.id);
    }
    order
}

fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    steps.iter().find(|step| step.stage.id == id)
}

fn ancestors(step: &Step, steps: &[Step]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (id, _) in &step.needs {
        found.insert(id.clone());
        if let Some(need) = find(steps, id) {
            found.extend(ancestors(need, steps));
        }
    }
    found
}

/// What a stage reads: its needs, and for stages that look at items themselves the data behind the embeddings.
fn inputs_of(spec: &StageSpec, steps: &[Step]) -> Vec<String> {
    let mut inputs: Vec<String> = Vec::new();
    for need in spec.needs() {
        inputs.push(need.id.to_owned());
        let Some(step) = find(steps, need.id) else { continue };
        match spec.kind() {
            StageKind::Report => inputs.extend(ancestors(step, steps)),
            StageKind::Index | StageKind::Evaluate => {
                let data = step.needs.iter().map(|(id, _)| id.clone());
                inputs.extend(
                    data.filter(|id| find(steps, id).is_some_and(|step| step.stage.spec.kind() == StageKind::Ingest)),
                );
            }
            _ => {}
        }
    }
    inputs.sort();
    inputs.dedup();
    inputs
}

/// Manifests by stage id; one that is gone is left out.
fn manifests(
    artifacts: &BTreeMap<String, ArtifactKey>,
    store: &Store,
) -> Result<BTreeMap<String, Manifest>, PipelineError> {
    let mut manifests = BTreeMap::new();
    for (id, key) in artifacts {
        if let Some(manifest) = read_manifest(store, key).map_err(StageError::from)? {
            manifests.insert(id.clone(), manifest);
        }
    }
    Ok(manifests)
}

/// Why a step has to run, compared with the newest release.
fn reason(
    id: &str,
    settings: &Value,
    needs: &[(String, Fingerprint)],
    steps: &[Step],
    published: &BTreeMap<String, Manifest>,
) -> String {
    let Some(manifest) = published.get(id) else {
        return "no earlier result".to_owned();
    };
    let mut changes = Vec::new();
    differences("", &manifest.spec, settings, &mut changes);
    for (need, fingerprint) in needs {
        let known = manifest.inputs.get(need).and_then(|inputs| inputs.first());
        if known != Some(fingerprint) {
            let rerun = find(steps, need).is_some_and(|step| step.state != State::Reuse);
            changes.push(format!("`{need}` {}", if rerun { "runs again" } else { "is another result" }));
        }
    }
    if changes.is_empty() {
        changes.push("seed or program version changed".to_owned());
    }
    changes.join(", ")
}

fn differences(path: &str, old: &Value, new: &Value, changes: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let value = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                differences(&path, &value(before), &value(after), changes);
            }
        }
        _ if old == new => {}
        _ if path == "source.root" => changes.push("source files changed".to_owned()),
        _ => changes.push(format!("{path}: {old} -> {new}")),
    }
}
