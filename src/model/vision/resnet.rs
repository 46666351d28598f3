//! CLIP's residual network: three-convolution stem, average pooling before every stride, attention pooling at the end;
//! as `ModifiedResNet` in the reference's `model.py`. Its convolutions compute in 32 bits in every precision.
use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions};

use crate::model::config::ResNetConfig;
use crate::model::error::ModelError;
use crate::model::layer::{Forward, Linear, attention, merge_heads, split_heads};
use crate::model::parameters::ParameterLoader;

const EPSILON: f64 = 1e-5;
/// Share of a new batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// `[batch, 3, side, side]` to `[batch, embed_dim]`.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Convolution,
    bn1: BatchNorm,
    conv2: Convolution,
    bn2: BatchNorm,
    conv3: Convolution,
    bn3: BatchNorm,
    layer1: Vec<Bottleneck>,
    layer2: Vec<Bottleneck>,
    layer3: Vec<Bottleneck>,
    layer4: Vec<Bottleneck>,
    attnpool: AttentionPool,
}

/// Without bias; padded so that a stride of one keeps the size.
#[derive(Module, Debug)]
struct Convolution {
    weight: Param<Tensor<4>>,
    stride: usize,
}

#[derive(Module, Debug)]
struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Convolution,
    bn1: BatchNorm,
    conv2: Convolution,
    bn2: BatchNorm,
    conv3: Convolution,
    bn3: BatchNorm,
    downsample: Option<Downsample>,
    stride: usize,
}

/// The shortcut where channels or size change.
#[derive(Module, Debug)]
struct Downsample {
    shortcut_conv: Convolution,
    shortcut_norm: BatchNorm,
}

#[derive(Module, Debug)]
struct AttentionPool {
    positional_embedding: Param<Tensor<2>>,
    k_proj: Linear,
    q_proj: Linear,
    v_proj: Linear,
    c_proj: Linear,
    heads: usize,
}

impl ResNet {
    pub(crate) fn load(
        mut at: ParameterLoader<'_>,
        config: &ResNetConfig,
        embed_dim: usize,
    ) -> Result<Self, ModelError> {
        let stem = config.width / 2;
        let mut input = config.width;
        let mut stages = Vec::with_capacity(4);
        for (stage, blocks) in config.layers.into_iter().enumerate() {
            let planes = config.width << stage;
            let mut layer = Vec::with_capacity(blocks);
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let shortcut = block == 0;
                let name = format!("layer{}.{block}", stage + 1);
                layer.push(Bottleneck::load(at.at(name), input, planes, stride, shortcut)?);
                input = 4 * planes;
            }
            stages.push(layer);
        }
        let mut stages = stages.into_iter();
        let mut next = || stages.next().unwrap_or_default();
        Ok(Self {
            conv1: Convolution::load(at.at("conv1"), 3, stem, 3, 2)?,
            bn1: BatchNorm::load(at.at("bn1"), stem)?,
            conv2: Convolution::load(at.at("conv2"), stem, stem, 3, 1)?,
            bn2: BatchNorm::load(at.at("bn2"), stem)?,
            conv3: Convolution::load(at.at("conv3"), stem, config.width, 3, 1)?,
            bn3: BatchNorm::load(at.at("bn3"), config.width)?,
            layer1: next(),
            layer2: next(),
            layer3: next(),
            layer4: next(),
            attnpool: AttentionPool::load(at.at("attnpool"), config, embed_dim)?,
        })
    }

    /// Image features `[batch, embed_dim]`, not normalised.
    pub fn forward(&self, images: Tensor<4>, mode: Forward) -> Tensor<2> {
        let x = relu(self.bn1.forward(self.conv1.forward(images), mode));
        let x = relu(self.bn2.forward(self.conv2.forward(x), mode));
        let x = relu(self.bn3.forward(self.conv3.forward(x), mode));
        let blocks = self.layer1.iter().chain(&self.layer2).chain(&self.layer3).chain(&self.layer4);
        let x = blocks.fold(halve(x), |x, block| block.forward(x, mode));
        self.attnpool.forward(x, mode)
    }
}

impl Convolution {
    fn load(
        mut at: ParameterLoader<'_>,
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: at.parameter("weight", [output, input, kernel, kernel])?, stride })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let padding = weight.dims()[2] / 2;
        conv2d(x, weight, None, ConvOptions::new([self.stride; 2], [padding; 2], [1; 2], 1))
    }
}

impl BatchNorm {
    fn load(mut at: ParameterLoader<'_>, width: usize) -> Result<Self, ModelError> {
        Ok(Self {
            weight: at.parameter("weight", [width])?,
            bias: at.parameter("bias", [width])?,
            running_mean: RunningState::from_record(at.parameter("running_mean", [width])?),
            running_var: RunningState::from_record(at.parameter("running_var", [width])?),
        })
    }

