//! Does a device compute what the CPU computes? Features and gradients of a small model, in every precision.
use serde::Serialize;

use crate::model::{
    ClipConfig, ComputeDevice, Encoder, ModelError, Precision, StateDict, Trainer, TrainerOptions, TrainingBatch,
    preset,
};

const PRESET: &str = "ViT-tiny-16";
const BATCH: usize = 8;

/// One comparison with the CPU in 32 bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceCheck {
    /// `image features`, `text features`, `loss` or `gradients`.
    pub what: &'static str,
    pub precision: Precision,
    /// Of a feature `1 - cosine`; of a gradient the same over its tensor; of the loss the relative difference. The
    /// largest.
    pub difference: f64,
    pub limit: f64,
}

impl DeviceCheck {
    pub fn passed(&self) -> bool {
        self.difference <= self.limit
    }
}

/// What one device computed.
struct Computed {
    images: Vec<f32>,
    texts: Vec<f32>,
    loss: f64,
    /// First moments after one step.
    gradients: StateDict,
}

/// Compares a device with the CPU.
pub fn check_device(device: &ComputeDevice) -> Result<Vec<DeviceCheck>, ModelError> {
    let config = preset(PRESET)?;
    let expected = compute(&config, &ComputeDevice::cpu(), Precision::Fp32)?;
    let mut checks = Vec::new();
    for (precision, features, gradients) in
        [(Precision::Fp32, 1e-6, 1e-4), (Precision::Bf16, 1e-3, 5e-2), (Precision::Fp16, 1e-4, 1e-2)]
    {
        let found = compute(&config, device, precision)?;
        let mut push = |what, difference, limit| checks.push(DeviceCheck { what, precision, difference, limit });
        push("image features", worst_row(&found.images, &expected.images, config.embed_dim), features);
        push("text features", worst_row(&found.texts, &expected.texts, config.embed_dim), features);
        push("loss", (found.loss / expected.loss - 1.0).abs(), features.max(1e-4) * 10.0);
        push("gradients", worst_gradient(&found.gradients, &expected.gradients), gradients);
    }
    Ok(checks)
}

fn compute(config: &ClipConfig, device: &ComputeDevice, precision: Precision) -> Result<Computed, ModelError> {
    let state = config.random_state(7)?;
    let (pixels, tokens) = example_batch(config, BATCH);
    let encoder = Encoder::new(config, state.clone(), device, precision)?;
    let images = encoder.encode_images(&pixels, BATCH)?;
    let texts = encoder.encode_texts(&tokens, BATCH)?;
    let options = TrainerOptions { precision, dropout: Some(0.0), ..TrainerOptions::default() };
    let mut trainer = Trainer::new(config, state, std::slice::from_ref(device), options)?;
    let batch =
        TrainingBatch { pixels: &pixels, tokens: &tokens, size: BATCH, positives: None, teacher: None, seed: 1 };
    let loss = trainer.step(batch, 1e-4)?.loss;
    let state = trainer.optimizer_state()?.into_iter();
    let gradients = state.filter(|(key, _)| key.starts_with("first.")).collect();
    Ok(Computed { images, texts, loss, gradients })
}

/// Pixels `[size, 3, side, side]` and tokens `[size, context_length]` without meaning, texts of different lengths.
pub(super) fn example_batch(config: &ClipConfig, size: usize) -> (Vec<f32>, Vec<u32>) {
    let side = config.vision.image_resolution();
    let length = config.context_length;
    let wave = |i: usize| ((i as f32) * 0.37).sin() + (((i / (side * 7)) % 13) as f32 - 6.0) / 6.0;
    let pixels = (0..size * 3 * side * side).map(wave).collect();
    let token = |at: usize| {
        let (row, column) = (at / length, at % length);
        if column <= 3 + (row * 5) % (length - 3) { 101 + (at * 7_919 % 20_000) as u32 } else { 0 }
    };
    (pixels, (0..size * length).map(token).collect())
}

fn worst_row(found: &[f32], expected: &[f32], width: usize) -> f64 {
    let rows = found.chunks(width).zip(expected.chunks(width));
    rows.map(|(a, b)| distance(a, b)).fold(0.0, f64::max)
}

/// Key biases get no gradient but rounding.
fn worst_gradient(found: &StateDict, expected: &StateDict) -> f64 {
    let told = expected.iter().filter(|(key, _)| !key.contains("key.bias") && !key.contains("in_proj_bias"));
    let distances = told.map(|(key, tensor)| match found.get(key) {
        Some(found) => distance(&found.values, &tensor.values),
        None => 1.0,
    });
    distances.fold(0.0, f64::max)
}

/// `1 - cosine`; 1 where something is not finite.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    if cosine.is_finite() { (1.0 - cosine).max(0.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_directions_and_nothing_finite_is_trusted() {
        assert!(distance(&[1.0, 2.0], &[2.0, 4.0]) < 1e-12);
        assert!((distance(&[1.0, 0.0], &[0.0, 1.0]) - 1.0).abs() < 1e-12);
        assert_eq!(distance(&[f32::NAN, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(distance(&[0.0, 0.0], &[0.0, 1.0]), 1.0);
    }
}
