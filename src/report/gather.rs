//! Reads the sealed inputs of a report.
use std::collections::BTreeMap;
use std::io::Cursor;

use image::ImageFormat;
use serde_json::Value;

use super::ReportSpec;
use super::facts::{Curve, DatasetFacts, HitFacts, ModelFacts, QueryFacts, ReportFacts};
use super::quality::{contact_sheet, leak_facts};
use crate::data::{ArtifactKind, Split};
use crate::embed::{EmbeddingSummary, encode_texts};
use crate::evaluate::{Score, read_scores};
use crate::index::{Query, SearchMode, Searcher};
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

pub(super) fn gather(spec: &ReportSpec, context: &StageContext<'_>) -> Result<ReportFacts, StageError> {
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
    for data in &summary.data {
        datasets.push(dataset_facts(data, context.input(data)?, &scores)?);
    }
    let queries = match &spec.needs.index {
        Some(index) => search(spec, context, context.input(index)?)?,
        None => Vec::new(),
    };
    let audit = context.inputs.values().find(|input| input.key.kind == ArtifactKind::Audit);
    let leaks = audit.map(|input| Leaks::open(&input.sealed.folder)).transpose()?;
    let leaks = leaks.map(|leaks| leak_facts(leaks.rows()));
    Ok(ReportFacts { title: "Retrieval report".to_owned(), datasets, models, scores, curves, queries, leaks })
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

fn dataset_facts(id: &str, input: &Input, scores: &[Score]) -> Result<DatasetFacts, StageError> {
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
        sheet: contact_sheet(&Dataset::open(&input.sealed)?, SHEET_IMAGES)?,
    })
}

fn search(spec: &ReportSpec, context: &StageContext<'_>, index: &Input) -> Result<Vec<QueryFacts>, StageError> {
    let searcher = Searcher::open(&index.sealed.folder)?;
    let key = searcher.about().model.clone();
    let model = context.inputs.values().find(|input| input.key == key);
    let model = model.ok_or_else(|| StageError::internal(format!("the index's model {key} is not an input")))?;
    let Checkpoint { config, state } = Checkpoint::open(&model.sealed.folder)?;
    let encoder = Encoder::new(&config, state, context.device, Precision::Fp32)?;
    let mut datasets = BTreeMap::new();
    let mut queries = Vec::new();
    for text in &spec.queries {
        let vector = encode_texts(&encoder, &[text])?;
        let query = Query { text: Some(text), vector: Some((&vector, &key)) };
        let mut hits = Vec::new();
        for hit in searcher.search(query, SearchMode::Hybrid, HITS)? {
            let document = &hit.document;
            if !datasets.contains_key(&document.data) {
                let dataset = Dataset::open(&context.input(&document.data)?.sealed)?;
                datasets.insert(document.data.clone(), dataset);
            }
            let Some(dataset) = datasets.get(&document.data) else { continue };
            hits.push(HitFacts {
                id: hit.id.clone(),
                score: hit.score,
                text: hit.text.clone(),
                split: document.split.to_string(),
                thumbnail: thumbnail_url(&dataset.image_bytes(&document.image_id)?)?,
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
    let broken = |error: image::ImageError| StageError::internal(format!("thumbnail: {error}"));
    let image = image::load_from_memory(bytes).map_err(broken)?;
    let small = if image.width().max(image.height()) > THUMBNAIL_SIDE {
        image.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    } else {
        image
    };
    let mut jpeg = Cursor::new(Vec::new());
    small.to_rgb8().write_to(&mut jpeg, ImageFormat::Jpeg).map_err(broken)?;
    Ok(jpeg.into_inner())
}