    /// Batch statistics while training, which also move the running ones; running statistics otherwise.
    fn forward(&self, x: Tensor<4>, mode: Forward) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let channel = |x: Tensor<1>| -> Tensor<4> { x.reshape([1, channels, 1, 1]) };
        let (mean, variance) = if mode.training {
            let flat: Tensor<2> = x.clone().swap_dims(0, 1).reshape([channels, batch * height * width]);
            let mean: Tensor<1> = flat.clone().mean_dim(1).reshape([channels]);
            let centred = flat - mean.clone().reshape([channels, 1]);
            let variance: Tensor<1> = centred.square().mean_dim(1).reshape([channels]);
            self.track(&mean, &variance, batch * height * width);
            (mean, variance)
        } else {
            (self.running_mean.value(), self.running_var.value())
        };
        let factor = self.weight.val() / variance.add_scalar(EPSILON).sqrt();
        let shift = self.bias.val() - mean * factor.clone();
        x * channel(factor) + channel(shift)
    }

    /// The running variance is the unbiased one, as in PyTorch.
    fn track(&self, mean: &Tensor<1>, variance: &Tensor<1>, count: usize) {
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        for (state, new) in
            [(&self.running_mean, mean.clone()), (&self.running_var, variance.clone().mul_scalar(unbiased))]
        {
            let new = new.detach().mul_scalar(MOMENTUM);
            state.update(state.value_sync().detach().mul_scalar(1.0 - MOMENTUM) + new);
            state.value_sync();
        }
    }
}

impl Bottleneck {
    fn load(
        mut at: ParameterLoader<'_>,
        input: usize,
        planes: usize,
        stride: usize,
        shortcut: bool,
    ) -> Result<Self, ModelError> {
        let output = 4 * planes;
        let downsample = if shortcut {
            Some(Downsample {
                shortcut_conv: Convolution::load(at.at("downsample.0"), input, output, 1, 1)?,
                shortcut_norm: BatchNorm::load(at.at("downsample.1"), output)?,
            })
        } else {
            None
        };
        Ok(Self {
            conv1: Convolution::load(at.at("conv1"), input, planes, 1, 1)?,
            bn1: BatchNorm::load(at.at("bn1"), planes)?,
            conv2: Convolution::load(at.at("conv2"), planes, planes, 3, 1)?,
            bn2: BatchNorm::load(at.at("bn2"), planes)?,
            conv3: Convolution::load(at.at("conv3"), planes, output, 1, 1)?,
            bn3: BatchNorm::load(at.at("bn3"), output)?,
            downsample,
            stride,
        })
    }

    fn forward(&self, x: Tensor<4>, mode: Forward) -> Tensor<4> {
        let shrink = |x: Tensor<4>| if self.stride > 1 { halve(x) } else { x };
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone()), mode));
        let y = relu(self.bn2.forward(self.conv2.forward(y), mode));
        let y = self.bn3.forward(self.conv3.forward(shrink(y)), mode);
        let shortcut = match &self.downsample {
            Some(down) => down.shortcut_norm.forward(down.shortcut_conv.forward(shrink(x)), mode),
            None => x,
        };
        relu(y + shortcut)
    }
}

impl AttentionPool {
    fn load(mut at: ParameterLoader<'_>, config: &ResNetConfig, embed_dim: usize) -> Result<Self, ModelError> {
        let channels = config.channels();
        Ok(Self {
            positional_embedding: at.parameter("positional_embedding", [config.cells() + 1, channels])?,
            k_proj: Linear::load(at.at("k_proj"), channels, channels)?,
            q_proj: Linear::load(at.at("q_proj"), channels, channels)?,
            v_proj: Linear::load(at.at("v_proj"), channels, channels)?,
            c_proj: Linear::load(at.at("c_proj"), channels, embed_dim)?,
            heads: config.heads(),
        })
    }

    /// `[batch, channels, height, width]` to `[batch, embed_dim]`: the mean of all cells asks the cells.
    fn forward(&self, x: Tensor<4>, mode: Forward) -> Tensor<2> {
        let [batch, channels, height, width] = x.dims();
        let cells: Tensor<3> = x.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let mean = cells.clone().mean_dim(1);
        let x = Tensor::cat(vec![mean, cells], 1) + self.positional_embedding.val().unsqueeze();
        let query = split_heads(self.q_proj.forward(x.clone().narrow(1, 0, 1), mode), self.heads);
        let key = split_heads(self.k_proj.forward(x.clone(), mode), self.heads);
        let value = split_heads(self.v_proj.forward(x, mode), self.heads);
        let pooled = merge_heads(attention(query, key, value, None, 0.0, mode));
        self.c_proj.forward(pooled, mode).squeeze_dim(1)
    }
}

/// Average pooling over 2 × 2.
fn halve(x: Tensor<4>) -> Tensor<4> {
    avg_pool2d(x, AvgPoolOptions::new([2, 2]))
}
