//! The two towers together, in Burn: for training, and for encoding on a device.
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::ClipConfig;
use super::error::ModelError;
use super::layer::Forward;
use super::parameters::{KeyPath, ParameterLoader, ParameterSource};
use super::text::Bert;
use super::vision::VisionTower;

/// Chinese-CLIP.
#[derive(Module, Debug)]
pub struct ClipModel {
    visual: VisionTower,
    bert: Bert,
    text_projection: Param<Tensor<2>>,
    logit_scale: Param<Tensor<1>>,
}

impl ClipModel {
    pub(crate) fn load(
        config: &ClipConfig,
        source: &mut dyn ParameterSource,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut at = ParameterLoader::new(source, device);
        Ok(Self {
            visual: VisionTower::load(at.at("visual"), &config.vision, config.embed_dim)?,
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

    pub(super) fn vision(&self) -> &VisionTower {
        &self.visual
    }

    pub(super) fn text(&self) -> (&Bert, &Param<Tensor<2>>) {
        (&self.bert, &self.text_projection)
    }

    /// The logarithm of the logit factor, without a graph.
    pub(super) fn logit_scale(&self) -> Tensor<1> {
        self.logit_scale.val().inner()
    }

    /// Every float tensor by its key, flat and without a graph.
    pub(super) fn flat_parameters(&self, mut take: impl FnMut(String, Tensor<1>)) {
        self.visit(&mut Parameters { path: KeyPath::default(), take: |key, flat, _: &[usize]| take(key, flat) });
    }

    /// Every matrix by its key, without a graph.
    pub(super) fn matrices(&self, mut take: impl FnMut(String, Tensor<2>)) {
        let take = |key, flat: Tensor<1>, shape: &[usize]| {
            if let &[rows, columns] = shape {
                take(key, flat.reshape([rows, columns]));
            }
        };
        self.visit(&mut Parameters { path: KeyPath::default(), take });
    }
}

struct Parameters<F> {
    path: KeyPath,
    take: F,
}

impl<F: FnMut(String, Tensor<1>, &[usize])> ModuleVisitor for Parameters<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let shape = value.dims();
        let flat = value.reshape([shape.iter().product::<usize>()]);
        (self.take)(self.path.key(), flat, &shape);
    }

    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }
}

pub(crate) fn image_tensor(pixels: Vec<f32>, count: usize, config: &ClipConfig, device: &Device) -> Tensor<4> {
    let side = config.vision.image_resolution();
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
