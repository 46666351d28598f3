//! One step of a plan: its inputs opened, its shards made, its result sealed.
use std::collections::BTreeMap;

use super::plan::{Plan, State, Step};
use super::run::{RunOptions, Unfinished};
use super::transfer::{folder_bytes, watch};
use crate::data::ArtifactKey;
use crate::model::ComputeDevice;
use crate::report::PUBLISHED_SCORES;
use crate::stage::{Input, Monitor, StageContext, StageError, StageOutput, StageStats, TELEMETRY_FOLDER, run_shards};
use crate::store::{
    Description, Sealed, ShardStore, Sources, Store, StoreError, Traffic, Workdir, open_artifact, read_manifest, seal,
};

/// Makes the result of a step unless it is there; says whether it was.
pub(super) fn run_step(
    step: &Step,
    plan: &Plan,
    store: &Store,
    device: &ComputeDevice,
    monitor: &dyn Monitor,
    options: &RunOptions,
) -> Result<(StageStats, bool), StageError> {
    monitor.check_stop()?;
    if read_manifest(store, &step.artifact)?.is_some() {
        return Ok((StageStats::default(), true));
    }
    if let State::Run { why } = &step.state {
        monitor.note(&format!("{}: {} ({why})", step.stage.id, step.stage.spec.kind().as_str()));
    }
    let title = format!("{}: download", step.stage.id);
    let inputs = watch(store, monitor, &title, None, Traffic::received, || open_inputs(step, plan, store))?;
    let workdir = Workdir::open(store, &step.artifact)?;
    if read_manifest(store, &step.artifact)?.is_some() {
        // Another run held the folder until just now, and sealed it.
        workdir.remove()?;
        return Ok((StageStats::default(), true));
    }
    let shards = ShardStore::new(store, &step.artifact);
    if options.unfinished == Unfinished::Restart {
        workdir.clear()?;
        shards.clear()?;
    }
    let base = open_base(&step.stage.id, plan.published.get(&step.stage.id), store, monitor);
    let context = StageContext {
        stage: &step.stage.id,
        out: workdir.out(),
        scratch: workdir.scratch(),
        inputs: &inputs,
        base: base.as_ref(),
        sources: &Sources::of(store),
        device,
        monitor,
    };
    let stage = step.stage.build();
    let stats = run_shards(stage.as_ref(), &context, &shards);
    keep_telemetry(store, &options.run_id, &context)?;
    let StageOutput { stats, shared, digested } = stats?;
    let needs = step.needs.iter().map(|(id, fingerprint)| (id.clone(), vec![fingerprint.clone()]));
    let json = serde_json::to_value(&stats).map_err(|error| StageError::internal(error.to_string()))?;
    let description = Description {
        stage: step.stage.id.clone(),
        code: step.stage.code_version(),
        spec: step.settings.clone(),
        inputs: needs.collect(),
        stats: json,
        shared,
        digested,
    };
    let title = format!("{}: upload", step.stage.id);
    let bytes = folder_bytes(workdir.out());
    watch(store, monitor, &title, bytes, Traffic::sent, || seal(store, workdir.out(), &step.artifact, description))?;
    workdir.remove()?;
    if stage.divides()
        && let Err(error) = shards.clear()
    {
        // The result is sealed; what its shards left costs space until `gc` removes it.
        monitor.warn(&format!("{}: its shards are still in the store: {error}", step.stage.id));
    }
    Ok((stats, false))
}

/// The stage's result in the newest release. Without it everything is made anew, which is right too.
pub(super) fn open_base(
    stage: &str,
    published: Option<&ArtifactKey>,
    store: &Store,
    monitor: &dyn Monitor,
) -> Option<Sealed> {
    let opened = open_artifact(store, published?);
    opened.inspect_err(|error| monitor.warn(&format!("{stage}: nothing is taken over: {error}"))).ok()
}

/// The sealed artifacts that a step reads, by stage.
pub fn open_inputs(step: &Step, plan: &Plan, store: &Store) -> Result<BTreeMap<String, Input>, StageError> {
    let mut inputs = BTreeMap::new();
    for id in &step.inputs {
        let missing = || StageError::internal(format!("input `{id}` is not part of the plan"));
        let key = plan.step(id).ok_or_else(missing)?.artifact.clone();
        inputs.insert(id.clone(), Input { sealed: open_artifact(store, &key)?, key });
    }
    if let Some(against) = &step.stage.against
        && read_manifest(store, &against.scores)?.is_some()
    {
        let sealed = open_artifact(store, &against.scores)?;
        inputs.insert(PUBLISHED_SCORES.to_owned(), Input { key: against.scores.clone(), sealed });
    }
    Ok(inputs)
}

/// `runs/<run-id>/<stage>/…`: what a stage measured on the way, whether it ended well or not.
fn keep_telemetry(store: &Store, run_id: &str, context: &StageContext<'_>) -> Result<(), StoreError> {
    let folder = context.scratch.join(TELEMETRY_FOLDER);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(StoreError::io(&folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).map_err(StoreError::io(&path))?;
        store.replace(&format!("runs/{run_id}/{}/{name}", context.stage), &bytes)?;
    }
    std::fs::remove_dir_all(&folder).map_err(StoreError::io(&folder))
}
