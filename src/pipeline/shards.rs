//! Shards of one stage, made apart from the run that will join them: by many processes, on one machine or several.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::PipelineError;
use super::resolve::Resolved;
use super::shard_plan::ShardPlan;
use super::step::open_base;
use super::transfer::{folder_bytes, watch};
use crate::model::ComputeDevice;
use crate::stage::{Input, Monitor, Shard, Stage, StageContext, StageError, make_shard};
use crate::store::{Attempt, Sealed, ShardStore, Sources, Store, Traffic, read_manifest};

/// Time between two looks at a shard that another process is making.
const LOOK: Duration = Duration::from_millis(200);

/// What works on the shards of a stage.
pub struct ShardJob<'a> {
    store: &'a Store,
    stage: &'a Resolved,
    plan: &'a ShardPlan,
    device: &'a ComputeDevice,
    monitor: &'a dyn Monitor,
    /// An empty one: that of the cache stays free for whoever plans beside this.
    sources: Sources,
}

/// A shard as a list gives it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedShard {
    pub index: usize,
    pub shard: Shard,
    pub finished: bool,
}

/// Which shards a worker makes: the one at `index`, or of `of` workers every shard whose number leaves `index`.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    pub index: usize,
    pub of: Option<usize>,
}

/// What became of a shard.
#[derive(Debug, Clone, Serialize)]
pub struct ShardOutcome {
    pub index: usize,
    pub shard: Shard,
    pub end: ShardEnd,
    pub seconds: f64,
    pub rows_in: u64,
    pub rows_out: u64,
}

/// Who finished a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardEnd {
    /// This worker.
    Made,
    /// Another one, before.
    Found,
    /// Nobody need any more: the whole stage is done.
    Sealed,
}

/// All shards of a stage. Its inputs must be sealed. Leaves the plan in the store for workers that do not see the sources.
pub fn list_shards(job: &ShardJob<'_>) -> Result<Vec<ListedShard>, PipelineError> {
    let shards = ShardStore::new(job.store, &job.plan.artifact);
    job.plan.require_inputs(job.store)?;
    let sealed = job.is_sealed()?;
    let stage = job.stage.build();
    let inputs = if stage.divides() { job.open_inputs()? } else { BTreeMap::new() };
    let names = stage.shards(&job.context(&inputs, None, Path::new(""), Path::new("")))?;
    if stage.divides() && !sealed {
        shards.write_plan(job.plan).map_err(StageError::from)?;
    }
    let finished = shards.finished().map_err(StageError::from)?;
    let listed = |(index, shard): (usize, Shard)| {
        let finished = sealed || finished.contains(&shard.0);
        ListedShard { index, shard, finished }
    };
    Ok(names.into_iter().enumerate().map(listed).collect())
}

/// An error for a stage that is made in one piece. Reads nothing.
pub fn require_shards(stage: &Resolved) -> Result<(), PipelineError> {
    if stage.build().divides() {
        return Ok(());
    }
    Err(PipelineError::Undivided { stage: stage.id.clone(), kind: stage.spec.kind().as_str() })
}

