//! Reads the sealed inputs of a report.
mod cases;
mod changes;
mod maps;
mod ranks;
mod timings;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;

use super::facts::{
    AboutFacts, ArtifactFacts, Curve, DatasetFacts, GateFacts, HitFacts, ModelFacts, QueryFacts, ReportFacts,
};
use super::gallery::{Gallery, PictureId};
use super::quality::{contact_sheet, leak_facts};
use super::{Against, PUBLISHED_SCORES, ReportSpec};
use crate::data::{ArtifactKind, ItemKind, Split};
use crate::embed::{EmbeddingSummary, encode_texts};
use crate::evaluate::{Score, judge_outcomes, read_attribution, read_outcomes, read_rankings, read_scores};
use crate::index::{Query, SearchMode, SearchOptions, Searcher};
use crate::ingest::{Dataset, Leaks, Statistics};
use crate::model::{Checkpoint, Encoder, Precision};
use crate::stage::{Input, StageContext, StageError};
use crate::train::{LogLine, read_log};

/// Images shown per query.
const HITS: usize = 8;
/// Pictures of a contact sheet.
const SHEET_IMAGES: usize = 24;
/// Longer side of a thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 128;

pub(super) fn gather(
    spec: &ReportSpec,
    against: Option<&Against>,
    context: &StageContext<'_>,
) -> Result<ReportFacts, StageError> {
    let scores = read_scores(&context.input(&spec.needs.scores)?.sealed.folder)?;
    let embeddings = context.inputs.values().find(|input| input.key.kind == ArtifactKind::Embeddings);
    let embeddings = embeddings.ok_or_else(|| StageError::internal("a report without embeddings".to_owned()))?;
    let summary = EmbeddingSummary::open(&embeddings.sealed.folder)?;
    let mut models = Vec::new();
    let mut curves = Vec::new();
    for model in &summary.models {
        let input = context.input(&model.id)?;
        models.push(model_facts(&model.id, input, context)?);
        let log = read_log(&input.sealed.folder)?;
        if !log.is_empty() {
            curves.push(curve(&model.id, &log));
        }
    }
    let mut datasets = Vec::new();
    let mut opened = BTreeMap::new();
    for data in &summary.data {
        let input = context.input(data)?;
        let dataset = Dataset::open(&input.sealed)?;
        datasets.push(dataset_facts(data, input, &dataset, &scores)?);
        opened.insert(data.clone(), dataset);
    }
    let mut gallery = Gallery::default();
    let mut material = Material { summary, folder: embeddings.sealed.folder.clone(), context, datasets: opened };
    let cases = cases::cases(spec, &mut material, &scores, &mut gallery)?;
    let queries = match &spec.needs.index {
        Some(index) => search(spec, &material, context.input(index)?, &mut gallery)?,
        None => Vec::new(),
    };
    let scored = &context.input(&spec.needs.scores)?.sealed.folder;
    let outcomes = read_outcomes(scored)?;
    let rankings = read_rankings(scored)?;
    let ranks = ranks::ranks(&material, &outcomes, &mut gallery)?;
    let measured = changes::Measured { models: &models, outcomes: &outcomes, scores: &scores };
    let (forgetting, comparisons) = measured.changes()?;
    let recall_curves = measured.recall_curves();
    let churn = measured.churn(&rankings);
    let timings = if spec.time_encoding { timings::timings(&material, &scores)? } else { Vec::new() };
    let (map, histograms) = maps::draw(&mut material, &scores, &mut gallery)?;
    let audit = context.inputs.values().find(|input| input.key.kind == ArtifactKind::Audit);
    let leaks = audit.map(|input| Leaks::open(&input.sealed.folder)).transpose()?;
    let leaks = leaks.map(|leaks| leak_facts(leaks.rows()));
    Ok(ReportFacts {
        title: "Retrieval report".to_owned(),
        about: about(context),
        datasets,
        models,
        gate: against.map(|against| gate(spec, against, context)).transpose()?.flatten(),
        scores,
        forgetting,
        comparisons,
        curves,
        recall_curves,
        timings,
        map,
        cases,
        ranks,
        histograms,
        attribution: read_attribution(scored)?,
        churn,
        queries,
        leaks,
        gallery,
    })
}

