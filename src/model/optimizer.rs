//! One optimisation step: forward, loss, gradients, AdamW with the reference's parameter groups.
use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Int, Tensor, TensorData};

use super::clip::{ClipModel, image_tensor, read, token_tensor};
use super::config::ClipConfig;
use super::device::ComputeDevice;
use super::encoder::Encoder;
use super::error::ModelError;
use super::layer::{Forward, Precision};
use super::layout::is_parameter;
use super::loss::contrastive_loss;
use super::parameters::{self, KeyPath, NamedTensor, StateDict};

/// ln(100): the reference clamps the logit scale to `0..=4.6052` after every step.
const MAX_LOGIT_SCALE: f64 = 4.6052;

/// Hyper-parameters of AdamW (Loshchilov and Hutter, 2019), in PyTorch's form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// First and second moments by reference key, and the number of steps taken.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    steps: i32,
    moments: BTreeMap<String, Moments>,
}

/// The factor that keeps fp16 gradients from vanishing; 1 in other precisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    factor: f64,
    good_steps: u32,
    dynamic: bool,
}

/// Model and optimiser state, stepped batch by batch.
#[derive(Debug)]
pub struct Step {
    model: Option<ClipModel>,
    config: ClipConfig,
    optimizer: AdamW,
    loss_scale: LossScale,
    precision: Precision,
    device: ComputeDevice,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    pub loss: f64,
    /// Euclidean norm over all gradients, before the update.
    pub gradient_norm: f64,
    /// Logarithm of the logit factor after the update.
    pub logit_scale: f64,
    /// False when fp16 gradients overflowed and the update was left out.
    pub applied: bool,
}

#[derive(Debug)]
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
    shape: Vec<usize>,
}

impl LossScale {
    /// PyTorch's `GradScaler` defaults: start at 2^16, halve on overflow, double after 2,000 good steps.
    pub fn new(precision: Precision) -> Self {
        let dynamic = precision == Precision::Fp16;
        Self { factor: if dynamic { 65_536.0 } else { 1.0 }, good_steps: 0, dynamic }
    }

    /// Takes note of a step; says whether it may be applied.
    fn accept(&mut self, gradient_norm: f64) -> bool {
        if !self.dynamic {
            return true;
        }
        if !gradient_norm.is_finite() {
            self.factor *= 0.5;
            self.good_steps = 0;
            return false;
        }
        self.good_steps += 1;
        if self.good_steps == 2_000 {
            self.factor *= 2.0;
            self.good_steps = 0;
        }
        true
    }
}

impl Step {
    /// Builds the model from `state` for training.
    pub fn new(
        config: &ClipConfig,
        state: StateDict,
        device: &ComputeDevice,
        adamw: AdamWConfig,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let mut state = config.fit(state)?;
        let model = ClipModel::load(config, &mut state, &device.autodiff())?;
        Ok(Self {
            model: Some(model),
            config: config.clone(),
            optimizer: AdamW { config: adamw, steps: 0, moments: BTreeMap::new() },
            loss_scale: LossScale::new(precision),
            precision,
            device: device.clone(),
        })
    }

    /// One step on `pixels` `[batch, 3, side, side]` and `tokens` `[batch, length]`, row i belonging to row i.
    pub fn step(
        &mut self,
        pixels: Vec<f32>,
        tokens: &[u32],
        batch: usize,
        learning_rate: f64,
    ) -> Result<StepOutcome, ModelError> {
        let mode = Forward { precision: self.precision, training: true };
        let device = self.device.autodiff();
        let images = image_tensor(pixels, batch, &self.config, &device);
        let tokens = token_tensor(tokens, batch, &self.config, &device)?;
        let model = self.model()?;
        let (loss_value, gradients) = self.gradients(model, images, tokens, mode)?;
        let unscale = 1.0 / self.loss_scale.factor;
        let gradient_norm = gradient_norm(model, &gradients)? * unscale;
        let applied = self.loss_scale.accept(gradient_norm);
        if applied {
            self.apply(gradients, learning_rate, unscale)?;
        }
        let logit_scale = scalar(self.model()?.logit_scale.val().inner())?;
        Ok(StepOutcome { loss: loss_value, gradient_norm, logit_scale, applied })
    }

    /// The current weights as an encoder for validation.
    pub fn encoder(&self) -> Result<Encoder, ModelError> {
        Encoder::from_model(self.model()?.clone().valid(), &self.config, &self.device)
    }

