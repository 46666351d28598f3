//! Random initialisation as the reference does it, drawn from (seed, key) so that it is the same on every device.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{ModelError, ParameterSource};

/// A source of fresh parameters.
#[derive(Debug, Clone)]
pub struct RandomSource {
    seed: u64,
}

/// How a tensor starts.
enum Distribution {
    Constant(f64),
    Normal { std: f64 },
    Uniform { bound: f64 },
}

impl RandomSource {
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl ParameterSource for RandomSource {
    fn take(&mut self, key: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let count = shape.iter().product();
        let mut rng = generator(self.seed, key);
        Ok(match distribution(key, shape) {
            Distribution::Constant(value) => vec![value as f32; count],
            Distribution::Normal { std } => (0..count).map(|_| (std * normal(&mut rng)) as f32).collect(),
            Distribution::Uniform { bound } => {
                (0..count).map(|_| (bound * (2.0 * uniform(&mut rng) - 1.0)) as f32).collect()
            }
        })
    }
}

/// The reference's rules: BERT normal(0.02); embeddings and `proj` of the vision tower normal(width^-0.5);
/// `in_proj` Xavier-uniform; the other linear layers and convolutions `uniform(1/sqrt(fan_in))`; attention pooling
/// normal(channels^-0.5) and the last batch norm of a residual block zero; `text_projection` normal(hidden^-0.5); the
/// logit scale ln(1/0.07).
fn distribution(key: &str, shape: &[usize]) -> Distribution {
    let rows = shape.first().copied().unwrap_or(1) as f64;
    let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f64;
    let last = key.rsplit('.').next().unwrap_or(key);
    match key {
        "logit_scale" => Distribution::Constant((1.0f64 / 0.07).ln()),
        "text_projection" | "visual.proj" => Distribution::Normal { std: rows.powf(-0.5) },
        "visual.class_embedding" => Distribution::Normal { std: rows.powf(-0.5) },
        "visual.positional_embedding" => Distribution::Normal { std: fan_in.powf(-0.5) },
        _ if last == "running_var" => Distribution::Constant(1.0),
        _ if key.ends_with("bn3.weight") && key.starts_with("visual.layer") => Distribution::Constant(0.0),
        _ if is_norm(key) => Distribution::Constant(if last == "weight" { 1.0 } else { 0.0 }),
        "visual.attnpool.positional_embedding" => Distribution::Normal { std: fan_in.powf(-0.5) },
        _ if key.starts_with("visual.attnpool.") && last == "weight" => Distribution::Normal { std: fan_in.powf(-0.5) },
        // RN50 pools 2,048 channels into 1,024 dimensions.
        "visual.attnpool.c_proj.bias" => Distribution::Uniform { bound: (rows * 2.0).powf(-0.5) },
        _ if key.starts_with("visual.attnpool.") => Distribution::Uniform { bound: rows.powf(-0.5) },
        _ if key.starts_with("bert.") => match last {
            "bias" => Distribution::Constant(0.0),
            _ => Distribution::Normal { std: 0.02 },
        },
        _ if last == "in_proj_weight" => Distribution::Uniform { bound: (6.0 / (rows + fan_in)).sqrt() },
        _ if last == "in_proj_bias" || key.ends_with("out_proj.bias") => Distribution::Constant(0.0),
        // A bias of the reference's linear layers starts from its weight's fan-in: width, or 4 × width for c_proj.
        _ if key.ends_with("mlp.c_fc.bias") => Distribution::Uniform { bound: (rows / 4.0).powf(-0.5) },
        _ if key.ends_with("mlp.c_proj.bias") => Distribution::Uniform { bound: (rows * 4.0).powf(-0.5) },
        _ => Distribution::Uniform { bound: fan_in.powf(-0.5) },
    }
}

fn is_norm(key: &str) -> bool {
    let is_batch_norm = |part: &str| part.starts_with("bn") || part.starts_with("running_");
    key.split('.').any(|part| part == "LayerNorm" || part.starts_with("ln_") || is_batch_norm(part))
        || key.contains("downsample.1.")
}

fn generator(seed: u64, key: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(key.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Box-Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(rng)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_key_give_the_same_values_and_another_seed_does_not() {
        let take = |seed| RandomSource::new(seed).take("visual.proj", &[64, 32]).unwrap();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }

    #[test]
    fn a_normal_tensor_has_the_deviation_it_was_asked_for() {
        let values = RandomSource::new(3).take("bert.embeddings.word_embeddings.weight", &[200, 100]).unwrap();
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((variance.sqrt() - 0.02).abs() < 0.0005, "{}", variance.sqrt());
    }
}