/// Makes a worker's shards, but for those that are there. Each counts by itself: after an error the same call goes on. Of a
/// stage that is done there is nothing to make.
pub fn run_portion(job: &ShardJob<'_>, portion: Portion) -> Result<Vec<ShardOutcome>, PipelineError> {
    require_shards(job.stage)?;
    let stage = job.stage.build();
    if job.is_sealed()? {
        return Ok(Vec::new());
    }
    job.plan.require_inputs(job.store)?;
    let inputs = job.open_inputs()?;
    let names = stage.shards(&job.context(&inputs, None, Path::new(""), Path::new("")))?;
    let chosen = portion.choose(&job.stage.id, names.len())?;
    let failed = |source| PipelineError::Stage { stage: job.stage.id.clone(), source };
    let finished = ShardStore::new(job.store, &job.plan.artifact).finished().map_err(StageError::from)?;
    let base = open_base(&job.stage.id, job.plan.base.as_ref(), job.store, job.monitor);
    let mut outcomes = Vec::with_capacity(chosen.len());
    for (index, shard) in names.into_iter().enumerate().filter(|(index, _)| chosen.contains(index)) {
        let outcome = if finished.contains(&shard.0) {
            ShardOutcome { index, shard, end: ShardEnd::Found, seconds: 0.0, rows_in: 0, rows_out: 0 }
        } else {
            job.make(stage.as_ref(), &inputs, base.as_ref(), index, &shard).map_err(failed)?
        };
        job.tell(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

impl Portion {
    fn choose(self, stage: &str, count: usize) -> Result<Vec<usize>, PipelineError> {
        let limit = self.of.unwrap_or(count);
        if self.index >= limit {
            let wanted = format!("index {}{}", self.index, self.of.map_or(String::new(), |of| format!(" of {of}")));
            return Err(PipelineError::NoSuchShard { stage: stage.to_owned(), wanted, count, limit });
        }
        Ok((self.index..count).step_by(limit.max(1)).collect())
    }
}

impl<'a> ShardJob<'a> {
    pub fn new(
        store: &'a Store,
        stage: &'a Resolved,
        plan: &'a ShardPlan,
        device: &'a ComputeDevice,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self { store, stage, plan, device, monitor, sources: Sources::forgetful(store) }
    }

    /// Whether the whole stage is done.
    pub fn is_sealed(&self) -> Result<bool, StageError> {
        Ok(read_manifest(self.store, &self.plan.artifact)?.is_some())
    }

    fn make(
        &self,
        stage: &dyn Stage,
        inputs: &BTreeMap<String, Input>,
        base: Option<&Sealed>,
        index: usize,
        shard: &Shard,
    ) -> Result<ShardOutcome, StageError> {
        let started = Instant::now();
        let shards = ShardStore::new(self.store, &self.plan.artifact);
        let attempt = self.attempt(shard)?;
        let end_as = |end, rows_in, rows_out| {
            let seconds = started.elapsed().as_secs_f64();
            ShardOutcome { index, shard: shard.clone(), end, seconds, rows_in, rows_out }
        };
        // Whoever had the lock before may have finished.
        let end = match (self.is_sealed()?, shards.read(&shard.0)?) {
            (true, _) => Some(ShardEnd::Sealed),
            (false, found) => found.map(|_| ShardEnd::Found),
        };
        if let Some(end) = end {
            attempt.remove()?;
            return Ok(end_as(end, 0, 0));
        }
        let context = self.context(inputs, base, attempt.out(), attempt.scratch());
        let made = make_shard(stage, &context, shard).and_then(|receipt| {
            let title = format!("{}: upload", self.stage.id);
            let json = serde_json::to_value(&receipt).map_err(|error| StageError::internal(error.to_string()))?;
            let publish = || shards.publish(&shard.0, attempt.out(), &receipt.files, json);
            watch(self.store, self.monitor, &title, folder_bytes(attempt.out()), Traffic::sent, publish)?;
            Ok(receipt)
        });
        let outcome = match made {
            Ok(receipt) => end_as(ShardEnd::Made, receipt.rows_in, receipt.rows_out),
            // The run that sealed the stage meanwhile took this folder away.
            Err(_) if self.is_sealed()? => end_as(ShardEnd::Sealed, 0, 0),
            Err(error) => return Err(error),
        };
        attempt.remove()?;
        Ok(outcome)
    }

    /// A folder for this try, once no other process on this machine is at work on the same shard.
    fn attempt(&self, shard: &Shard) -> Result<Attempt, StageError> {
        let mut told = false;
        loop {
            self.monitor.check_stop()?;
            if let Some(attempt) = Attempt::open(self.store, &self.plan.artifact, &shard.0)? {
                return Ok(attempt);
            }
            if !told {
                self.monitor.note(&format!("{}: another process makes shard `{}`; waiting", self.stage.id, shard.0));
                told = true;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn context<'b>(
        &'b self,
        inputs: &'b BTreeMap<String, Input>,
        base: Option<&'b Sealed>,
        out: &'b Path,
        scratch: &'b Path,
    ) -> StageContext<'b> {
        StageContext {
            stage: &self.stage.id,
            out,
            scratch,
            inputs,
            base,
            sources: &self.sources,
            device: self.device,
            monitor: self.monitor,
        }
    }

    fn open_inputs(&self) -> Result<BTreeMap<String, Input>, StageError> {
        let title = format!("{}: download", self.stage.id);
        watch(self.store, self.monitor, &title, None, Traffic::received, || self.plan.open_inputs(self.store))
    }

    fn tell(&self, outcome: &ShardOutcome) {
        let how = match outcome.end {
            ShardEnd::Made => format!("{} rows, {:.1} s", outcome.rows_out, outcome.seconds),
            ShardEnd::Found => "was there".to_owned(),
            ShardEnd::Sealed => "the stage is done".to_owned(),
        };
        self.monitor.note(&format!("{}: shard {} `{}`: {how}", self.stage.id, outcome.index, outcome.shard.0));
    }
}
