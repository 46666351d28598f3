//! `tuwen encode`.
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::console::Console;
use super::model::Architecture;
use super::setup::{DeviceArgs, watch_signals};
use super::{Failure, Output};
use crate::embed::{FeatureFormat, FileJob, FileStats};
use crate::model::{Encoder, Precision, has_fast_bf16};
use crate::stage::{Monitor, StageError};

#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// A `.pt`, `.bin` or `.safetensors` file, or a folder of tuwen or Hugging Face.
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    architecture: Architecture,
    /// A folder of images, or a TSV of ids and base64.
    #[arg(long, value_name = "DIR|TSV", required_unless_present = "texts")]
    images: Option<PathBuf>,
    /// A JSONL of `{"text_id", "text"}`.
    #[arg(long, value_name = "JSONL")]
    texts: Option<PathBuf>,
    /// Folder of the feature files.
    #[arg(long)]
    output: PathBuf,
    /// Layout of the feature files.
    #[arg(long, value_enum, default_value_t = Format::ChineseClip)]
    format: Format,
    /// Precision of the matrix products.
    #[arg(long, value_enum, default_value_t = PrecisionName::Fp32)]
    precision: PrecisionName,
    /// Items per call of the model; changes speed, not results.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch_size: u32,
    /// How many rows that cannot be used are set aside before the work stops.
    #[arg(long, default_value_t = 0)]
    max_quarantine: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// `*.img_feat.jsonl` and `*.txt_feat.jsonl`, as the reference writes them.
    ChineseClip,
    Parquet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionName {
    Fp32,
    Bf16,
    Fp16,
}

pub fn run(args: &EncodeArgs, console: &Console) -> Result<Output, Failure> {
    watch_signals(console)?;
    let model = args.architecture.open(&args.model)?;
    if args.texts.is_some() {
        model.check_tokenizer()?;
    }
    let precision = match args.precision {
        PrecisionName::Fp32 => Precision::Fp32,
        PrecisionName::Bf16 => Precision::Bf16,
        PrecisionName::Fp16 => Precision::Fp16,
    };
    let device = args.device.open()?;
    if device.name() == "cpu" && (precision == Precision::Fp16 || precision == Precision::Bf16 && !has_fast_bf16()) {
        console.warn("this processor has no fast products in that precision: fp32 takes less time here");
    }
    let encoder = Encoder::new(&model.config, model.state, &device, precision)?;
    let job = FileJob {
        encoder: &encoder,
        batch_size: args.batch_size as usize,
        max_quarantine: args.max_quarantine,
        format: match args.format {
            Format::ChineseClip => FeatureFormat::Jsonl,
            Format::Parquet => FeatureFormat::Parquet,
        },
        output: &args.output,
        monitor: console,
    };
    let (mut text, mut files) = (String::new(), Vec::new());
    if let Some(source) = &args.images {
        files.push(timed("images", console, &mut text, || job.images(source))?);
    }
    if let Some(source) = &args.texts {
        files.push(timed("texts", console, &mut text, || job.texts(source))?);
    }
    Ok(Output { text, json: json!({ "architecture": encoder.config().name, "files": files }) })
}

/// Runs one half and describes what came of it.
fn timed(
    unit: &str,
    console: &Console,
    text: &mut String,
    work: impl FnOnce() -> Result<FileStats, StageError>,
) -> Result<Value, Failure> {
    let started = Instant::now();
    let stats = work()?;
    let per_second = stats.rows as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let _ = writeln!(text, "{}: {} {unit}, {per_second:.1} {unit}/s", stats.path.display(), stats.rows);
    if stats.quarantined > 0 {
        let note = stats.path.with_extension("quarantine.jsonl");
        console.warn(&format!("{} rows were set aside, see {}", stats.quarantined, note.display()));
    }
    if stats.truncated + stats.unknown_tokens > 0 {
        let (cut, unknown) = (stats.truncated, stats.unknown_tokens);
        console.note(&format!("{cut} texts were cut to the context length, {unknown} tokens are [UNK]"));
    }
    Ok(json!({
        "path": stats.path, "unit": unit, "rows": stats.rows, "quarantined": stats.quarantined,
        "truncated": stats.truncated, "unknown_tokens": stats.unknown_tokens, "per_second": per_second,
    }))
}
