//! `tuwen classify`: zero-shot classification of a folder of class folders, as the reference does it.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::console::Console;
use super::setup::DeviceArgs;
use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::embed::{encode_images, encode_texts};
use crate::evaluate::zero_shot::{
    Classifier, Templates, ZeroShotError, class_folders, read_labels, softmax_rows, zero_shot_score,
};
use crate::ingest::{IngestError, decode};
use crate::model::{Checkpoint, Encoder, Precision};
use crate::stage::{Monitor, StageError};
use crate::store::write_whole;

/// Images that are encoded together.
const BATCH: usize = 32;

#[derive(Debug, Args)]
pub struct ClassifyArgs {
    /// A checkpoint, as `tuwen model import` writes it.
    #[arg(long)]
    model: PathBuf,
    /// A folder with one folder of images per class; sorted by name they are the lines of the labels.
    #[arg(long)]
    images: PathBuf,
    /// Names of the classes, one a line.
    #[arg(long)]
    labels: PathBuf,
    /// Name of a set of templates, of a data set of the reference, or a file with one a line and `{}` for the class.
    #[arg(long, default_value = "openai")]
    templates: String,
    /// Write every image's probabilities as CSV.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &ClassifyArgs, console: &Console) -> Result<Output, Failure> {
    let bad = |error: ZeroShotError| Failure::new(ErrorClass::BadInput, error.to_string());
    let labels = read_labels(&args.labels)?;
    let folders = class_folders(&args.images)?;
    if folders.len() != labels.len() {
        let message = format!(
            "{} has {} folders and {} has {} names; there must be one name for each folder, in their order",
            args.images.display(),
            folders.len(),
            args.labels.display(),
            labels.len()
        );
        return Err(Failure::new(ErrorClass::BadInput, message));
    }
    let path = Path::new(&args.templates);
    let templates = match Templates::named(&args.templates).or_else(|_| Templates::of_dataset(&args.templates)) {
        Err(_) if path.is_file() => Templates::read(path),
        found => found,
    };
    let templates = templates.map_err(bad)?;
    let Checkpoint { config, state } = Checkpoint::open(&args.model)?;
    let encoder = Encoder::new(&config, state, &args.device.open()?, Precision::Fp32)?;
    let progress = console.begin("classes", Some(labels.len() as u64), "classes");
    let classifier = Classifier::new(&labels, &templates, |prompts| {
        console.check_stop().map_err(Step::Stage)?;
        progress.advance(1);
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        encode_texts(&encoder, &prompts).map_err(Step::Stage)
    });
    let classifier = classifier.map_err(Failure::from)?;
    let (names, targets) = files(&args.images, &folders)?;
    let progress = console.begin("images", Some(names.len() as u64), "images");
    let mut logits = Vec::new();
    for batch in names.chunks(BATCH) {
        console.check_stop()?;
        let mut pictures = Vec::with_capacity(batch.len());
        for path in batch {
            let bytes = std::fs::read(path).map_err(IngestError::io(path))?;
            let (picture, _) = decode(&bytes)
                .map_err(|error| Failure::new(ErrorClass::BadInput, format!("{}: {error}", path.display())))?;
            pictures.push(picture);
        }
        logits.extend(classifier.logits(&encode_images(&encoder, &pictures)?).map_err(bad)?);
        progress.advance(batch.len() as u64);
    }
    if let Some(path) = &args.output {
        write_whole(path, table(&names, &labels, &softmax_rows(&logits, labels.len())).as_bytes())?;
    }
    let score = zero_shot_score(&logits, &targets, labels.len()).map_err(bad)?;
    let text = format!(
        "{} images, {} classes, {} prompts a class: top-1 {:.2} %, top-5 {:.2} %",
        names.len(),
        labels.len(),
        templates.prompts("").len(),
        100.0 * score.top1,
        100.0 * score.top5
    );
    Ok(Output {
        text,
        json: json!({ "images": names.len(), "classes": labels.len(), "top1": score.top1, "top5": score.top5 }),
    })
}

/// What can go wrong while classes are encoded.
enum Step {
    Stage(StageError),
    ZeroShot(ZeroShotError),
}

impl From<ZeroShotError> for Step {
    fn from(error: ZeroShotError) -> Self {
        Self::ZeroShot(error)
    }
}

impl From<Step> for Failure {
    fn from(step: Step) -> Self {
        match step {
            Step::Stage(error) => error.into(),
            Step::ZeroShot(error) => Self::new(ErrorClass::BadInput, error.to_string()),
        }
    }
}

/// Images of all classes, sorted, each with the number of its class.
fn files(root: &Path, folders: &[String]) -> Result<(Vec<PathBuf>, Vec<usize>), Failure> {
    let (mut names, mut targets) = (Vec::new(), Vec::new());
    for (class, folder) in folders.iter().enumerate() {
        let folder = root.join(folder);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(IngestError::io(&folder))? {
            found.push(entry.map_err(IngestError::io(&folder))?.path());
        }
        found.sort();
        targets.extend(std::iter::repeat_n(class, found.len()));
        names.extend(found);
    }
    Ok((names, targets))
}

fn table(names: &[PathBuf], labels: &[String], probabilities: &[f32]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let heads: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
    let mut csv = format!("image,{}\n", heads.join(","));
    for (name, row) in names.iter().zip(probabilities.chunks(labels.len().max(1))) {
        let row: Vec<String> = row.iter().map(ToString::to_string).collect();
        let _ = writeln!(csv, "{},{}", quoted(&name.display().to_string()), row.join(","));
    }
    csv
}
