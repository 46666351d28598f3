//! Maps of embeddings, and how similar what belongs together is.
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::{Material, PictureSize, measured_split};
use crate::data::{ItemKind, Split};
use crate::embed::Embeddings;
use crate::evaluate::Score;
use crate::model::Gallery as Documents;
use crate::report::calibrate;
use crate::report::facts::{MapFacts, MapPoint, PointKind, ScoreHistogram};
use crate::report::gallery::Gallery;
use crate::report::map::{MAP_POINTS, StageVectors, draw_maps, spread};
use crate::stage::StageError;

const BINS: usize = 24;

/// One data set's measured split: ids, captions, which image belongs to which text.
struct Measured {
    split: Split,
    images: Vec<String>,
    texts: Vec<(String, String)>,
    /// Positions of the images of every text.
    images_of: Vec<Vec<usize>>,
    caption_of: HashMap<usize, String>,
}

/// Draws the maps of all checkpoints, and the histograms of the last one.
pub(super) fn draw(
    material: &mut Material<'_>,
    scores: &[Score],
    gallery: &mut Gallery,
) -> Result<(Option<MapFacts>, Vec<ScoreHistogram>), StageError> {
    let mut measured = BTreeMap::new();
    for (data, dataset) in &material.datasets {
        let Some(split) = measured_split(scores, data) else { continue };
        let images = dataset.image_ids(split)?;
        let texts: Vec<(String, String)> = dataset.texts(split)?.into_iter().map(|text| (text.id, text.text)).collect();
        let image_at: HashMap<&String, usize> = images.iter().zip(0..).collect();
        let text_at: HashMap<&String, usize> = texts.iter().map(|(id, _)| id).zip(0..).collect();
        let mut images_of = vec![Vec::new(); texts.len()];
        let mut caption_of = HashMap::new();
        for pair in dataset.pairs(split)? {
            if let (Some(text), Some(image)) = (text_at.get(&pair.text_id), image_at.get(&pair.image_id)) {
                images_of.get_mut(*text).into_iter().for_each(|list: &mut Vec<usize>| list.push(*image));
                let caption = texts.get(*text).map(|(_, text)| text.clone()).unwrap_or_default();
                caption_of.entry(*image).or_insert(caption);
            }
        }
        measured.insert(data.clone(), Measured { split, images, texts, images_of, caption_of });
    }
    let histograms = histograms(material, &measured)?;
    Ok((maps(material, &measured, gallery)?, histograms))
}

/// Images and texts of all data sets, the same under every checkpoint.
fn maps(
    material: &Material<'_>,
    measured: &BTreeMap<String, Measured>,
    gallery: &mut Gallery,
) -> Result<Option<MapFacts>, StageError> {
    let every: Vec<(&String, &Measured, ItemKind, usize)> = measured
        .iter()
        .flat_map(|(data, of)| {
            let images = (0..of.images.len()).map(move |at| (data, of, ItemKind::Image, at));
            images.chain((0..of.texts.len()).map(move |at| (data, of, ItemKind::Text, at)))
        })
        .collect();
    let chosen: Vec<_> = spread(every.len(), MAP_POINTS).into_iter().filter_map(|at| every.get(at).copied()).collect();
    let mut points = Vec::with_capacity(chosen.len());
    for (data, of, kind, at) in &chosen {
        let (id, image, text) = match kind {
            ItemKind::Image => {
                let id = of.images.get(*at).cloned().unwrap_or_default();
                (id, Some(*at), of.caption_of.get(at).cloned().unwrap_or_default())
            }
            ItemKind::Text => {
                let (id, text) = of.texts.get(*at).cloned().unwrap_or_default();
                (id, of.images_of.get(*at).and_then(|images| images.first()).copied(), text)
            }
        };
        let image = image.and_then(|at| of.images.get(at));
        let picture = match image {
            Some(image) => material.picture(gallery, data, image, PictureSize::Point)?,
            None => None,
        };
        let kind = match kind {
            ItemKind::Image => PointKind::Image,
            ItemKind::Text => PointKind::Text,
        };
        let group = of.split.to_string();
        points.push(MapPoint { id, kind, dataset: (*data).clone(), group, text, picture });
    }
    if points.len() < 3 {
        return Ok(None);
    }
    let mut stages = Vec::new();
    for model in &material.summary.models {
        let mut tables: BTreeMap<(&String, &str), Embeddings> = BTreeMap::new();
        let mut values = Vec::with_capacity(points.len() * model.dimension);
        for (data, of, kind, at) in &chosen {
            let table = match tables.entry((*data, kind.as_str())) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(slot) => {
                    slot.insert(material.summary.read(&material.folder, &model.id, data, of.split, *kind)?)
                }
            };
            let row = table.vectors.chunks(table.dimension.max(1)).nth(*at);
            values.extend_from_slice(row.unwrap_or_default());
        }
        stages.push((model, values));
    }
    let vectors: Vec<StageVectors<'_>> = stages
        .iter()
        .map(|(model, values)| StageVectors { model: &model.id, values, dimensions: model.dimension })
        .collect();
    Ok(Some(draw_maps(points, every.len() as u64, &vectors)))
}

/// Similarity of every query to its best relevant and its best irrelevant image, under the last checkpoint.
fn histograms(
    material: &Material<'_>,
    measured: &BTreeMap<String, Measured>,
) -> Result<Vec<ScoreHistogram>, StageError> {
    let mut histograms = Vec::new();
    let Some(model) = material.summary.models.last() else { return Ok(histograms) };
    for (data, of) in measured {
        let read = |kind| material.summary.read(&material.folder, &model.id, data, of.split, kind);
        let (images, texts) = (read(ItemKind::Image)?, read(ItemKind::Text)?);
        let documents = Documents::new(images.vectors, model.dimension, material.context.device);
        let (mut matching, mut other) = (Vec::new(), Vec::new());
        let mut of_text = of.images_of.iter();
        for block in texts.vectors.chunks(256 * model.dimension) {
            let scores = documents.scores(block)?;
            for (scores, relevant) in scores.chunks(documents.rows().max(1)).zip(of_text.by_ref()) {
                let mut best = [f32::NEG_INFINITY; 2];
                for (at, score) in scores.iter().enumerate() {
                    let side = usize::from(!relevant.contains(&at));
                    best.get_mut(side).into_iter().for_each(|best| *best = best.max(*score));
                }
                if best.iter().all(|score| score.is_finite()) {
                    matching.push(best[0]);
                    other.push(best[1]);
                }
            }
        }
        if matching.is_empty() {
            continue;
        }
        let all = || matching.iter().chain(&other).copied();
        let low = f64::from(all().fold(f32::INFINITY, f32::min));
        let high = f64::from(all().fold(f32::NEG_INFINITY, f32::max)).max(low + 1e-6);
        let width = (high - low) / BINS as f64;
        let count = |values: &[f32]| {
            let mut bins = vec![0u64; BINS];
            for value in values {
                let bin = ((f64::from(*value) - low) / width) as usize;
                bins.get_mut(bin.min(BINS - 1)).into_iter().for_each(|slot| *slot += 1);
            }
            bins
        };
        histograms.push(ScoreHistogram {
            model: model.id.clone(),
            dataset: data.clone(),
            edges: (0..=BINS).map(|at| low + width * at as f64).collect(),
            matching: count(&matching),
            other: count(&other),
            cut_off: calibrate(&matching, &other),
        });
    }
    Ok(histograms)
}
