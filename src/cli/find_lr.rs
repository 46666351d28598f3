//! `tuwen find-lr FILE`.
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::console::Console;
use super::setup::{DeviceArgs, StoreArgs, find_finetune, new_run_id, read_pipeline, unix_seconds, watch_signals};
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::pipeline::{NoListener, RunOptions, compile, open_inputs};
use crate::report::render_rates;
use crate::stage::StageContext;
use crate::store::{Sources, write_whole};
use crate::train::{Finetune, RateRange, suggested_rate};

/// Lines of the table.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub struct FindLrArgs {
    /// The pipeline file.
    file: PathBuf,
    /// The fine-tuning stage [default: the first].
    #[arg(long)]
    stage: Option<String>,
    /// The lowest rate.
    #[arg(long, default_value_t = 1e-7)]
    from: f64,
    /// The highest rate.
    #[arg(long, default_value_t = 1e-1)]
    to: f64,
    /// Steps from the one to the other.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    steps: u64,
    /// The page to draw.
    #[arg(long, default_value = "learning-rate.html")]
    output: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &FindLrArgs, console: &Console) -> Result<Output, Failure> {
    watch_signals(console)?;
    if !(0.0 < args.from && args.from < args.to && args.to.is_finite()) {
        return Err(Failure::new(ErrorClass::Usage, "--from must be above 0 and below --to"));
    }
    let (spec, folder) = read_pipeline(&args.file)?;
    let (id, finetune) = find_finetune(&spec, args.stage.as_deref())?;
    let (store, device) = (args.store.open()?, args.device.open_for(&spec)?);
    let mut plan = compile(&spec, &folder, &store)?.until(id)?;
    let Some(step) = plan.steps.pop() else {
        return Err(Failure::new(ErrorClass::Internal, "the plan is empty"));
    };
    let options = RunOptions::unpublished(new_run_id()?, unix_seconds);
    crate::pipeline::run(&plan, &store, &device, console, &options, None, &NoListener)?;
    let inputs = open_inputs(&step, &plan, &store)?;
    let context = StageContext {
        stage: id,
        out: &folder,
        scratch: &folder,
        inputs: &inputs,
        base: None,
        sources: &Sources::of(&store),
        device: &device,
        monitor: console,
    };
    let range = RateRange { from: args.from, to: args.to, steps: args.steps };
    let trials = Finetune { spec: finetune.clone(), seed: spec.seed }.find_rate(&context, range)?;
    write_whole(&args.output, render_rates(id, &trials).as_bytes())?;
    let suggested = suggested_rate(&trials);
    let mut text = format!("{:>13} {:>10} {:>10}\n", "learning rate", "loss", "smoothed");
    for trial in trials.iter().step_by(trials.len().div_ceil(SHOWN).max(1)) {
        let _ = writeln!(text, "{:>13.2e} {:>10.4} {:>10.4}", trial.learning_rate, trial.loss, trial.smoothed_loss);
    }
    let peak =
        suggested.map_or("none: the loss was not finite from the start".to_owned(), |rate| format!("{rate:.1e}"));
    let _ = writeln!(text, "suggested peak for stage {id}: {peak} (a tenth of the rate with the lowest loss)");
    let _ = writeln!(text, "drawn in {}", args.output.display());
    Ok(Output { text, json: json!({ "stage": id, "suggested": suggested, "trials": trials, "output": args.output }) })
}
