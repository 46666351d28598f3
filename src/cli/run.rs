//! `tuwen run FILE`.
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::console::Console;
use super::setup::{DeviceArgs, StoreArgs, new_run_id, read_pipeline, watch_signals};
use super::{Failure, Output};
use crate::data::ArtifactKind;
use crate::evaluate::{ALL_QUERIES, Score, read_scores};
use crate::pipeline::{RunOptions, RunOutcome, Unfinished, compile};
use crate::stage::Monitor;
use crate::store::{Store, open_artifact};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline file.
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Run this stage and what it needs, and publish nothing.
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
    /// Continue unfinished stages where an earlier run saved them; this is what a run does anyway.
    #[arg(long, conflicts_with = "restart")]
    resume: bool,
    /// Begin unfinished stages anew instead of where an earlier run saved them.
    #[arg(long)]
    restart: bool,
    /// Name of the run's record [default: time and a nonce].
    #[arg(long, env = "TUWEN_RUN_ID")]
    run_id: Option<String>,
}

pub fn run(args: &RunArgs, console: &Console) -> Result<Output, Failure> {
    let started = Instant::now();
    watch_signals(console)?;
    let (spec, folder) = read_pipeline(&args.file)?;
    let store = args.store.open()?;
    let device = args.device.open_for(&spec)?;
    let mut plan = compile(&spec, &folder, &store)?;
    if let Some(stage) = &args.until {
        plan = plan.until(stage)?;
    }
    let run_id = args.run_id.clone().map_or_else(new_run_id, Ok)?;
    console.note(&format!("pipeline {} on {}, run {run_id}", plan.name, device.name()));
    let unfinished = if args.restart { Unfinished::Restart } else { Unfinished::Resume };
    let options = RunOptions { run_id, publish: args.until.is_none(), unfinished };
    let outcome = crate::pipeline::run(&plan, &store, &device, console, &options)?;
    let scores = scores(&outcome, &store)?;
    let report = report_page(&outcome, &store)?;
    Ok(Output {
        text: text(&outcome, &scores, report.as_deref(), started.elapsed().as_secs_f64()),
        json: to_json(&options.run_id, &outcome, &scores, report.as_deref()),
    })
}

fn scores(outcome: &RunOutcome, store: &Store) -> Result<Vec<Score>, Failure> {
    let Some(step) = outcome.steps.iter().find(|step| step.artifact.kind == ArtifactKind::Scores) else {
        return Ok(Vec::new());
    };
    Ok(read_scores(&open_artifact(store, &step.artifact)?.folder)?)
}

fn report_page(outcome: &RunOutcome, store: &Store) -> Result<Option<String>, Failure> {
    let Some(step) = outcome.steps.iter().find(|step| step.artifact.kind == ArtifactKind::Report) else {
        return Ok(None);
    };
    Ok(Some(open_artifact(store, &step.artifact)?.path("report.html").display().to_string()))
}

fn text(outcome: &RunOutcome, scores: &[Score], report: Option<&str>, seconds: f64) -> String {
    let mut text = String::new();
    for step in &outcome.steps {
        let how = if step.reused { "reused".to_owned() } else { format!("{:.1} s", step.seconds) };
        let _ = writeln!(text, "{:<20} {how:>9}  {}", step.stage, step.artifact);
    }
    if !scores.is_empty() {
        let _ = writeln!(text, "\nmean recall, % (text → image / image → text)");
        text.push_str(&matrix(scores));
        text.push('\n');
    }
    if let Some(report) = report {
        let _ = writeln!(text, "report: {report}");
    }
    if let Some(release) = &outcome.release {
        let state = if outcome.published { "published" } else { "unchanged" };
        let _ = writeln!(text, "release {} of {} {state}, {seconds:.1} s in all", release.number, release.pipeline);
    }
    text
}

/// Checkpoints by data sets.
fn matrix(scores: &[Score]) -> String {
    let mean: Vec<&Score> = scores.iter().filter(|s| s.metric == "mean_recall" && s.subset == ALL_QUERIES).collect();
    let mut datasets: Vec<&str> = Vec::new();
    let mut models: Vec<&str> = Vec::new();
    for score in &mean {
        if !datasets.contains(&score.dataset.as_str()) {
            datasets.push(&score.dataset);
        }
        if !models.contains(&score.model.as_str()) {
            models.push(&score.model);
        }
    }
    let mut text = format!("{:<20}", "");
    for dataset in &datasets {
        let _ = write!(text, "{dataset:>16}");
    }
    text.push('\n');
    for model in models {
        let _ = write!(text, "{model:<20}");
        for dataset in &datasets {
            let value = |direction: &str| {
                mean.iter().find(|s| s.model == model && s.dataset == *dataset && s.direction == direction)
            };
            let both = (value("text_to_image"), value("image_to_text"));
            let cell = match both {
                (Some(there), Some(back)) => format!("{:.1} / {:.1}", 100.0 * there.value, 100.0 * back.value),
                _ => "–".to_owned(),
            };
            let _ = write!(text, "{cell:>16}");
        }
        text.push('\n');
    }
    text
}

fn to_json(run_id: &str, outcome: &RunOutcome, scores: &[Score], report: Option<&str>) -> Value {
    json!({
        "run_id": run_id,
        "release": outcome.release.as_ref().map(|release| release.number),
        "published": outcome.published,
        "steps": outcome.steps,
        "scores": scores,
        "report": report,
    })
}