/// What the gate says of these scores. Nothing where the release that they are held against is gone.
fn gate(spec: &ReportSpec, against: &Against, context: &StageContext<'_>) -> Result<Option<GateFacts>, StageError> {
    let Some(published) = context.inputs.get(PUBLISHED_SCORES) else {
        context.warn(&format!("the scores of release {} are gone; the report does without the gate", against.release));
        return Ok(None);
    };
    let before = read_outcomes(&published.sealed.folder)?;
    let after = read_outcomes(&context.input(&spec.needs.scores)?.sealed.folder)?;
    let findings = judge_outcomes(&against.gate, before, after)?;
    Ok(Some(GateFacts { release: against.release, gate: against.gate.clone(), findings }))
}

/// What several sections of a report look at.
struct Material<'a> {
    summary: EmbeddingSummary,
    folder: PathBuf,
    context: &'a StageContext<'a>,
    datasets: BTreeMap<String, Dataset>,
}

impl Material<'_> {
    /// The picture of an image, kept once per size.
    fn picture(
        &self,
        gallery: &mut Gallery,
        data: &str,
        image: &str,
        size: PictureSize,
    ) -> Result<Option<PictureId>, StageError> {
        let Some(dataset) = self.datasets.get(data) else { return Ok(None) };
        let (side, quality) = size.numbers();
        let url = || {
            let jpeg = small_jpeg(&dataset.image_bytes(image)?, side, quality)?;
            Ok(format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(jpeg)))
        };
        gallery.add(&format!("{side} {data}/{image}"), url).map(Some)
    }

    fn encoder(&self, model: &str) -> Result<Encoder, StageError> {
        let Checkpoint { config, state } = Checkpoint::open(&self.context.input(model)?.sealed.folder)?;
        Ok(Encoder::new(&config, state, self.context.device, Precision::Fp32)?)
    }
}

/// What a picture is for.
#[derive(Debug, Clone, Copy)]
enum PictureSize {
    Shown,
    Point,
}

impl PictureSize {
    /// Longer side in pixels and JPEG quality.
    fn numbers(self) -> (u32, u8) {
        match self {
            Self::Shown => (THUMBNAIL_SIDE, 75),
            Self::Point => (96, 60),
        }
    }
}

