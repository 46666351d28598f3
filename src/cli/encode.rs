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
use crate::data::ErrorClass;
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
pub enum PrecisionName {
    Fp32,
    Bf16,
    Fp16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Fp32 => Self::Fp32,
            PrecisionName::Bf16 => Self::Bf16,
            PrecisionName::Fp16 => Self::Fp16,
        }
    }
}

pub fn run(args: &EncodeArgs, console: &Console) -> Result<Output, Failure> {
    watch_signals(console)?;
    check_sources(args)?;
    let model = args.architecture.open(&args.model)?;
    if args.texts.is_some() {
        model.check_tokenizer()?;
    }
    let precision = Precision::from(args.precision);
    let device = args.device.open()?;
    match precision {
        Precision::Fp16 if device.name() == "cpu" => console.warn("fp16 computes in 32 bits on a CPU"),
        Precision::Bf16 if device.name() == "cpu" && !has_fast_bf16() => {
            console.warn("this processor has no products of bf16: fp32 takes less time here");
        }
        _ => {}
    }
    if device.each().len() > 1 {
        console.warn(&format!("encoding uses {} alone", device.name()));
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

/// Both sources are looked at before the first is worked on.
fn check_sources(args: &EncodeArgs) -> Result<(), Failure> {
    for (path, may_be_folder) in
        args.images.iter().map(|path| (path, true)).chain(args.texts.iter().map(|path| (path, false)))
    {
        let Ok(metadata) = std::fs::metadata(path) else {
            return Err(Failure::new(ErrorClass::NotFound, format!("{}: not found", path.display())));
        };
        if metadata.is_dir() && !may_be_folder {
            let message = format!("{}: is a folder; --texts takes a JSONL file", path.display());
            return Err(Failure::new(ErrorClass::Usage, message));
        }
    }
    if args.output.exists() && !args.output.is_dir() {
        let message = format!("{}: is no folder; choose another --output", args.output.display());
        return Err(Failure::new(ErrorClass::Usage, message));
    }
    Ok(())
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
    if stats.repeated_ids > 0 {
        console.warn(&format!("{} rows have an id that an earlier row had", stats.repeated_ids));
    }
    if stats.truncated + stats.unknown_tokens > 0 {
        let (cut, unknown) = (stats.truncated, stats.unknown_tokens);
        console.note(&format!("{cut} texts were cut to the context length, {unknown} tokens are [UNK]"));
    }
    Ok(json!({
        "path": stats.path, "unit": unit, "rows": stats.rows, "quarantined": stats.quarantined,
        "repeated_ids": stats.repeated_ids,
        "truncated": stats.truncated, "unknown_tokens": stats.unknown_tokens, "per_second": per_second,
    }))
}
