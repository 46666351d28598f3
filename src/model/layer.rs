//! The layers both towers share, with weights in the reference's layout, and the precision they compute in.
use burn::module::{Module, Param};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::parameters::ParameterLoader;

/// Precision of the matrix products; weights, norms, softmax and loss stay in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Fp32,
    Bf16,
    /// With a dynamic loss scale.
    Fp16,
}

impl Precision {
    fn narrow(self) -> Option<FloatDType> {
        match self {
            Self::Fp32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::Fp16 => Some(FloatDType::F16),
        }
    }

    /// A matrix product in this precision; takes and returns 32 bits.
    pub(crate) fn matmul<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        match self.narrow() {
            None => a.matmul(b),
            Some(dtype) => a.cast(dtype).matmul(b.cast(dtype)).cast(FloatDType::F32),
        }
    }
}

/// How a forward pass runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forward {
    pub precision: Precision,
    /// Whether dropout is active.
    pub training: bool,
}

impl Forward {
    /// Zeroes entries with `probability` and scales the rest up, while training.
    pub(crate) fn dropout<const D: usize>(self, x: Tensor<D>, probability: f64) -> Tensor<D> {
        if !self.training || probability == 0.0 {
            return x;
        }
        let keep = 1.0 - probability;
        let mask = x.random_like(Distribution::Bernoulli(keep)).detach();
        x * mask.mul_scalar(1.0 / keep)
    }
}

/// `y = x Wᵀ + b` with `weight` `[out, in]`.
#[derive(Module, Debug)]
pub struct Linear {
    pub weight: Param<Tensor<2>>,
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    pub(crate) fn load(mut at: ParameterLoader<'_>, input: usize, output: usize) -> Result<Self, ModelError> {
        Ok(Self { weight: at.parameter("weight", [output, input])?, bias: at.parameter("bias", [output])? })
    }

    /// `[batch, tokens, in]` to `[batch, tokens, out]`.
    pub(crate) fn forward(&self, x: Tensor<3>, mode: Forward) -> Tensor<3> {
        linear(x, self.weight.val(), self.bias.val(), mode)
    }
}

/// `[batch, tokens, in]` by `weight` `[out, in]` and `bias` `[out]`, as one matrix product over all tokens.
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, mode: Forward) -> Tensor<3> {
    let [batch, tokens, input] = x.dims();
    let [output, _] = weight.dims();
    let flat: Tensor<2> = x.reshape([batch * tokens, input]);
    let y = mode.precision.matmul(flat, weight.transpose()) + bias.unsqueeze();
    y.reshape([batch, tokens, output])
}

/// Layer normalisation over the last dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    pub weight: Param<Tensor<1>>,
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn load(mut at: ParameterLoader<'_>, width: usize, epsilon: f64) -> Result<Self, ModelError> {
        Ok(Self { weight: at.parameter("weight", [width])?, bias: at.parameter("bias", [width])?, epsilon })
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), Some(self.bias.val()), self.epsilon)
    }
}

/// A table of vectors `[rows, width]`.
#[derive(Module, Debug)]
pub struct Embedding {
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    pub(crate) fn load(mut at: ParameterLoader<'_>, rows: usize, width: usize) -> Result<Self, ModelError> {
        Ok(Self { weight: at.parameter("weight", [rows, width])? })
    }
}

/// Scaled dot-product attention over `[batch, heads, tokens, head_width]`; `bias` is added to the scores.
pub(crate) fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    dropout: f64,
    mode: Forward,
) -> Tensor<4> {
    let head_width = query.dims()[3] as f64;
    let query = query.mul_scalar(head_width.powf(-0.5));
    let mut scores = mode.precision.matmul(query, key.swap_dims(2, 3));
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    let weights = mode.dropout(burn::tensor::activation::softmax(scores, 3), dropout);
    mode.precision.matmul(weights, value)
}

/// `[batch, tokens, width]` to `[batch, heads, tokens, width / heads]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
}

/// The inverse of [`split_heads`].
pub(crate) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, head_width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * head_width])
}

/// `x · sigmoid(1.702 x)`.
pub(crate) fn quick_gelu(x: Tensor<3>) -> Tensor<3> {
    let gate = burn::tensor::activation::sigmoid(x.clone().mul_scalar(1.702));
    x * gate
}

/// The positions 0, 1, … as a row of indices.
pub(crate) fn positions(count: usize, device: &Device) -> Tensor<1, burn::tensor::Int> {
    Tensor::arange(0..count as i64, device)
}
