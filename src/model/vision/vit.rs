//! The pre-norm vision transformer of CLIP with QuickGELU, as in the reference's `model.py`.
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use crate::model::config::VitConfig;
use crate::model::error::ModelError;
use crate::model::layer::{Forward, LayerNorm, Linear, attention, linear, merge_heads, quick_gelu, split_heads};
use crate::model::parameters::ParameterLoader;

const LAYER_NORM_EPSILON: f64 = 1e-5;

/// `[batch, 3, side, side]` to `[batch, embed_dim]`.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    conv1: PatchEmbedding,
    class_embedding: Param<Tensor<1>>,
    positional_embedding: Param<Tensor<2>>,
    ln_pre: LayerNorm,
    transformer: Transformer,
    ln_post: LayerNorm,
    proj: Param<Tensor<2>>,
}

/// A convolution whose stride equals its kernel: one matrix product over patches.
#[derive(Module, Debug)]
struct PatchEmbedding {
    weight: Param<Tensor<4>>,
}

#[derive(Module, Debug)]
struct Transformer {
    resblocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    attn: SelfAttention,
    ln_1: LayerNorm,
    mlp: Mlp,
    ln_2: LayerNorm,
}

#[derive(Module, Debug)]
struct SelfAttention {
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out_proj: Linear,
    heads: usize,
}

#[derive(Module, Debug)]
struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
}

impl VisionTransformer {
    pub(crate) fn load(mut at: ParameterLoader<'_>, config: &VitConfig, embed_dim: usize) -> Result<Self, ModelError> {
        let width = config.width;
        let patch = config.patch_size;
        let mut resblocks = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            resblocks.push(Block::load(at.at(format!("transformer.resblocks.{layer}")), config)?);
        }
        Ok(Self {
            conv1: PatchEmbedding { weight: at.at("conv1").parameter("weight", [width, 3, patch, patch])? },
            class_embedding: at.parameter("class_embedding", [width])?,
            positional_embedding: at.parameter("positional_embedding", [config.patches() + 1, width])?,
            ln_pre: LayerNorm::load(at.at("ln_pre"), width, LAYER_NORM_EPSILON)?,
            transformer: Transformer { resblocks },
            ln_post: LayerNorm::load(at.at("ln_post"), width, LAYER_NORM_EPSILON)?,
            proj: at.parameter("proj", [width, embed_dim])?,
        })
    }

    /// Image features `[batch, embed_dim]`, not normalised.
    pub fn forward(&self, images: Tensor<4>, mode: Forward) -> Tensor<2> {
        let x = self.start(images, None, mode);
        self.end(self.transformer.resblocks.iter().fold(x, |x, block| block.forward(x, mode)), mode)
    }

    pub(crate) fn depth(&self) -> usize {
        self.transformer.resblocks.len()
    }

    /// Embedded patches behind the class token, `[batch, 1 + patches, width]`; only those whose indices are in `kept`
    /// `[batch, kept]`, if it is given.
    pub(crate) fn start(&self, images: Tensor<4>, kept: Option<Tensor<2, Int>>, mode: Forward) -> Tensor<3> {
        let x = self.conv1.forward(images, mode);
        let [batch, patches, width] = x.dims();
        let positions = self.positional_embedding.val();
        let mut x = x + positions.clone().narrow(0, 1, patches).unsqueeze();
        if let Some(kept) = kept {
            let [_, count] = kept.dims();
            x = x.gather(1, kept.reshape([batch, count, 1]).expand([batch, count, width]));
        }
        let class: Tensor<2> = self.class_embedding.val().unsqueeze() + positions.narrow(0, 0, 1);
        let class: Tensor<3> = class.reshape([1, 1, width]).expand([batch, 1, width]);
        self.ln_pre.forward(Tensor::cat(vec![class, x], 1))
    }

    /// One block; none beyond the last.
    pub(crate) fn block(&self, index: usize, x: Tensor<3>, mode: Forward) -> Tensor<3> {
        match self.transformer.resblocks.get(index) {
            Some(block) => block.forward(x, mode),
            None => x,
        }
    }

    /// From the class token to features.
    pub(crate) fn end(&self, x: Tensor<3>, mode: Forward) -> Tensor<2> {
        let class: Tensor<2> = x.narrow(1, 0, 1).squeeze_dim(1);
        mode.precision.matmul(self.ln_post.forward(class), self.proj.val())
    }
}

impl PatchEmbedding {
    /// `[batch, 3, side, side]` to `[batch, patches, width]`.
    fn forward(&self, images: Tensor<4>, mode: Forward) -> Tensor<3> {
        let weight = self.weight.val();
        let [width, channels, patch, _] = weight.dims();
        let [batch, _, side, _] = images.dims();
        let grid = side / patch;
        let patches: Tensor<2> = images
            .reshape([batch, channels, grid, patch, grid, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch * grid * grid, channels * patch * patch]);
        let kernel: Tensor<2> = weight.reshape([width, channels * patch * patch]);
        mode.precision.matmul(patches, kernel.transpose()).reshape([batch, grid * grid, width])
    }
}

impl Block {
    fn load(mut at: ParameterLoader<'_>, config: &VitConfig) -> Result<Self, ModelError> {
        let width = config.width;
        let mut attn = at.at("attn");
        let attn = SelfAttention {
            in_proj_weight: attn.parameter("in_proj_weight", [3 * width, width])?,
            in_proj_bias: attn.parameter("in_proj_bias", [3 * width])?,
            out_proj: Linear::load(attn.at("out_proj"), width, width)?,
            heads: config.heads(),
        };
        Ok(Self {
            attn,
            ln_1: LayerNorm::load(at.at("ln_1"), width, LAYER_NORM_EPSILON)?,
            mlp: Mlp {
                c_fc: Linear::load(at.at("mlp.c_fc"), width, 4 * width)?,
                c_proj: Linear::load(at.at("mlp.c_proj"), 4 * width, width)?,
            },
            ln_2: LayerNorm::load(at.at("ln_2"), width, LAYER_NORM_EPSILON)?,
        })
    }

    fn forward(&self, x: Tensor<3>, mode: Forward) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln_1.forward(x), mode);
        let hidden = quick_gelu(self.mlp.c_fc.forward(self.ln_2.forward(x.clone()), mode));
        x + self.mlp.c_proj.forward(hidden, mode)
    }
}

impl SelfAttention {
    fn forward(&self, x: Tensor<3>, mode: Forward) -> Tensor<3> {
        let width = x.dims()[2];
        let qkv = linear(x, self.in_proj_weight.val(), self.in_proj_bias.val(), mode);
        let part = |index: usize| split_heads(qkv.clone().narrow(2, index * width, width), self.heads);
        let context = attention(part(0), part(1), part(2), None, 0.0, mode);
        self.out_proj.forward(merge_heads(context), mode)
    }
}
