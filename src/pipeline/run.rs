//! Carries out a plan: sealed results are reused, the others made, sealed, and published together at the end.
use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::error::PipelineError;
use super::event::{RunEvent, RunListener};
use super::gate::judge_gates;
use super::plan::{Plan, State, Step};
use super::run_record::{Ending, record};
use super::step::run_step;
use crate::data::{ArtifactKey, ErrorClass, Release};
use crate::model::ComputeDevice;
use crate::stage::{Monitor, StageError, StageStats};
use crate::store::{Clock, ConditionalWrites, Lease, Publication, Store, StoreError, publish, read_manifest};

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
