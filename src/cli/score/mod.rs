//! `tuwen score`.
mod answers;
mod features;
mod table;
mod truth;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Failure, Output};
use crate::data::ErrorClass;
use crate::evaluate::files::{
    FileError, ReferenceScore, outcomes, parse_predictions, read_qrels, read_run, reference_score,
};
use crate::evaluate::{Direction, Metric, Outcome};
use crate::store::write_whole;
use features::score_features;
use table::{per_query_csv, score_object, score_table};
use truth::Truth;

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// What the files are.
    #[arg(long, value_enum)]
    format: Format,
    /// Ground truth: `{split}_texts.jsonl`; for image-to-text alone a `.tr.jsonl` too.
    #[arg(long, value_name = "JSONL", required_if_eq_any([("format", "chinese-clip"), ("format", "features")]))]
    truth: Option<PathBuf>,
    /// Ranked lists as `make_topk_predictions.py` writes them, or a submission to MUGE.
    #[arg(long, value_name = "JSONL", required_if_eq("format", "chinese-clip"))]
    predictions: Option<PathBuf>,
    /// Judgements of TREC.
    #[arg(long, value_name = "FILE", required_if_eq("format", "trec"))]
    qrels: Option<PathBuf>,
    /// Ranked lists of TREC.
    #[arg(long, value_name = "FILE", required_if_eq("format", "trec"))]
    run: Option<PathBuf>,
    /// Features of the images, as `tuwen encode` writes them.
    #[arg(long, value_name = "JSONL", required_if_eq("format", "features"))]
    image_features: Option<PathBuf>,
    /// Features of the texts.
    #[arg(long, value_name = "JSONL", required_if_eq("format", "features"))]
    text_features: Option<PathBuf>,
    /// Which side asks.
    #[arg(long, value_enum, default_value_t = DirectionName::TextToImage)]
    direction: DirectionName,
    /// Documents kept of every query, for --format features.
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    k: u32,
    /// Write the ranked lists of --format features.
    #[arg(long, value_name = "JSONL")]
    predictions_out: Option<PathBuf>,
    /// Write the score JSON of the reference; what it refuses is an error.
    #[arg(long, value_name = "JSON")]
    output: Option<PathBuf>,
    /// Metrics to print, divided by commas.
    #[arg(long, value_delimiter = ',', default_value = "hit@1,hit@5,hit@10,mean_recall")]
    metrics: Vec<Metric>,
    /// Write the metrics of every query.
    #[arg(long, value_name = "CSV")]
    per_query: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Predictions and truth of the reference.
    ChineseClip,
    /// A run and qrels.
    Trec,
    /// Features of both sides, ranked by exact search.
    Features,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DirectionName {
    TextToImage,
    ImageToText,
    /// For --format features: files are read once, and results of image to text have `.tr` before their extension.
    Both,
}

impl DirectionName {
    /// `None` for both.
    fn one(self) -> Option<Direction> {
        match self {
            Self::TextToImage => Some(Direction::TextToImage),
            Self::ImageToText => Some(Direction::ImageToText),
            Self::Both => None,
        }
    }
}

impl ScoreArgs {
    /// Where a result of a direction goes: of both, that of image to text has `.tr` before its extension, as the
    /// reference names its files.
    fn path_of(&self, path: &Path, direction: Direction) -> PathBuf {
        if (self.direction, direction) != (DirectionName::Both, Direction::ImageToText) {
            return path.to_owned();
        }
        let mut extension = OsString::from("tr");
        if let Some(last) = path.extension() {
            extension.push(".");
            extension.push(last);
        }
        path.with_extension(extension)
    }
}

/// What was found in one direction.
struct DirectionScore {
    direction: Direction,
    outcomes: Vec<Outcome>,
    /// Why the reference would not score it.
    refusal: Option<String>,
}

pub fn run(args: &ScoreArgs) -> Result<Output, Failure> {
    let scored = match (args.format, args.direction.one()) {
        (Format::Features, _) => score_features(args)?,
        (_, None) => {
            let message = "--direction both needs features; give one direction, and the files of each by themselves";
            return Err(Failure::new(ErrorClass::Usage, message.to_owned()));
        }
        (Format::ChineseClip, Some(direction)) => vec![score_predictions(args, direction)?],
        (Format::Trec, Some(direction)) => {
            let (qrels, run) = (read_qrels(given(args.qrels.as_ref()))?, read_run(given(args.run.as_ref()))?);
            vec![DirectionScore { direction, outcomes: outcomes(&qrels, &run), refusal: None }]
        }
    };
    for DirectionScore { direction, outcomes, .. } in &scored {
        if let Some(path) = &args.per_query {
            let csv = per_query_csv(&args.metrics, outcomes)
                .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
            write_whole(&args.path_of(path, *direction), &csv)?;
        }
    }
    refuse(args, &scored)?;
    Ok(output(&args.metrics, &scored))
}

fn output(metrics: &[Metric], scored: &[DirectionScore]) -> Output {
    let columns: Vec<(&str, &[Outcome])> =
        scored.iter().map(|scored| (scored.direction.as_str(), &scored.outcomes[..])).collect();
    let mut text = score_table(metrics, &columns);
    for DirectionScore { direction, refusal, .. } in scored {
        if let Some(refusal) = refusal {
            let this = if scored.len() > 1 { direction.as_str() } else { "this" };
            text.push_str(&format!("the reference would not score {this}: {refusal}\n"));
        }
    }
    let object = |scored: &DirectionScore| {
        let scores = score_object(metrics, &scored.outcomes);
        json!({ "queries": scored.outcomes.len(), "scores": scores, "refusal": scored.refusal })
    };
    let json = match scored {
        [one] => object(one),
        all => all.iter().map(|scored| (scored.direction.as_str().to_owned(), object(scored))).collect(),
    };
    Output { text, json }
}

/// clap saw to it that what the format needs is given.
fn given(path: Option<&PathBuf>) -> &Path {
    path.map_or(Path::new(""), PathBuf::as_path)
}

fn score_predictions(args: &ScoreArgs, direction: Direction) -> Result<DirectionScore, Failure> {
    let path = given(args.predictions.as_ref());
    let truth = Truth::read(given(args.truth.as_ref()), direction)?;
    let predictions = std::fs::read(path).map_err(FileError::io(path))?;
    let refusal = write_score(reference_score(&truth.bytes, &predictions, direction), args, direction)?;
    let rankings = parse_predictions(path, &predictions, direction)?;
    Ok(DirectionScore { direction, outcomes: outcomes(&truth.judgements, &rankings), refusal })
}

/// Writes what the reference would; returns why it would refuse.
fn write_score(score: ReferenceScore, args: &ScoreArgs, direction: Direction) -> Result<Option<String>, Failure> {
    if let Some(path) = &args.output {
        write_whole(&args.path_of(path, direction), score.json.as_bytes())?;
    }
    Ok(score.refusal)
}

/// A refusal is an error for whoever wants the reference's score.
fn refuse(args: &ScoreArgs, scored: &[DirectionScore]) -> Result<(), Failure> {
    let Some(path) = &args.output else { return Ok(()) };
    let refusal = |scored: &DirectionScore| {
        let path = args.path_of(path, scored.direction);
        scored.refusal.as_ref().map(|refusal| format!("not scored, as {} says: {refusal}", path.display()))
    };
    let refusals: Vec<String> = scored.iter().filter_map(refusal).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Failure::new(ErrorClass::BadInput, refusals.join("; "))) }
}
