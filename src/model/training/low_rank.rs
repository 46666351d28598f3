//! Low-rank adaptation (Hu et al., 2021): W = W₀ + (α/r) B A, where only A and B are trained.
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::gradients::GradientMap;
use super::replica::Replica;
use crate::model::clip::read;
use crate::model::error::ModelError;
use crate::model::parameters::{NamedTensor, StateDict};

const A: &str = "lora_a.";
const B: &str = "lora_b.";

/// Which matrices get a low-rank change, and of what rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LowRankConfig {
    #[schemars(range(min = 1, max = 1024))]
    pub rank: usize,
    /// The change is multiplied by alpha / rank.
    #[serde(default = "default_alpha")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub alpha: f64,
    #[serde(default = "default_targets")]
    #[schemars(length(min = 1))]
    pub targets: Vec<LowRankTarget>,
}

/// A kind of matrix in the blocks of both towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LowRankTarget {
    Attention,
    Mlp,
}

fn default_alpha() -> f64 {
    16.0
}

fn default_targets() -> Vec<LowRankTarget> {
    vec![LowRankTarget::Attention]
}

impl LowRankConfig {
    /// Whether a parameter is adapted.
    pub(super) fn applies_to(&self, key: &str) -> bool {
        if !(key.ends_with("weight") && (key.contains("resblocks.") || key.contains("bert.encoder.layer."))) {
            return false;
        }
        let parts: Vec<&str> = key.split('.').collect();
        let attention = (key.contains(".attn.") || key.contains(".attention.")) && !key.contains("LayerNorm");
        let mlp = parts.iter().any(|part| ["c_fc", "c_proj"].contains(part))
            || key.contains(".intermediate.dense")
            || (key.ends_with(".output.dense.weight") && !key.contains("attention"));
        self.targets.iter().any(|target| match target {
            LowRankTarget::Attention => attention,
            LowRankTarget::Mlp => mlp,
        })
    }
}

/// The adapters of a model.
#[derive(Debug)]
pub(super) struct LowRank {
    factor: f64,
    adapters: BTreeMap<String, Adapter>,
}

#[derive(Debug)]
struct Adapter {
    /// W₀, `[out, in]`.
    base: Tensor<2>,
    /// `[rank, in]`.
    a: Tensor<2>,
    /// `[out, rank]`.
    b: Tensor<2>,
}

impl LowRank {
    /// B is zero, so that training starts at the weights that `replica` has.
    pub(super) fn new(config: &LowRankConfig, replica: &Replica) -> Result<Self, ModelError> {
        let mut adapters = BTreeMap::new();
        let device = replica.device.plain();
        replica.model()?.matrices(|key, base| {
            if config.applies_to(&key) {
                let [output, input] = base.dims();
                let a =
                    Tensor::from_data(TensorData::new(start(&key, config.rank, input), [config.rank, input]), &device);
                let b = Tensor::zeros([output, config.rank], &device);
                adapters.insert(key, Adapter { base, a, b });
            }
        });
        Ok(Self { factor: config.alpha / config.rank as f64, adapters })
    }

    /// Gradients by A and B from those by W.
    pub(super) fn project(&self, gradients: GradientMap) -> GradientMap {
        let mut projected = GradientMap::default();
        for (key, gradient) in gradients.into_iter() {
            let Some(Adapter { base, a, b }) = self.adapters.get(&key) else {
                continue;
            };
            let by_weight: Tensor<2> = gradient.reshape(base.dims()).mul_scalar(self.factor);
            projected.insert(format!("{A}{key}"), flat(b.clone().transpose().matmul(by_weight.clone())));
            projected.insert(format!("{B}{key}"), flat(by_weight.matmul(a.clone().transpose())));
        }
        projected
    }

    /// Updates A and B, and the weights of the replica with them.
    pub(super) fn update(
        &mut self,
        optimizer: &mut AdamW,
        replica: &mut Replica,
        mut gradients: GradientMap,
        rate: f64,
        factor: f64,
    ) -> Result<(), ModelError> {
        for (key, adapter) in &mut self.adapters {
            for (name, matrix) in [(A, &mut adapter.a), (B, &mut adapter.b)] {
                let key = format!("{name}{key}");
                if let Some(gradient) = gradients.remove(&key) {
                    let updated = optimizer.update(&key, flat(matrix.clone()), gradient.mul_scalar(factor), rate);
                    *matrix = updated.reshape(matrix.dims());
                }
            }
        }
        replica.set(self.weights())
    }

