//! `tuwen shard list | run FILE --stage ID`.
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::console::Console;
use super::setup::{DeviceArgs, StoreArgs, parse_duration, read_pipeline, watch_deadline, watch_signals};
use super::{Failure, Output};
use crate::data::ArtifactKey;
use crate::model::{ComputeDevice, DeviceChoice};
use crate::pipeline::{
    PipelineError, PipelineSpec, Portion, Resolved, ShardEnd, ShardJob, ShardPlan, compile, list_shards,
    require_shards, run_portion,
};
use crate::store::Store;

#[derive(Debug, Args)]
pub struct ShardArgs {
    #[command(subcommand)]
    command: ShardCommand,
}

#[derive(Debug, Subcommand)]
enum ShardCommand {
    /// Say how many shards a stage has, their names, and which are finished. Its inputs must be there.
    List(ListArgs),
    /// Make one shard, or a worker's part of them; `tuwen run` then makes what is missing and joins them.
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct StageArgs {
    /// The pipeline file.
    file: PathBuf,
    /// Id of the stage.
    #[arg(long, value_name = "ID")]
    stage: String,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    stage: StageArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    stage: StageArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Number of the shard, or with --of of the worker, from 0; a Kubernetes Indexed Job sets it.
    #[arg(long, env = "JOB_COMPLETION_INDEX")]
    index: usize,
    /// Workers that share the shards: this one makes every shard whose number leaves the index when divided by it.
    #[arg(long, value_name = "WORKERS", env = "TUWEN_SHARD_OF")]
    of: Option<usize>,
    /// The result that `shard list` named, e.g. embeddings/0123…: with it no source is read, so none need be within reach.
    #[arg(long, value_name = "KIND/FINGERPRINT", env = "TUWEN_SHARD_ARTIFACT", value_parser = parse_artifact)]
    artifact: Option<ArtifactKey>,
    /// Stop in order after this time, e.g. 3h, with exit 75; finished shards stay.
    #[arg(long, env = "TUWEN_DEADLINE", value_parser = parse_duration)]
    deadline: Option<Duration>,
}

pub fn run(args: &ShardArgs, console: &Console) -> Result<Output, Failure> {
    watch_signals(console)?;
    match &args.command {
        ShardCommand::List(args) => list(args, console),
        ShardCommand::Run(args) => make(args, console),
    }
}

fn list(args: &ListArgs, console: &Console) -> Result<Output, Failure> {
    let StageArgs { file, stage: id, store } = &args.stage;
    let (spec, folder) = read_pipeline(file)?;
    let stage = resolve(&spec, &folder, id)?;
    let store = store.open()?;
    let plan = ShardPlan::of(&compile(&spec, &folder, &store)?, id)?;
    let device = ComputeDevice::open(DeviceChoice::Cpu)?;
    let job = ShardJob::new(&store, &stage, &plan, &device, console);
    let shards = list_shards(&job)?;
    let sealed = job.is_sealed()?;
    let finished = shards.iter().filter(|shard| shard.finished).count();
    let mut text = String::new();
    for shard in &shards {
        let state = if shard.finished { "finished" } else { "missing" };
        let _ = writeln!(text, "{:>6}  {state:<8}  {}", shard.index, shard.shard.0);
    }
    let of = if sealed { ", and the stage is done" } else { "" };
    let _ = writeln!(text, "{}: {} shards, {finished} finished{of}", plan.artifact, shards.len());
    let json = json!({
        "stage": id, "artifact": plan.artifact.to_string(), "divides": stage.build().divides(), "sealed": sealed,
        "count": shards.len(), "finished": finished, "shards": shards,
    });
    Ok(Output { text, json })
}

fn make(args: &RunArgs, console: &Console) -> Result<Output, Failure> {
    if let Some(deadline) = args.deadline {
        watch_deadline(console, deadline);
    }
    let StageArgs { file, stage: id, store } = &args.stage;
    let (spec, folder) = read_pipeline(file)?;
    let stage = resolve(&spec, &folder, id)?;
    require_shards(&stage)?;
    let store = store.open()?;
    let plan = plan(args, &spec, &folder, &store, &stage)?;
    let device = args.device.open_for(&spec)?;
    let job = ShardJob::new(&store, &stage, &plan, &device, console);
    let shards = run_portion(&job, Portion { index: args.index, of: args.of })?;
    let sealed = job.is_sealed()?;
    let made = shards.iter().filter(|shard| shard.end == ShardEnd::Made).count();
    let text = if sealed {
        format!("{}: the stage is done", plan.artifact)
    } else {
        format!("{}: {made} shards made, {} were there", plan.artifact, shards.len() - made)
    };
    let json = json!({
        "stage": id, "artifact": plan.artifact.to_string(), "index": args.index, "of": args.of, "sealed": sealed,
        "made": made, "shards": shards,
    });
    Ok(Output { text, json })
}

/// The plan that `shard list` left, or one made here, which reads the sources.
fn plan(
    args: &RunArgs,
    spec: &PipelineSpec,
    folder: &Path,
    store: &Store,
    stage: &Resolved,
) -> Result<ShardPlan, PipelineError> {
    match &args.artifact {
        Some(artifact) => ShardPlan::read(store, artifact, stage),
        None => ShardPlan::of(&compile(spec, folder, store)?, &stage.id),
    }
}

/// A stage of the file by its id.
fn resolve(spec: &PipelineSpec, folder: &Path, id: &str) -> Result<Resolved, PipelineError> {
    let entry = spec.stages.iter().find(|stage| stage.id == id).ok_or_else(|| {
        let known = spec.stages.iter().map(|stage| stage.id.as_str()).collect::<Vec<_>>().join(", ");
        PipelineError::UnknownStage { id: id.to_owned(), known }
    })?;
    Ok(Resolved::new(entry, folder, spec.seed))
}

/// `embeddings/<32 hexadecimal characters>`, as `shard list` prints it.
fn parse_artifact(text: &str) -> Result<ArtifactKey, String> {
    let wrong = || format!("`{text}` is no artifact; give it as `tuwen shard list` prints it, kind/fingerprint");
    let (kind, fingerprint) = text.split_once('/').ok_or_else(wrong)?;
    if fingerprint.len() != 32 || !fingerprint.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    serde_json::from_value(json!({ "kind": kind, "fingerprint": fingerprint })).map_err(|_| wrong())
}
