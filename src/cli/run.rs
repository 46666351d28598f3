//! `tuwen run FILE`.
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::console::Console;
use super::setup::{
    DeviceArgs, StoreArgs, lease_holder, new_run_id, parse_duration, read_pipeline, unix_seconds, watch_deadline,
    watch_signals,
};
use super::telemetry::{Telemetry, TelemetryArgs};
use super::{Failure, Output};
use crate::data::{ArtifactKind, ErrorClass};
use crate::evaluate::{ALL_QUERIES, Score, read_scores};
use crate::pipeline::{Raise, RunEnding, RunEvent, RunListener, RunOptions, RunOutcome, Unfinished, compile};
use crate::stage::Monitor;
use crate::store::{Lease, Store, StoreError, open_artifact};

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
    /// The day or hour that this run is for, as the scheduler names it; kept in the run's record.
    #[arg(long, env = "TUWEN_LOGICAL_DATE")]
    logical_date: Option<String>,
    /// Stop in order after this time, e.g. 3h, with exit 75; the same command goes on from there.
    #[arg(long, env = "TUWEN_DEADLINE", value_parser = parse_duration)]
    deadline: Option<Duration>,
    /// What to do while another run of the same pipeline is at work.
    #[arg(long, value_enum, default_value_t = LockMode::Fail, env = "TUWEN_LOCK")]
    lock: LockMode,
    /// Exit with this code instead of 0 when everything was there already, e.g. 99 for Airflow.
    #[arg(long, env = "TUWEN_SKIP_EXIT_CODE", value_parser = clap::value_parser!(u8).range(1..))]
    skip_exit_code: Option<u8>,
    /// Publish although the store's create-only writes are not atomic; safe if only one run ever publishes.
    #[arg(long, env = "TUWEN_ALLOW_WEAK_STORE")]
    allow_weak_store: bool,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LockMode {
    /// Wait until it ends.
    Wait,
    /// End with exit 73.
    Fail,
    /// Run beside it; of two that publish, one ends with exit 73.
    None,
}

/// Time between two looks at a lease that somebody else holds.
const LOOK: Duration = Duration::from_secs(1);

/// A run that ended well.
struct Done {
    output: Output,
    exit_code: u8,
    release: Option<u64>,
    published: bool,
}

/// Returns the exit code too, which `--skip-exit-code` can change.
pub fn run(args: &RunArgs, console: &Console) -> Result<(Output, u8), Failure> {
    let telemetry = Telemetry::new(&args.telemetry, &args.file, &args.store.store, console);
    let done = carry_out(args, console, &telemetry);
    let ending = done.as_ref().map(|done| RunEnding {
        exit_code: done.exit_code,
        failure: None,
        release: done.release,
        published: done.published,
    });
    telemetry.close(ending, console);
    done.map(|done| (done.output, done.exit_code))
}

fn carry_out(args: &RunArgs, console: &Console, telemetry: &Telemetry) -> Result<Done, Failure> {
    let started = Instant::now();
    watch_signals(console)?;
    if let Some(deadline) = args.deadline {
        watch_deadline(console, deadline);
    }
    let run_id = args.run_id.clone().map_or_else(new_run_id, Ok)?;
    check_run_id(&run_id)?;
    let (spec, folder) = read_pipeline(&args.file)?;
    let logical_date = args.logical_date.as_deref();
    telemetry.hear(&RunEvent::Began { run_id: &run_id, pipeline: &spec.name, logical_date });
    let store = args.store.open()?;
    let device = args.device.open_for(&spec)?;
    let mut plan = compile(&spec, &folder, &store)?;
    if let Some(stage) = &args.until {
        plan = plan.until(stage)?;
    }
    console.note(&format!("pipeline {} on {}, run {run_id}", plan.name, device.name()));
    let unfinished = if args.restart { Unfinished::Restart } else { Unfinished::Resume };
    let options = RunOptions {
        run_id,
        logical_date: args.logical_date.clone(),
        publish: args.until.is_none(),
        allow_weak_store: args.allow_weak_store,
        unfinished,
        clock: unix_seconds,
    };
    let lease = take_lease(args, console, &store, &plan.name, &options.run_id)?;
    if args.lock == LockMode::Wait {
        // What the other run made need not be made again, and what it published is the new base.
        plan = compile(&spec, &folder, &store)?;
        if let Some(stage) = &args.until {
            plan = plan.until(stage)?;
        }
    }
    let outcome = keeping(lease.as_ref(), || {
        crate::pipeline::run(&plan, &store, &device, console, &options, lease.as_ref(), telemetry)
    })?;
    let scores = scores(&outcome, &store)?;
    let report = report_page(&outcome, &store)?;
    let nothing_to_do = !outcome.published && outcome.steps.iter().all(|step| step.reused);
    let output = Output {
        text: text(&outcome, &scores, report.as_deref(), started.elapsed().as_secs_f64()),
        json: to_json(&options.run_id, &outcome, &scores, report.as_deref()),
    };
    Ok(Done {
        output,
        exit_code: args.skip_exit_code.filter(|_| nothing_to_do).unwrap_or(0),
        release: outcome.release.as_ref().map(|release| release.number),
        published: outcome.published,
    })
}

/// Takes the pipeline's lease as `--lock` says.
fn take_lease<'a>(
    args: &RunArgs,
    console: &Console,
    store: &'a Store,
    pipeline: &str,
    run_id: &str,
) -> Result<Option<Lease<'a>>, Failure> {
    let holder = lease_holder(run_id);
    let mut told = false;
    loop {
        match (args.lock, Lease::take(store, pipeline, &holder)) {
            (LockMode::None, _) => return Ok(None),
            (_, Ok(lease)) => return Ok(Some(lease)),
            (LockMode::Wait, Err(error @ StoreError::Held { .. })) => {
                if !told {
                    console.note(&format!("waiting: {error}"));
                }
                told = true;
                console.check_stop()?;
                std::thread::sleep(LOOK);
            }
            (_, Err(error)) => return Err(error.into()),
        }
    }
}

/// Does `work` while the lease is kept alive.
fn keeping<T>(lease: Option<&Lease<'_>>, work: impl FnOnce() -> T) -> T {
    let Some(lease) = lease else { return work() };
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| lease.keep(&end));
        let _raise = Raise(&end);
        work()
    })
}

/// A run's name becomes a key in the store.
fn check_run_id(run_id: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+:".contains(c);
    if run_id.is_empty() || run_id.starts_with('.') || run_id.len() > 200 || !run_id.chars().all(fits) {
        let message = format!("run id `{run_id}`: use letters, digits and `._-+:`, at most 200");
        return Err(Failure::new(ErrorClass::Usage, message));
    }
    Ok(())
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
