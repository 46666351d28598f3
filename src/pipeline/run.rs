//! Carries out a plan: sealed results are reused, the others made, sealed, and published together at the end.
use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::error::PipelineError;
use super::plan::{Plan, State, Step};
use crate::data::{ArtifactKey, Release};
use crate::model::ComputeDevice;
use crate::stage::{Input, Monitor, StageContext, StageError, StageStats, TELEMETRY_FOLDER, run_shards};
use crate::store::{Description, Sealed, Store, StoreError, Workdir, open_artifact, publish, read_manifest, seal};

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub run_id: String,
    /// False when the plan was cut down: a part of a pipeline is never published.
    pub publish: bool,
    pub unfinished: Unfinished,
}

/// What becomes of the stages that an earlier run left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    Resume,
    Restart,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    pub steps: Vec<StepOutcome>,
    pub release: Option<Release>,
    /// Whether the release is new.
    pub published: bool,
}

/// What became of one stage.
#[derive(Debug, Clone, Serialize)]
pub struct StepOutcome {
    pub stage: String,
    pub artifact: ArtifactKey,
    pub reused: bool,
    pub seconds: f64,
    pub rows_in: u64,
    pub rows_out: u64,
    pub rows_quarantined: u64,
    pub rows_left_out: u64,
}

/// Runs every step and publishes the result.
pub fn run(
    plan: &Plan,
    store: &Store,
    device: &ComputeDevice,
    monitor: &dyn Monitor,
    options: &RunOptions,
) -> Result<RunOutcome, PipelineError> {
    let mut steps = Vec::new();
    let mut failure = None;
    for step in &plan.steps {
        let started = Instant::now();
        match run_step(step, plan, store, device, monitor, options) {
            Ok((stats, reused)) => steps.push(StepOutcome {
                stage: step.stage.id.clone(),
                artifact: step.artifact.clone(),
                reused,
                seconds: started.elapsed().as_secs_f64(),
                rows_in: stats.rows_in,
                rows_out: stats.rows_out,
                rows_quarantined: stats.rows_quarantined,
                rows_left_out: stats.rows_left_out,
            }),
            Err(source) => {
                failure = Some(PipelineError::Stage { stage: step.stage.id.clone(), source });
                break;
            }
        }
    }
    let mut outcome = RunOutcome { steps, release: None, published: false };
    if failure.is_none() && options.publish {
        let artifacts: BTreeMap<String, ArtifactKey> =
            plan.steps.iter().map(|step| (step.stage.id.clone(), step.artifact.clone())).collect();
        match publish(store, &plan.name, &artifacts) {
            Ok((release, published)) => (outcome.release, outcome.published) = (Some(release), published),
            Err(error) => failure = Some(PipelineError::Other(error.into())),
        }
    }
    record(plan, store, options, &outcome, failure.as_ref()).map_err(StageError::from)?;
    failure.map_or(Ok(outcome), Err)
}

fn run_step(
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
    let inputs = open_inputs(step, plan, store)?;
    let workdir = Workdir::open(store, &step.artifact)?;
    if options.unfinished == Unfinished::Restart {
        workdir.clear()?;
    }
    let base = open_base(step, plan, store, monitor);
    let context = StageContext {
        stage: &step.stage.id,
        out: workdir.out(),
        scratch: workdir.scratch(),
        inputs: &inputs,
        base: base.as_ref(),
        digests: &store.digests(),
        device,
        monitor,
    };
    let stats = run_shards(step.stage.build().as_ref(), &context);
    keep_telemetry(store, &options.run_id, &context)?;
    let (stats, shared) = stats?;
    let needs = step.needs.iter().map(|(id, fingerprint)| (id.clone(), vec![fingerprint.clone()]));
    let json = serde_json::to_value(&stats).map_err(|error| StageError::internal(error.to_string()))?;
    let description = Description {
        stage: step.stage.id.clone(),
        code: step.stage.code_version(),
        spec: step.settings.clone(),
        inputs: needs.collect(),
        stats: json,
        shared,
    };
    seal(store, workdir.out(), &step.artifact, description)?;
    workdir.remove()?;
    Ok((stats, false))
}

/// The step's result in the newest release. Without it everything is made anew, which is right too.
fn open_base(step: &Step, plan: &Plan, store: &Store, monitor: &dyn Monitor) -> Option<Sealed> {
    let key = plan.published.get(&step.stage.id)?;
    let opened = open_artifact(store, key);
    opened.inspect_err(|error| monitor.warn(&format!("{}: nothing is taken over: {error}", step.stage.id))).ok()
}

/// The sealed artifacts that a step reads, by stage.
pub fn open_inputs(step: &Step, plan: &Plan, store: &Store) -> Result<BTreeMap<String, Input>, StageError> {
    let mut inputs = BTreeMap::new();
    for id in &step.inputs {
        let missing = || StageError::internal(format!("input `{id}` is not part of the plan"));
        let key = plan.step(id).ok_or_else(missing)?.artifact.clone();
        inputs.insert(id.clone(), Input { sealed: open_artifact(store, &key)?, key });
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

/// `runs/<run-id>.json`: what this run did and how it ended.
fn record(
    plan: &Plan,
    store: &Store,
    options: &RunOptions,
    outcome: &RunOutcome,
    failure: Option<&PipelineError>,
) -> Result<(), StoreError> {
    let key = format!("runs/{}.json", options.run_id);
    let record = json!({
        "kind": "Run",
        "version": 1,
        "run_id": options.run_id,
        "pipeline": plan.name,
        "program": concat!("tuwen ", env!("CARGO_PKG_VERSION")),
        "steps": outcome.steps,
        "release": outcome.release.as_ref().map(|release| release.number),
        "published": outcome.published,
        "exit_code": failure.map_or(0, |error| error.class().exit_code()),
        "error": failure.map(ToString::to_string),
    });
    store.replace(&key, record.to_string().as_bytes())
}
