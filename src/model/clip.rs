//! The two towers together, and the encoder that the other rooms call with plain slices.
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::ClipConfig;
use super::device::ComputeDevice;
use super::error::ModelError;
use super::init::RandomSource;
use super::layer::{Forward, Precision};
use super::parameters::{self, ParameterLoader, ParameterSource, StateDict};
use super::text::Bert;
use super::vision::VisionTransformer;

/// Chinese-CLIP.
#[derive(Module, Debug)]
pub struct ClipModel {
    visual: VisionTransformer,
    bert: Bert,
    text_projection: Param<Tensor<2>>,
    pub(crate) logit_scale: Param<Tensor<1>>,
}

impl ClipModel {
    pub(crate) fn load(
        config: &ClipConfig,
        source: &mut dyn ParameterSource,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut at = ParameterLoader::new(source, device);
        Ok(Self {
            visual: VisionTransformer::load(at.at("visual"), &config.vision, config.embed_dim)?,
            bert: Bert::load(at.at("bert"), &config.text)?,
            text_projection: at.parameter("text_projection", [config.text.hidden_size, config.embed_dim])?,
            logit_scale: at.parameter("logit_scale", [1])?,
        })
    }

    /// `[batch, 3, side, side]` to features `[batch, embed_dim]`, not normalised.
    pub fn encode_image(&self, images: Tensor<4>, mode: Forward) -> Tensor<2> {
        self.visual.forward(images, mode)
    }

    /// `[batch, tokens]` to features `[batch, embed_dim]`, not normalised.
    pub fn encode_text(&self, tokens: Tensor<2, Int>, mode: Forward) -> Tensor<2> {
        mode.precision.matmul(self.bert.forward(tokens, mode), self.text_projection.val())
    }
}

/// Fresh weights of a configuration, the same for the same seed on every device.
pub fn random_state(config: &ClipConfig, seed: u64) -> Result<StateDict, ModelError> {
    let mut source = RandomSource::new(seed);
    parameters::state_dict(&ClipModel::load(config, &mut source, &ComputeDevice::cpu().plain())?)
}

/// A model ready for inference, called with host memory.
#[derive(Debug, Clone)]
pub struct Encoder {
    model: ClipModel,
    config: ClipConfig,
    device: Device,
    precision: Precision,
}

impl Encoder {
    /// Builds the model from `state` and checks that no tensor is missing, misshapen or left over.
    pub fn new(
        config: &ClipConfig,
        mut state: StateDict,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let device = device.plain();
        let model = ClipModel::load(config, &mut state, &device)?;
        reject_unused(&state)?;
        Ok(Self { model, config: config.clone(), device, precision })
    }

    pub(crate) fn from_model(model: ClipModel, config: &ClipConfig, device: &ComputeDevice) -> Self {
        Self { model, config: config.clone(), device: device.plain(), precision: Precision::Fp32 }
    }

    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Unit vectors `[count, embed_dim]` of preprocessed images `[count, 3, side, side]`.
    pub fn encode_images(&self, pixels: &[f32], count: usize) -> Result<Vec<f32>, ModelError> {
        let images = image_tensor(pixels.to_vec(), count, &self.config, &self.device);
        let mut features = read(self.model.encode_image(images, self.mode()))?;
        normalize_rows(&mut features, self.config.embed_dim);
        Ok(features)
    }

    /// Unit vectors `[count, embed_dim]` of token ids `[count, tokens]`.
    pub fn encode_texts(&self, tokens: &[u32], count: usize) -> Result<Vec<f32>, ModelError> {
        let tokens = token_tensor(tokens, count, &self.config, &self.device)?;
        let mut features = read(self.model.encode_text(tokens, self.mode()))?;
        normalize_rows(&mut features, self.config.embed_dim);
        Ok(features)
    }

    /// The weights on the host.
    pub fn state_dict(&self) -> Result<StateDict, ModelError> {
        parameters::state_dict(&self.model)
    }

    fn mode(&self) -> Forward {
        Forward { precision: self.precision, training: false }
    }
}

/// Fails when a state dict holds tensors that the model did not take.
pub(crate) fn reject_unused(state: &StateDict) -> Result<(), ModelError> {
    match state.keys().next() {
        None => Ok(()),
        Some(first) => Err(ModelError::UnusedTensors { count: state.len(), first: first.clone() }),
    }
}

pub(crate) fn image_tensor(pixels: Vec<f32>, count: usize, config: &ClipConfig, device: &Device) -> Tensor<4> {
    let side = config.vision.image_resolution;
    Tensor::from_data(TensorData::new(pixels, [count, 3, side, side]), device)
}

pub(crate) fn token_tensor(
    tokens: &[u32],
    count: usize,
    config: &ClipConfig,
    device: &Device,
) -> Result<Tensor<2, Int>, ModelError> {
    let length = tokens.len() / count.max(1);
    let expected = config.text.max_position_embeddings;
    if length > expected {
        return Err(ModelError::ContextTooLong { expected, found: length });
    }
    let ids: Vec<i64> = tokens.iter().map(|id| i64::from(*id)).collect();
    Ok(Tensor::from_data(TensorData::new(ids, [count, length]), device))
}

pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| ModelError::Device { reason: format!("{error:?}") })
}

/// Scales every row of `[n, dimension]` to length one; a zero row stays zero.
pub fn normalize_rows(values: &mut [f32], dimension: usize) {
    for row in values.chunks_exact_mut(dimension) {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
        }
    }
}