    /// Values of A and B by the names that the optimiser knows.
    pub(super) fn lengths(&self) -> BTreeMap<String, usize> {
        let named = |(key, adapter): (&String, &Adapter)| {
            let length = |matrix: &Tensor<2>| matrix.dims().iter().product::<usize>();
            [(format!("{A}{key}"), length(&adapter.a)), (format!("{B}{key}"), length(&adapter.b))]
        };
        self.adapters.iter().flat_map(named).collect()
    }

    /// A and B on the host.
    pub(super) fn save(&self, state: &mut StateDict) -> Result<(), ModelError> {
        for (key, adapter) in &self.adapters {
            for (name, matrix) in [(A, &adapter.a), (B, &adapter.b)] {
                let tensor = NamedTensor { shape: matrix.dims().to_vec(), values: read(matrix.clone())? };
                state.insert(format!("{name}{key}"), tensor);
            }
        }
        Ok(())
    }

    /// Takes up what [`Self::save`] wrote.
    pub(super) fn restore(&mut self, state: &StateDict, device: &Device) -> Result<(), ModelError> {
        for (key, adapter) in &mut self.adapters {
            for (name, matrix) in [(A, &mut adapter.a), (B, &mut adapter.b)] {
                let key = format!("{name}{key}");
                let expected = matrix.dims();
                let Some(tensor) = state.get(&key).filter(|tensor| tensor.shape == expected) else {
                    return Err(ModelError::MissingTensor { key, expected: expected.to_vec() });
                };
                *matrix = Tensor::from_data(TensorData::new(tensor.values.clone(), expected), device);
            }
        }
        Ok(())
    }

    fn weights(&self) -> GradientMap {
        let mut weights = GradientMap::default();
        for (key, Adapter { base, a, b }) in &self.adapters {
            let change = b.clone().matmul(a.clone()).mul_scalar(self.factor);
            weights.insert(key.clone(), flat(base.clone() + change));
        }
        weights
    }
}

fn flat(matrix: Tensor<2>) -> Tensor<1> {
    let count = matrix.dims().iter().product::<usize>();
    matrix.reshape([count])
}

/// Uniform in ±1/√in, the start of `torch.nn.Linear`, from the name alone.
fn start(key: &str, rank: usize, input: usize) -> Vec<f32> {
    let digest = blake3::hash(key.as_bytes());
    let seed = digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bound = (input as f64).powf(-0.5);
    let uniform = |bits: u32| (f64::from(bits) / f64::from(u32::MAX) * 2.0 - 1.0) * bound;
    (0..rank * input).map(|_| uniform(rng.next_u32()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_choose_matrices_of_the_blocks_only() {
        let config = |targets: &[LowRankTarget]| LowRankConfig { rank: 4, alpha: 8.0, targets: targets.to_vec() };
        let (attention, mlp) = (config(&[LowRankTarget::Attention]), config(&[LowRankTarget::Mlp]));
        for (key, is_attention, is_mlp) in [
            ("visual.transformer.resblocks.0.attn.in_proj_weight", true, false),
            ("visual.transformer.resblocks.0.attn.out_proj.weight", true, false),
            ("visual.transformer.resblocks.0.attn.out_proj.bias", false, false),
            ("visual.transformer.resblocks.0.mlp.c_fc.weight", false, true),
            ("visual.transformer.resblocks.0.ln_1.weight", false, false),
            ("bert.encoder.layer.0.attention.self.query.weight", true, false),
            ("bert.encoder.layer.0.attention.output.dense.weight", true, false),
            ("bert.encoder.layer.0.attention.output.LayerNorm.weight", false, false),
            ("bert.encoder.layer.0.output.dense.weight", false, true),
            ("bert.encoder.layer.0.output.LayerNorm.weight", false, false),
            ("bert.embeddings.word_embeddings.weight", false, false),
            ("visual.conv1.weight", false, false),
        ] {
            assert_eq!((attention.applies_to(key), mlp.applies_to(key)), (is_attention, is_mlp), "{key}");
        }
    }
}
