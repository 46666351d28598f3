//! Carries out a plan: sealed results are reused, the others made, sealed, and published together at the end.
use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::error::PipelineError;
use super::event::{RunEvent, RunListener};
use super::gate::judge_gates;
use super::plan::{Plan, State, Step};
use super::transfer::{folder_bytes, watch};
use crate::data::{ArtifactKey, ErrorClass, Release, conceal};
use crate::model::ComputeDevice;
use crate::report::PUBLISHED_SCORES;
use crate::stage::{Input, Monitor, StageContext, StageError, StageOutput, StageStats, TELEMETRY_FOLDER, run_shards};
use crate::store::{
    Clock, ConditionalWrites, Description, Lease, Publication, Sealed, ShardStore, Sources, Store, StoreError, Traffic,
    Workdir, open_artifact, publish, read_manifest, seal,
};

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub run_id: String,
    /// The day or hour that the run is for, as its scheduler names it.
    pub logical_date: Option<String>,
    /// False when the plan was cut down: a part of a pipeline is never published.
    pub publish: bool,
    /// Publish although the store's create-only writes are not atomic.
    pub allow_weak_store: bool,
    pub unfinished: Unfinished,
    /// For the record of the run; nothing is decided by it.
    pub clock: Clock,
}

impl RunOptions {
    /// Carries unfinished stages on and publishes nothing.
    pub fn unpublished(run_id: String, clock: Clock) -> Self {
        let unfinished = Unfinished::Resume;
        Self { run_id, logical_date: None, publish: false, allow_weak_store: false, unfinished, clock }
    }
}

/// What becomes of the stages that an earlier run left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    Resume,
    Restart,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
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

impl StepOutcome {
    fn planned(step: &Step) -> Self {
        Self::new(step, &StageStats::default(), step.state == State::Reuse, 0.0)
    }

    fn new(step: &Step, stats: &StageStats, reused: bool, seconds: f64) -> Self {
        Self {
            stage: step.stage.id.clone(),
            artifact: step.artifact.clone(),
            reused,
            seconds,
            rows_in: stats.rows_in,
            rows_out: stats.rows_out,
            rows_quarantined: stats.rows_quarantined,
            rows_left_out: stats.rows_left_out,
        }
    }
}

/// Runs every step and publishes the result. The lease, if there is one, has to be held still when it is published. The
/// listener hears of the plan and its stages; what comes before and after is the caller's to tell.
pub fn run(
    plan: &Plan,
    store: &Store,
    device: &ComputeDevice,
    monitor: &dyn Monitor,
    options: &RunOptions,
    lease: Option<&Lease<'_>>,
    listener: &dyn RunListener,
) -> Result<RunOutcome, PipelineError> {
    let started = (options.clock)();
    let begun = RunOutcome { steps: plan.steps.iter().map(StepOutcome::planned).collect(), ..RunOutcome::default() };
    record(plan, store, options, started, &begun, Ending::Running).map_err(StageError::from)?;
    listener.hear(&RunEvent::Planned { plan });
    let mut steps = Vec::new();
    let mut failure = None;
    for step in &plan.steps {
        let started = Instant::now();
        listener.hear(&RunEvent::StageBegan { plan, step });
        let ran = run_step(step, plan, store, device, monitor, options);
        let seconds = started.elapsed().as_secs_f64();
        let ran = ran.map(|(stats, reused)| StepOutcome::new(step, &stats, reused, seconds));
        listener.hear(&RunEvent::StageEnded { plan, step, seconds, ending: ran.as_ref() });
        match ran {
            Ok(outcome) => steps.push(outcome),
            Err(source) => {
                failure = Some(PipelineError::Stage { stage: step.stage.id.clone(), source });
                break;
            }
        }
    }
    let mut outcome = RunOutcome { steps, release: None, published: false };
    if failure.is_none() && options.publish {
        match publish_outcome(plan, store, options, lease) {
            Ok((release, published)) => (outcome.release, outcome.published) = (Some(release), published),
            Err(error) => failure = Some(PipelineError::Other(error)),
        }
    }
    let ending = failure.as_ref().map_or(Ending::Done, Ending::Failed);
    let recorded = record(plan, store, options, started, &outcome, ending);
    match failure {
        // What went wrong first is what has to be told.
        Some(failure) => Err(failure),
        None => recorded.map(|()| outcome).map_err(|error| StageError::from(error).into()),
    }
}

/// Publishes what a plan made, once everything that could forbid it was asked.
pub fn publish_outcome(
    plan: &Plan,
    store: &Store,
    options: &RunOptions,
    lease: Option<&Lease<'_>>,
) -> Result<(Release, bool), StageError> {
    let artifacts: BTreeMap<String, ArtifactKey> =
        plan.steps.iter().map(|step| (step.stage.id.clone(), step.artifact.clone())).collect();
    for key in artifacts.values() {
        if read_manifest(store, key)?.is_none() {
            let message = format!("artifact {key} was removed while the run went on; give the same command again");
            return Err(StageError::new(ErrorClass::Temporary, message));
        }
    }
    // What is published already is not judged against itself.
    let is_new = artifacts != plan.published;
    if is_new && !options.allow_weak_store {
        ConditionalWrites::require(store)?;
    }
    let gate = if is_new { judge_gates(plan, store)? } else { None };
    if let Some(lease) = lease
        && !lease.is_ours()?
    {
        return Err(StoreError::Fenced { pipeline: plan.name.clone() }.into());
    }
    let run_id = Some(options.run_id.clone());
    let publication =
        Publication { pipeline: &plan.name, artifacts, base: plan.base, run_id, gate, ..Publication::default() };
    Ok(publish(store, publication)?)
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

/// How a run stands.
#[derive(Clone, Copy)]
enum Ending<'a> {
    Running,
    Done,
    Failed(&'a PipelineError),
}

/// `runs/<run-id>.json`: what this run does and how it ended. It is there from the start, so that nobody collects what the
/// run is about to use.
fn record(
    plan: &Plan,
    store: &Store,
    options: &RunOptions,
    started: u64,
    outcome: &RunOutcome,
    ending: Ending<'_>,
) -> Result<(), StoreError> {
    let key = format!("runs/{}.json", options.run_id);
    let (state, failure) = match ending {
        Ending::Running => ("running", None),
        Ending::Done => ("done", None),
        Ending::Failed(error) => ("failed", Some(error)),
    };
    let traffic = store.traffic();
    let moved =
        json!({ "requests": traffic.requests(), "bytes_sent": traffic.sent(), "bytes_received": traffic.received() });
    let ended = (state != "running").then(|| (options.clock)());
    let record = json!({
        "kind": "Run",
        "version": 2,
        "run_id": options.run_id,
        "pipeline": plan.name,
        "program": concat!("tuwen ", env!("CARGO_PKG_VERSION")),
        "logical_date": options.logical_date,
        "state": state,
        "started": started,
        "ended": ended,
        "steps": outcome.steps,
        "release": outcome.release.as_ref().map(|release| release.number),
        "published": outcome.published,
        "traffic": (!store.is_local() || traffic.requests() > 0).then_some(moved),
        "exit_code": ended.map(|_| failure.map_or(0, |error| error.class().exit_code())),
        "error": failure.map(|failure| conceal(&failure.to_string()).into_owned()),
    });
    store.replace(&key, record.to_string().as_bytes())
}
