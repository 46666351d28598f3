//! `tuwen device list | check | bench`.
use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::encode::PrecisionName;
use super::setup::DeviceArgs;
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::model::{ComputeDevice, has_fast_bf16};
use crate::train::{SpeedOptions, check_device, measure_device};

#[derive(Debug, Args)]
pub struct DeviceCommandArgs {
    #[command(subcommand)]
    command: DeviceCommand,
}

#[derive(Debug, Subcommand)]
enum DeviceCommand {
    /// The devices that --device may name here.
    List,
    /// Compare features and gradients of a device with those of the CPU, in every precision.
    Check {
        #[command(flatten)]
        device: DeviceArgs,
    },
    /// Time training steps and encoding of a model with random weights.
    Bench {
        #[arg(long, default_value = "ViT-B-16")]
        preset: String,
        #[arg(long, value_enum, default_value_t = PrecisionName::Fp32)]
        precision: PrecisionName,
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=65_536))]
        batch_size: u32,
        /// Calls that are timed.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        calls: u32,
        /// Parts that a batch is computed in.
        #[arg(long, default_value_t = 1)]
        accumulation: usize,
        #[arg(long)]
        gradient_checkpointing: bool,
        #[command(flatten)]
        device: DeviceArgs,
    },
}

pub fn run(args: &DeviceCommandArgs) -> Result<Output, Failure> {
    match &args.command {
        DeviceCommand::List => Ok(list()),
        DeviceCommand::Check { device } => check(&device.open()?),
        DeviceCommand::Bench { preset, precision, batch_size, calls, accumulation, gradient_checkpointing, device } => {
            let options = SpeedOptions {
                preset: preset.clone(),
                precision: (*precision).into(),
                batch_size: *batch_size as usize,
                calls: *calls as usize,
                accumulation: *accumulation,
                checkpointing: *gradient_checkpointing,
            };
            bench(&device.open()?, &options)
        }
    }
}

fn list() -> Output {
    let names = ComputeDevice::names();
    let bf16 = if has_fast_bf16() { "with" } else { "without" };
    let text = names.join("\n").replacen("cpu", &format!("cpu, {bf16} products of bf16"), 1);
    Output { text, json: json!({ "devices": names, "fast_bf16": has_fast_bf16() }) }
}

fn check(device: &ComputeDevice) -> Result<Output, Failure> {
    let checks = check_device(device)?;
    let mut text = format!("{:<10} {:<16} {:>12} {:>9}\n", "precision", "what", "difference", "limit");
    for check in &checks {
        let mark = if check.passed() { "" } else { "  WRONG" };
        let precision = format!("{:?}", check.precision).to_lowercase();
        let _ = writeln!(
            text,
            "{precision:<10} {:<16} {:>12.2e} {:>9.0e}{mark}",
            check.what, check.difference, check.limit
        );
    }
    let wrong = checks.iter().filter(|check| !check.passed()).count();
    if wrong > 0 {
        let message = format!(
            "{text}{}: {wrong} of {} comparisons with the CPU failed; use another device",
            device.name(),
            checks.len()
        );
        return Err(Failure::new(ErrorClass::Unavailable, message));
    }
    Ok(Output { text, json: json!({ "device": device.name(), "checks": checks }) })
}

fn bench(device: &ComputeDevice, options: &SpeedOptions) -> Result<Output, Failure> {
    let speed = measure_device(device, options)?;
    let text = format!(
        "{} on {}, batch {}: {:.4} s a training step ({:.1} pairs/s), {:.1} images/s, {:.1} texts/s",
        options.preset,
        device.name(),
        options.batch_size,
        speed.step_seconds,
        speed.training_pairs_per_second,
        speed.images_per_second,
        speed.texts_per_second
    );
    Ok(Output {
        text,
        json: json!({
            "device": device.name(), "preset": options.preset, "precision": options.precision,
            "batch_size": options.batch_size, "speed": speed,
        }),
    })
}
