//! How long encoding takes, where the pipeline asks for it: the only facts of a report that depend on a clock.
use std::time::{Duration, Instant};

use super::{Material, measured_split};
use crate::augment::evaluation_batch;
use crate::embed::encode_texts;
use crate::evaluate::Score;
use crate::report::facts::{TimingFacts, TimingKind};
use crate::stage::StageError;

const BATCH_SIZES: [usize; 3] = [1, 8, 32];
/// Batches that are timed; fewer if they take longer than `ENOUGH` together.
const BATCHES: usize = 50;
const FEWEST: usize = 3;
const ENOUGH: Duration = Duration::from_secs(5);

/// Times the last checkpoint on the first images and texts that were measured. Decoding images is not counted, cutting texts
/// into tokens is.
pub(super) fn timings(material: &Material<'_>, scores: &[Score]) -> Result<Vec<TimingFacts>, StageError> {
    let mut facts = Vec::new();
    let Some(model) = material.summary.models.last() else { return Ok(facts) };
    let first = material.datasets.iter().find_map(|(data, dataset)| Some((dataset, measured_split(scores, data)?)));
    let Some((dataset, split)) = first else { return Ok(facts) };
    let encoder = material.encoder(&model.id)?;
    let (images, texts) = (dataset.image_ids(split)?, dataset.texts(split)?);
    let texts: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
    let side = encoder.config().vision.image_resolution();
    let mut time = |kind: TimingKind, batch_size: usize, work: &dyn Fn() -> Result<(), StageError>| {
        let mut milliseconds = timed(work)?;
        milliseconds.sort_by(f64::total_cmp);
        let total: f64 = milliseconds.iter().sum();
        let count = milliseconds.len();
        // The nearest rank.
        let at = |share: f64| milliseconds.get(((share * count as f64).ceil() as usize).max(1) - 1).copied();
        facts.push(TimingFacts {
            model: model.id.clone(),
            kind,
            device: format!("{}, f32", material.context.device.name()),
            batch_size: batch_size as u64,
            p50_ms: at(0.5).unwrap_or(total),
            p90_ms: at(0.9).unwrap_or(total),
            p99_ms: at(0.99).unwrap_or(total),
            items_per_second: 1000.0 * (batch_size * count) as f64 / total,
        });
        Ok::<(), StageError>(())
    };
    for size in BATCH_SIZES.into_iter().filter(|size| *size <= images.len()) {
        let pixels = evaluation_batch(dataset, images.get(..size).unwrap_or_default(), side)?;
        time(TimingKind::Image, size, &|| encoder.encode_images(&pixels, size).map(drop).map_err(StageError::from))?;
    }
    for size in BATCH_SIZES.into_iter().filter(|size| *size <= texts.len()) {
        let batch = texts.get(..size).unwrap_or_default();
        time(TimingKind::Text, size, &|| encode_texts(&encoder, batch).map(drop))?;
    }
    Ok(facts)
}

/// Milliseconds of every repetition, after one that does not count.
fn timed(work: &dyn Fn() -> Result<(), StageError>) -> Result<Vec<f64>, StageError> {
    work()?;
    let (mut milliseconds, began) = (Vec::new(), Instant::now());
    while milliseconds.len() < FEWEST || (milliseconds.len() < BATCHES && began.elapsed() < ENOUGH) {
        let began = Instant::now();
        work()?;
        milliseconds.push(1000.0 * began.elapsed().as_secs_f64());
    }
    Ok(milliseconds)
}
