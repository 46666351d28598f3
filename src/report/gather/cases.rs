//! The queries of the YAML under every checkpoint: the first images of exact search over everything that was measured.
use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Material, PictureSize, measured_split};
use crate::data::{ItemKind, top_k};
use crate::embed::encode_texts;
use crate::evaluate::Score;
use crate::ingest::{TextNormalization, normalize_text};
use crate::model::Gallery as Documents;
use crate::report::ReportSpec;
use crate::report::facts::{CaseFacts, CaseHit, CaseStage, Truth};
use crate::report::gallery::Gallery;
use crate::stage::StageError;

const HITS: usize = 5;

/// An image that can be found.
struct Candidate {
    data: String,
    split: String,
    id: String,
    text: String,
}

pub(super) fn cases(
    spec: &ReportSpec,
    material: &mut Material<'_>,
    scores: &[Score],
    gallery: &mut Gallery,
) -> Result<Vec<CaseFacts>, StageError> {
    if spec.queries.is_empty() {
        return Ok(Vec::new());
    }
    let (candidates, right) = candidates(material, scores)?;
    let mut cases: Vec<CaseFacts> =
        spec.queries.iter().map(|query| CaseFacts { query: query.clone(), stages: Vec::new() }).collect();
    let models: Vec<String> = material.summary.models.iter().map(|model| model.id.clone()).collect();
    for model in &models {
        let mut vectors = Vec::new();
        for data in material.datasets.keys() {
            let Some(split) = measured_split(scores, data) else { continue };
            vectors.extend(material.summary.read(&material.folder, model, data, split, ItemKind::Image)?.vectors);
        }
        let dimension = material.summary.model(model)?.dimension;
        let documents = Documents::new(vectors, dimension, material.context.device);
        let encoder = material.encoder(model)?;
        let texts: Vec<&str> = spec.queries.iter().map(String::as_str).collect();
        let scores = documents.scores(&encode_texts(&encoder, &texts)?)?;
        for (case, scores) in cases.iter_mut().zip(scores.chunks(documents.rows().max(1))) {
            let known = right.get(&key(&case.query));
            let mut hits = Vec::new();
            for at in top_k(scores, HITS) {
                let (Some(found), Some(score)) = (candidates.get(at), scores.get(at)) else { continue };
                let truth = match known {
                    None => Truth::Unknown,
                    Some(right) if right.contains(&at) => Truth::Right,
                    Some(_) => Truth::Wrong,
                };
                hits.push(CaseHit {
                    id: found.id.clone(),
                    text: found.text.clone(),
                    dataset: found.data.clone(),
                    split: found.split.clone(),
                    score: *score,
                    truth,
                    picture: material.picture(gallery, &found.data, &found.id, PictureSize::Shown)?,
                });
            }
            case.stages.push(CaseStage { model: model.clone(), hits });
        }
    }
    Ok(cases)
}

/// Positions of the images that a text names.
type RightImages = HashMap<String, HashSet<usize>>;

/// All measured images in the order of their vectors, and which of them every labelled text names.
fn candidates(material: &Material<'_>, scores: &[Score]) -> Result<(Vec<Candidate>, RightImages), StageError> {
    let mut candidates = Vec::new();
    let mut right = RightImages::new();
    for (data, dataset) in &material.datasets {
        let Some(split) = measured_split(scores, data) else { continue };
        let texts: BTreeMap<String, String> =
            dataset.texts(split)?.into_iter().map(|text| (text.id, text.text)).collect();
        let first = candidates.len();
        let ids = dataset.image_ids(split)?;
        let position: HashMap<&String, usize> = ids.iter().zip(first..).collect();
        let mut captions: HashMap<&String, String> = HashMap::new();
        let pairs = dataset.pairs(split)?;
        for pair in &pairs {
            let (Some(text), Some((id, at))) = (texts.get(&pair.text_id), position.get_key_value(&pair.image_id))
            else {
                continue;
            };
            captions.entry(id).or_insert_with(|| text.clone());
            right.entry(key(text)).or_default().insert(*at);
        }
        candidates.extend(ids.iter().map(|id| Candidate {
            data: data.clone(),
            split: split.to_string(),
            id: id.clone(),
            text: captions.get(id).cloned().unwrap_or_default(),
        }));
    }
    Ok((candidates, right))
}

/// What two texts have in common that differ in form alone.
fn key(text: &str) -> String {
    let steps = [TextNormalization::FullWidth, TextNormalization::WhiteSpace];
    normalize_text(text, &steps).to_lowercase()
}