/// Versions, fingerprints and settings. The pipeline file itself is not among the inputs of a report.
fn about(context: &StageContext<'_>) -> AboutFacts {
    let artifact = |(stage, input): (&String, &Input)| ArtifactFacts {
        stage: stage.clone(),
        kind: input.key.kind.to_string(),
        fingerprint: input.key.fingerprint.to_string(),
    };
    AboutFacts {
        settings: context
            .inputs
            .iter()
            .map(|(stage, input)| (stage.clone(), input.sealed.manifest.spec.clone()))
            .collect(),
        artifacts: context.inputs.iter().map(artifact).collect(),
        versions: vec![("tuwen".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
    }
}

/// The split of a data set that was measured.
fn measured_split(scores: &[Score], data: &str) -> Option<Split> {
    let name = scores.iter().find(|score| score.dataset == data)?.split.as_str();
    Split::ALL.into_iter().find(|split| split.as_str() == name)
}

fn model_facts(id: &str, input: &Input, context: &StageContext<'_>) -> Result<ModelFacts, StageError> {
    let config = Checkpoint::open_config(&input.sealed.folder)?;
    let of_kind = |kind: ArtifactKind| {
        let mut needs = input.sealed.manifest.inputs.keys();
        needs.find(|need| context.inputs.get(*need).is_some_and(|input| input.key.kind == kind)).cloned()
    };
    Ok(ModelFacts {
        id: id.to_owned(),
        parameters: config.parameters().total,
        preset: config.name,
        tuned_on: of_kind(ArtifactKind::Dataset),
        tuned_from: of_kind(ArtifactKind::Checkpoint),
    })
}

fn curve(model: &str, log: &[LogLine]) -> Curve {
    let mut curve = Curve { model: model.to_owned(), ..Curve::default() };
    for line in log {
        match line {
            LogLine::Step { step, loss, learning_rate, gradient_norm, logit_scale, .. } => {
                let at = *step as f64;
                curve.loss.push((at, *loss));
                curve.learning_rate.push((at, *learning_rate));
                curve.gradient_norm.push((at, *gradient_norm));
                curve.logit_factor.push((at, logit_scale.exp()));
            }
            LogLine::Epoch { step, validation, .. } => {
                curve.recall.extend(validation.map(|scores| (*step as f64, scores.mean_recall())));
            }
            LogLine::Validation { step, validation, .. } => {
                curve.recall.push((*step as f64, validation.mean_recall()));
            }
        }
    }
    curve
}

fn dataset_facts(id: &str, input: &Input, dataset: &Dataset, scores: &[Score]) -> Result<DatasetFacts, StageError> {
    let counts = input.sealed.manifest.stats.pointer("/shards/all").cloned().unwrap_or(Value::Null);
    let count = |split: Split, what: &str| counts.pointer(&format!("/{split}/{what}")).and_then(Value::as_u64);
    let splits = Split::ALL.into_iter().filter_map(|split| {
        let images = count(split, "images")?;
        let (texts, pairs) = (count(split, "texts")?, count(split, "pairs")?);
        Some((split.to_string(), images, texts, pairs))
    });
    let measured = scores.iter().find(|score| score.dataset == id);
    Ok(DatasetFacts {
        id: id.to_owned(),
        splits: splits.collect(),
        quarantined: input.sealed.manifest.stats.get("rows_quarantined").and_then(Value::as_u64).unwrap_or(0),
        measured: measured.map(|score| score.split.clone()).unwrap_or_default(),
        statistics: Statistics::open(&input.sealed.folder)?,
        sheet: contact_sheet(dataset, SHEET_IMAGES)?,
    })
}

fn search(
    spec: &ReportSpec,
    material: &Material<'_>,
    index: &Input,
    gallery: &mut Gallery,
) -> Result<Vec<QueryFacts>, StageError> {
    let searcher = Searcher::open(&index.sealed.folder)?;
    let key = searcher.about().model.clone();
    let model = material.context.inputs.iter().find(|(_, input)| input.key == key);
    let (model, _) = model.ok_or_else(|| StageError::internal(format!("the index's model {key} is not an input")))?;
    let encoder = material.encoder(model)?;
    let mut queries = Vec::new();
    for text in &spec.queries {
        let vector = encode_texts(&encoder, &[text])?;
        let query = Query { text: Some(text), vector: Some((&vector, &key)) };
        let mut hits = Vec::new();
        let options = SearchOptions { among: ItemKind::Image, mode: SearchMode::Hybrid, k: HITS, allowed: None };
        for hit in searcher.search(query, &options)? {
            let document = &hit.document;
            hits.push(HitFacts {
                id: hit.id.clone(),
                score: hit.score,
                text: hit.text.clone(),
                split: document.split.to_string(),
                picture: material.picture(gallery, &document.data, &document.image_id, PictureSize::Shown)?,
            });
        }
        queries.push(QueryFacts { text: text.clone(), hits });
    }
    Ok(queries)
}

/// A small JPEG of an image as a `data:` URL.
pub(super) fn thumbnail_url(bytes: &[u8]) -> Result<String, StageError> {
    Ok(format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(thumbnail(bytes)?)))
}

/// A small JPEG of an image.
pub fn thumbnail(bytes: &[u8]) -> Result<Vec<u8>, StageError> {
    small_jpeg(bytes, THUMBNAIL_SIDE, 75)
}

fn small_jpeg(bytes: &[u8], side: u32, quality: u8) -> Result<Vec<u8>, StageError> {
    let broken = |error: image::ImageError| StageError::internal(format!("thumbnail: {error}"));
    let image = image::load_from_memory(bytes).map_err(broken)?;
    let small = if image.width().max(image.height()) > side { image.thumbnail(side, side) } else { image };
    let mut jpeg = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    small.to_rgb8().write_with_encoder(encoder).map_err(broken)?;
    Ok(jpeg.into_inner())
}
