//! How fast a device trains and encodes a model with random weights.
use std::time::Instant;

use serde::Serialize;

use super::device_check::example_batch;
use crate::model::{ComputeDevice, Encoder, ModelError, Precision, Trainer, TrainerOptions, TrainingBatch, preset};

/// Calls before the clock runs: kernels are compiled and chosen in them.
const WARM_UP: usize = 2;

/// What is to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedOptions {
    pub preset: String,
    pub precision: Precision,
    pub batch_size: usize,
    /// Calls that are timed; the median counts.
    pub calls: usize,
    pub accumulation: usize,
    pub checkpointing: bool,
}

/// Medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceSpeed {
    pub step_seconds: f64,
    pub training_pairs_per_second: f64,
    pub images_per_second: f64,
    pub texts_per_second: f64,
}

/// Measures training steps.
pub fn measure_training(device: &ComputeDevice, options: &SpeedOptions) -> Result<f64, ModelError> {
    let config = preset(&options.preset)?;
    let (pixels, tokens) = example_batch(&config, options.batch_size);
    let recipe = TrainerOptions {
        precision: options.precision,
        parts: options.accumulation,
        checkpointing: options.checkpointing,
        ..TrainerOptions::default()
    };
    let mut trainer = Trainer::new(&config, config.random_state(1)?, &device.each(), recipe)?;
    let size = options.batch_size;
    let mut step = |seed: u64| {
        let batch = TrainingBatch { pixels: &pixels, tokens: &tokens, size, positives: None, teacher: None, seed };
        trainer.step(batch, 1e-5).map(drop_outcome)
    };
    median(options.calls, &mut step)
}

/// Measures calls of both encoders: seconds for the images and for the texts of a batch.
pub fn measure_encoding(device: &ComputeDevice, options: &SpeedOptions) -> Result<(f64, f64), ModelError> {
    let config = preset(&options.preset)?;
    let (pixels, tokens) = example_batch(&config, options.batch_size);
    let encoder = Encoder::new(&config, config.random_state(1)?, device, options.precision)?;
    let images = median(options.calls, &mut |_| encoder.encode_images(&pixels, options.batch_size).map(drop))?;
    let texts = median(options.calls, &mut |_| encoder.encode_texts(&tokens, options.batch_size).map(drop))?;
    Ok((images, texts))
}

/// Both.
pub fn measure_device(device: &ComputeDevice, options: &SpeedOptions) -> Result<DeviceSpeed, ModelError> {
    let step_seconds = measure_training(device, options)?;
    let (images, texts) = measure_encoding(device, options)?;
    let size = options.batch_size as f64;
    Ok(DeviceSpeed {
        step_seconds,
        training_pairs_per_second: size / step_seconds,
        images_per_second: size / images,
        texts_per_second: size / texts,
    })
}

fn drop_outcome(_: crate::model::StepOutcome) {}

fn median(calls: usize, call: &mut impl FnMut(u64) -> Result<(), ModelError>) -> Result<f64, ModelError> {
    let mut seconds = Vec::with_capacity(calls);
    for number in 0..WARM_UP + calls {
        let started = Instant::now();
        call(number as u64)?;
        if number >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN))
}
