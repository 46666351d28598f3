//! Vision towers.

mod positions;
mod resnet;
mod vit;

pub(crate) use positions::interpolate_positions;
pub use resnet::ResNet;
pub use vit::VisionTransformer;

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::config::VisionConfig;
use super::error::ModelError;
use super::layer::Forward;
use super::parameters::ParameterLoader;

/// Mean of each colour channel, as CLIP has it.
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation of each colour channel, as CLIP has it.
pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Either image tower.
#[derive(Module, Debug)]
pub enum VisionTower {
    Vit(VisionTransformer),
    ResNet(ResNet),
}

impl VisionTower {
    pub(crate) fn load(at: ParameterLoader<'_>, config: &VisionConfig, embed_dim: usize) -> Result<Self, ModelError> {
        Ok(match config {
            VisionConfig::Vit(vit) => Self::Vit(VisionTransformer::load(at, vit, embed_dim)?),
            VisionConfig::ResNet(resnet) => Self::ResNet(ResNet::load(at, resnet, embed_dim)?),
        })
    }

    /// `[batch, 3, side, side]` to features `[batch, embed_dim]`, not normalised.
    pub fn forward(&self, images: Tensor<4>, mode: Forward) -> Tensor<2> {
        match self {
            Self::Vit(vit) => vit.forward(images, mode),
            Self::ResNet(resnet) => resnet.forward(images, mode),
        }
    }
    /// Blocks between [`Self::start`] and [`Self::end`]; the residual network has none.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.depth(),
            Self::ResNet(_) => 0,
        }
    }

    /// What the first block takes; of the residual network the features themselves, `[batch, 1, embed_dim]`.
    pub(crate) fn start(&self, images: Tensor<4>, kept: Option<Tensor<2, Int>>, mode: Forward) -> Tensor<3> {
        match self {
            Self::Vit(vit) => vit.start(images, kept, mode),
            Self::ResNet(resnet) => resnet.forward(images, mode).unsqueeze_dim(1),
        }
    }

    pub(crate) fn block(&self, index: usize, x: Tensor<3>, mode: Forward) -> Tensor<3> {
        match self {
            Self::Vit(vit) => vit.block(index, x, mode),
            Self::ResNet(_) => x,
        }
    }

    pub(crate) fn end(&self, x: Tensor<3>, mode: Forward) -> Tensor<2> {
        match self {
            Self::Vit(vit) => vit.end(x, mode),
            Self::ResNet(_) => x.squeeze_dim(1),
        }
    }
}
