//! AdamW (Loshchilov and Hutter, 2019) in PyTorch's form, with the reference's parameter groups.
use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gradients::GradientMap;
use super::replica::Replica;
use crate::model::error::ModelError;
use crate::model::parameters::KeyPath;

/// ln(100): the reference clamps the logit scale to `0..=4.6052` after every step.
const MAX_LOGIT_SCALE: f64 = 4.6052;

/// Hyper-parameters; [`Default`] is the reference's for vision transformers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.2 }
    }
}

/// Which parameters decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecayRule {
    /// The reference's: all but those with `bn`, `ln`, `bias` or `logit_scale` in the name, so that BERT's
    /// `LayerNorm.weight` decays.
    #[default]
    Reference,
    /// Only matrices and convolutions: no norm, no bias, no embedding of classes or positions.
    Matrices,
}

impl DecayRule {
    fn decays(self, key: &str) -> bool {
        let reference = !["bn", "ln", "bias", "logit_scale"].iter().any(|part| key.contains(part));
        let spared = ["LayerNorm", "downsample.1.", "class_embedding", "position", "token_type"];
        match self {
            Self::Reference => reference,
            Self::Matrices => reference && !spared.iter().any(|part| key.contains(part)),
        }
    }
}

/// First and second moments by key, and the number of steps taken.
#[derive(Debug)]
pub(super) struct AdamW {
    config: AdamWConfig,
    rule: DecayRule,
    pub(super) steps: i32,
    pub(super) moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
pub(super) struct Moments {
    pub(super) first: Tensor<1>,
    pub(super) second: Tensor<1>,
}

impl AdamW {
    pub(super) fn new(config: AdamWConfig, rule: DecayRule) -> Self {
        Self { config, rule, steps: 0, moments: BTreeMap::new() }
    }

    pub(super) fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// The new values of the parameter `key`.
    pub(super) fn update(&mut self, key: &str, value: Tensor<1>, gradient: Tensor<1>, rate: f64) -> Tensor<1> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let (first, second) = match self.moments.remove(key) {
            Some(Moments { first, second }) => (
                first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1),
                second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2),
            ),
            None => (gradient.clone().mul_scalar(1.0 - beta1), gradient.square().mul_scalar(1.0 - beta2)),
        };
        let correction1 = 1.0 - beta1.powi(self.steps);
        let correction2 = 1.0 - beta2.powi(self.steps);
        let denominator = second.clone().sqrt().mul_scalar(correction2.powf(-0.5)).add_scalar(epsilon);
        let decay = if self.rule.decays(key) { rate * weight_decay } else { 0.0 };
        let value = if decay == 0.0 { value } else { value.mul_scalar(1.0 - decay) };
        let updated = value - (first.clone() / denominator).mul_scalar(rate / correction1);
        self.moments.insert(key.to_owned(), Moments { first, second });
        if key == "logit_scale" { updated.clamp(0.0, MAX_LOGIT_SCALE) } else { updated }
    }
}

/// Updates every parameter of a replica that has a gradient; gradients are multiplied by `factor` first.
pub(super) fn update(
    optimizer: &mut AdamW,
    replica: &mut Replica,
    gradients: GradientMap,
    rate: f64,
    factor: f64,
) -> Result<(), ModelError> {
    let update = |key: &str, value: Tensor<1>, gradient: Tensor<1>| {
        optimizer.update(key, value, gradient.mul_scalar(factor), rate)
    };
    replica.map(Update { new_value: update, gradients, path: KeyPath::default() })
}

/// Replaces parameters by `new_value(key, flat value, entry of the map)`.
pub(super) struct Update<F> {
    pub(super) new_value: F,
    pub(super) gradients: GradientMap,
    pub(super) path: KeyPath,
}

impl<F: FnMut(&str, Tensor<1>, Tensor<1>) -> Tensor<1>> ModuleMapper for Update<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let key = self.path.key();
        let Some(gradient) = self.gradients.remove(&key) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let value: Tensor<1> = tensor.inner().reshape([shape.iter().product::<usize>()]);
        let updated = (self.new_value)(&key, value, gradient);
        Param::from_mapped_value(id, Tensor::from_inner(updated.reshape(shape)).require_grad(), mapper)
    }
}

/// Any mapper over a model.
pub(super) fn map_model<M: Module>(model: M, mut mapper: impl ModuleMapper) -> M {
    model.map(&mut mapper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_decays_by_substring_and_the_corrected_rule_spares_norms_and_embeddings() {
        for (key, reference, matrices) in [
            ("bert.encoder.layer.0.output.LayerNorm.weight", true, false),
            ("bert.encoder.layer.0.output.dense.weight", true, true),
            ("bert.embeddings.word_embeddings.weight", true, true),
            ("bert.embeddings.position_embeddings.weight", true, false),
            ("visual.class_embedding", true, false),
            ("visual.positional_embedding", true, false),
            ("visual.conv1.weight", true, true),
            ("visual.layer1.0.downsample.1.weight", true, false),
            ("visual.ln_pre.weight", false, false),
            ("visual.transformer.resblocks.0.attn.in_proj_bias", false, false),
            ("logit_scale", false, false),
        ] {
            assert_eq!(DecayRule::Reference.decays(key), reference, "{key}");
            assert_eq!(DecayRule::Matrices.decays(key), matrices, "{key}");
        }
    }
}