    /// The current weights.
    pub fn state_dict(&self) -> Result<StateDict, ModelError> {
        parameters::state_dict(&self.model()?.clone().valid())
    }

    /// Optimiser state for a resume: `first.<key>`, `second.<key>`, and `steps`, `loss_scale` as one value each.
    pub fn optimizer_state(&self) -> Result<StateDict, ModelError> {
        let mut state = StateDict::new();
        for (key, moments) in &self.optimizer.moments {
            for (name, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let values = read(tensor.clone())?;
                state.insert(format!("{name}.{key}"), NamedTensor { shape: moments.shape.clone(), values });
            }
        }
        let scalars = [
            ("steps", self.optimizer.steps as f32),
            ("loss_scale", self.loss_scale.factor as f32),
            ("good_steps", self.loss_scale.good_steps as f32),
        ];
        for (name, value) in scalars {
            state.insert(name.to_owned(), NamedTensor { shape: vec![1], values: vec![value] });
        }
        Ok(state)
    }

    /// Takes up what [`Self::optimizer_state`] gave.
    pub fn load_optimizer_state(&mut self, mut state: StateDict) -> Result<(), ModelError> {
        let mut scalar = |name: &str| -> Result<f32, ModelError> {
            let missing = || ModelError::MissingTensor { key: name.to_owned(), expected: vec![1] };
            state.remove(name).and_then(|t| t.values.first().copied()).ok_or_else(missing)
        };
        self.optimizer.steps = scalar("steps")? as i32;
        self.loss_scale.factor = f64::from(scalar("loss_scale")?);
        self.loss_scale.good_steps = scalar("good_steps")? as u32;
        let device = self.device.plain();
        for (_, key) in parameters::keys(self.model()?).into_iter().filter(|(_, key)| is_parameter(key)) {
            let mut moment = |name: &str| -> Result<(Tensor<1>, Vec<usize>), ModelError> {
                let key = format!("{name}.{key}");
                let missing = ModelError::MissingTensor { key: key.clone(), expected: Vec::new() };
                let tensor = state.remove(&key).ok_or(missing)?;
                let count = tensor.values.len();
                Ok((Tensor::from_data(TensorData::new(tensor.values, [count]), &device), tensor.shape))
            };
            let (first, shape) = moment("first")?;
            let (second, _) = moment("second")?;
            self.optimizer.moments.insert(key, Moments { first, second, shape });
        }
        Ok(())
    }

    /// Loss and gradients. The towers share nothing but the loss, so each has a graph of its own: the gradient of the
    /// loss by the features is the start of both backward passes, and on a CPU the towers run side by side.
    fn gradients(
        &self,
        model: &ClipModel,
        images: Tensor<4>,
        tokens: Tensor<2, Int>,
        mode: Forward,
    ) -> Result<(f64, TowerGradients), ModelError> {
        let (image_features, text_features) =
            self.device.join(|| model.encode_image(images, mode), || model.encode_text(tokens, mode));
        let image_leaf = image_features.clone().detach().require_grad();
        let text_leaf = text_features.clone().detach().require_grad();
        let loss = contrastive_loss(image_leaf.clone(), text_leaf.clone(), model.logit_scale.val());
        let loss_value = scalar(loss.clone().inner())?;
        let mut head = loss.mul_scalar(self.loss_scale.factor).backward();
        let lost = || ModelError::Device { reason: "the loss gave no gradient".to_owned() };
        let by_images = image_leaf.grad_remove(&mut head).ok_or_else(lost)?;
        let by_texts = text_leaf.grad_remove(&mut head).ok_or_else(lost)?;
        let (vision, text) =
            self.device.join(|| backward_from(image_features, by_images), || backward_from(text_features, by_texts));
        Ok((loss_value, TowerGradients { parts: [head, vision, text] }))
    }

    fn model(&self) -> Result<&ClipModel, ModelError> {
        self.model.as_ref().ok_or_else(|| ModelError::Device { reason: "an earlier step failed".to_owned() })
    }

    fn apply(&mut self, gradients: TowerGradients, learning_rate: f64, unscale: f64) -> Result<(), ModelError> {
        self.model()?;
        self.optimizer.steps += 1;
        let mut update =
            Update { optimizer: &mut self.optimizer, gradients, learning_rate, unscale, path: KeyPath::default() };
        self.model = self.model.take().map(|model| model.map(&mut update));
        Ok(())
    }
}

