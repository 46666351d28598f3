//! `tuwen score`.
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rayon::prelude::*;
use serde_json::json;

use super::score_table::{per_query_csv, score_table};
use super::{Failure, Output};
use crate::data::{ErrorClass, ItemKind};
use crate::evaluate::files::{
    FileError, Judgements, outcomes, read_features, read_predictions, read_qrels, read_run, read_truth,
    reference_score, transposed, write_predictions, write_transposed,
};
use crate::evaluate::{Direction, Metric, Outcome, Ranking};
use crate::store::write_whole;

/// Length of the lists that the reference scores.
const REFERENCE_K: usize = 10;
/// Lists that a core makes text of at a time.
const LISTS_AT_A_TIME: usize = 512;

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// What the files are.
    #[arg(long, value_enum)]
    format: Format,
    /// Ground truth: `{split}_texts.jsonl`; for image-to-text a `.tr.jsonl` too.
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
}

impl From<DirectionName> for Direction {
    fn from(name: DirectionName) -> Self {
        match name {
            DirectionName::TextToImage => Self::TextToImage,
            DirectionName::ImageToText => Self::ImageToText,
        }
    }
}

pub fn run(args: &ScoreArgs) -> Result<Output, Failure> {
    let (outcomes, refusal) = match args.format {
        Format::ChineseClip => score_predictions(args)?,
        Format::Trec => {
            let (qrels, run) = (read_qrels(given(args.qrels.as_ref()))?, read_run(given(args.run.as_ref()))?);
            (outcomes(&qrels, &run), None)
        }
        Format::Features => score_features(args)?,
    };
    let (mut text, scores) = score_table(&args.metrics, &outcomes);
    if let Some(refusal) = &refusal {
        text.push_str(&format!("the reference would not score this: {refusal}\n"));
    }
    if let Some(path) = &args.per_query {
        let csv = per_query_csv(&args.metrics, &outcomes)
            .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
        write_whole(path, &csv)?;
    }
    Ok(Output { text, json: json!({ "queries": outcomes.len(), "scores": scores, "refusal": refusal }) })
}

/// clap saw to it that what the format needs is given.
fn given(path: Option<&PathBuf>) -> &Path {
    path.map_or(Path::new(""), PathBuf::as_path)
}

fn score_predictions(args: &ScoreArgs) -> Result<(Vec<Outcome>, Option<String>), Failure> {
    let path = given(args.predictions.as_ref());
    let truth = Truth::read(args)?;
    let predictions = std::fs::read(path).map_err(FileError::io(path))?;
    let refusal = truth.reference_score(&predictions, args)?;
    Ok((outcomes(&truth.judgements, &read_predictions(path, args.direction.into())?), refusal))
}

fn score_features(args: &ScoreArgs) -> Result<(Vec<Outcome>, Option<String>), Failure> {
    let (truth, rankings) = rayon::join(|| Truth::read(args), || rank_features(args));
    // The process ends soon and gives all memory back at once; piece by piece takes milliseconds.
    let (truth, rankings) = (ManuallyDrop::new(truth?), ManuallyDrop::new(rankings?));
    let predictions = lists(&rankings, args.direction.into(), args.k as usize)?;
    let write = || args.predictions_out.as_ref().map_or(Ok(()), |path| write_whole(path, &predictions));
    let score = || {
        if args.k as usize == REFERENCE_K {
            truth.reference_score(&predictions, args)
        } else {
            truth.reference_score(&lists(&rankings, args.direction.into(), REFERENCE_K)?, args)
        }
    };
    // A disk takes milliseconds to make a file durable: this thread waits for it, and all others work.
    let (mut found, mut refusal) = (Vec::new(), Ok(None));
    let written = rayon::in_place_scope(|scope| {
        scope.spawn(|_| refusal = score());
        scope.spawn(|_| found = outcomes(&truth.judgements, &rankings));
        write()
    });
    written?;
    Ok((found, refusal?))
}

/// The lines of a prediction file.
fn lists(rankings: &[Ranking], direction: Direction, k: usize) -> Result<Vec<u8>, Failure> {
    let part = |rankings: &[Ranking]| {
        let mut bytes = Vec::with_capacity(rankings.len() * (32 + 10 * k.min(64)));
        write_predictions(&mut bytes, direction, rankings, k).map(|()| bytes)
    };
    let parts: std::io::Result<Vec<Vec<u8>>> = rankings.par_chunks(LISTS_AT_A_TIME).map(part).collect();
    parts.map(|parts| parts.concat()).map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))
}

/// The best documents of every query.
fn rank_features(args: &ScoreArgs) -> Result<Vec<Ranking>, Failure> {
    let (query, document) = Direction::from(args.direction).kinds();
    let path = |kind| match kind {
        ItemKind::Image => given(args.image_features.as_ref()),
        ItemKind::Text => given(args.text_features.as_ref()),
    };
    // What is no file can be read once only.
    let both_are_files = [query, document].into_iter().all(|kind| path(kind).is_file());
    if both_are_files
        && let Ok(documents) = read_features(path(document), document)
        && let Some(rankings) = ManuallyDrop::new(documents).nearest_to_file(path(query), query, args.k as usize)
    {
        return Ok(rankings);
    }
    // Whatever is wrong is found in the order of images, texts and vectors.
    let (images, texts) = rayon::join(
        || read_features(path(ItemKind::Image), ItemKind::Image),
        || read_features(path(ItemKind::Text), ItemKind::Text),
    );
    let (images, texts) = (images?, texts?);
    let (queries, documents) = match query {
        ItemKind::Text => (&texts, &images),
        ItemKind::Image => (&images, &texts),
    };
    if queries.dimension != documents.dimension {
        return Err(FileError::Dimensions { queries: queries.dimension, documents: documents.dimension }.into());
    }
    Ok(queries.nearest(documents, args.k as usize)?)
}

/// What is relevant, and the file that the reference would be given.
struct Truth {
    judgements: Vec<Judgements>,
    bytes: Vec<u8>,
}

impl Truth {
    fn read(args: &ScoreArgs) -> Result<Self, Failure> {
        let path = given(args.truth.as_ref());
        let bytes = std::fs::read(path).map_err(FileError::io(path))?;
        let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
        let turned = memchr::memmem::find(first, b"\"text_ids\"").is_some();
        match Direction::from(args.direction) {
            Direction::ImageToText if !turned => {
                let judgements = transposed(&read_truth(path, Direction::TextToImage)?);
                let mut bytes = Vec::new();
                write_transposed(&mut bytes, &judgements).map_err(FileError::io(path))?;
                Ok(Self { judgements, bytes })
            }
            direction => Ok(Self { judgements: read_truth(path, direction)?, bytes }),
        }
    }

    /// Writes what the reference would; returns why it would refuse, where that is no error.
    fn reference_score(&self, predictions: &[u8], args: &ScoreArgs) -> Result<Option<String>, Failure> {
        let score = reference_score(&self.bytes, predictions, args.direction.into());
        let Some(path) = &args.output else {
            return Ok(score.refusal);
        };
        write_whole(path, score.json.as_bytes())?;
        match score.refusal {
            Some(refusal) => {
                let message = format!("not scored, as {} says: {refusal}", path.display());
                Err(Failure::new(ErrorClass::BadInput, message))
            }
            None => Ok(None),
        }
    }
}