/// The reference's exclusion rule: by substring of the key, so that BERT's `LayerNorm.weight` IS decayed.
fn is_decayed(key: &str) -> bool {
    !["bn", "ln", "bias", "logit_scale"].iter().any(|part| key.contains(part))
}

/// Gradients of the loss scale, the vision tower and the text tower; every parameter is in one of them.
struct TowerGradients {
    parts: [Gradients; 3],
}

impl TowerGradients {
    fn get<const D: usize>(&self, tensor: &Tensor<D>) -> Option<Tensor<D>> {
        self.parts.iter().find_map(|part| tensor.grad(part))
    }

    fn remove<const D: usize>(&mut self, tensor: &Tensor<D>) -> Option<Tensor<D>> {
        self.parts.iter_mut().find_map(|part| tensor.grad_remove(part))
    }
}

/// Carries the gradient of the loss by `features` back to the parameters.
fn backward_from(features: Tensor<2>, gradient: Tensor<2>) -> Gradients {
    (features * Tensor::from_inner(gradient)).sum().backward()
}

struct Update<'a> {
    optimizer: &'a mut AdamW,
    gradients: TowerGradients,
    learning_rate: f64,
    unscale: f64,
    path: KeyPath,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove(&tensor) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let key = self.path.key();
        let shape = tensor.dims();
        let count = shape.iter().product::<usize>();
        let gradient = gradient.reshape([count]).mul_scalar(self.unscale);
        let value: Tensor<1> = tensor.inner().reshape([count]);
        let updated = self.optimizer.update(&key, &shape, value, gradient, self.learning_rate);
        let updated = if key == "logit_scale" { updated.clamp(0.0, MAX_LOGIT_SCALE) } else { updated };
        let tensor = Tensor::from_inner(updated.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

impl AdamW {
    fn update(
        &mut self,
        key: &str,
        shape: &[usize],
        value: Tensor<1>,
        gradient: Tensor<1>,
        learning_rate: f64,
    ) -> Tensor<1> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let (first, second) = match self.moments.remove(key) {
            Some(Moments { first, second, .. }) => (
                first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1),
                second.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2),
            ),
            None => (gradient.clone().mul_scalar(1.0 - beta1), gradient.square().mul_scalar(1.0 - beta2)),
        };
        let correction1 = 1.0 - beta1.powi(self.steps);
        let correction2 = 1.0 - beta2.powi(self.steps);
        let denominator = second.clone().sqrt().mul_scalar(correction2.powf(-0.5)).add_scalar(epsilon);
        let decay = if is_decayed(key) { learning_rate * weight_decay } else { 0.0 };
        let value = if decay == 0.0 { value } else { value.mul_scalar(1.0 - decay) };
        let updated = value - (first.clone() / denominator).mul_scalar(learning_rate / correction1);
        self.moments.insert(key.to_owned(), Moments { first, second, shape: shape.to_vec() });
        updated
    }
}

fn gradient_norm(model: &ClipModel, gradients: &TowerGradients) -> Result<f64, ModelError> {
    let mut visitor = SquaredNorm { gradients, squares: Vec::new() };
    model.visit(&mut visitor);
    if visitor.squares.is_empty() {
        return Ok(0.0);
    }
    Ok(scalar(Tensor::cat(visitor.squares, 0).sum())?.sqrt())
}

struct SquaredNorm<'a> {
    gradients: &'a TowerGradients,
    squares: Vec<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get(&param.val()) {
            self.squares.push(gradient.square().sum());
        }
    }
}

fn scalar(tensor: Tensor<1>) -> Result<f64, ModelError> {
    Ok(read(tensor)?.first().copied().map_or(f64::NAN, f64::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_follows_the_reference_by_substring() {
        assert!(is_decayed("bert.encoder.layer.0.output.LayerNorm.weight"));
        assert!(is_decayed("visual.class_embedding"));
        assert!(!is_decayed("visual.ln_pre.weight"));
        assert!(!is_decayed("visual.transformer.resblocks.0.attn.in_proj_bias"));
        assert!(!is_decayed("logit_scale"));
    }

    #[test]
    fn the_loss_scale_halves_on_overflow_and_leaves_the_step_out() {
        let mut scale = LossScale::new(Precision::Fp16);
        assert!(scale.accept(1.0));
        assert!(!scale.accept(f64::INFINITY));
        assert_eq!(scale.factor, 32_768.0);
        assert!(LossScale::new(Precision::Fp32).accept(f64::NAN));
    }
}
