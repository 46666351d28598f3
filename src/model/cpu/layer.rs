//! What both towers are made of: a norm with its weights, and the block that transforms a ragged batch.
use rayon::prelude::*;

use super::attention::SelfAttention;
use super::elementwise::{Activation, layer_norm};
use super::kernel::vectorized;
use super::product::{Output, PackedLinear, Rows, WeightFormat};
use crate::model::{ModelError, ParameterSource};

/// Rows that one task normalises.
const ROWS_PER_TASK: usize = 32;

/// Layer normalisation over the last dimension.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    pub(super) fn load(
        source: &mut dyn ParameterSource,
        prefix: &str,
        width: usize,
        epsilon: f32,
    ) -> Result<Self, ModelError> {
        let weight = source.take(&format!("{prefix}.weight"), &[width])?;
        let bias = source.take(&format!("{prefix}.bias"), &[width])?;
        Ok(Self { weight, bias, epsilon })
    }

    /// Normalises every row of `[rows, width]` in place.
    pub(super) fn apply(&self, rows: &mut [f32]) {
        let width = self.weight.len();
        rows.par_chunks_mut(width * ROWS_PER_TASK).for_each(|rows| {
            vectorized(|| {
                rows.chunks_mut(width).for_each(|row| layer_norm(row, &self.weight, &self.bias, self.epsilon));
            });
        });
    }

    /// Normalises every row of `from` into `to`.
    pub(super) fn apply_to(&self, from: &[f32], to: &mut Vec<f32>) {
        to.clear();
        to.extend_from_slice(from);
        self.apply(to);
    }
}

/// `prefix.weight` `[out, in]` and `prefix.bias` `[out]`, packed.
pub(super) fn load_linear(
    source: &mut dyn ParameterSource,
    prefix: &str,
    input: usize,
    output: usize,
    format: WeightFormat,
) -> Result<PackedLinear, ModelError> {
    let weight = source.take(&format!("{prefix}.weight"), &[output, input])?;
    let bias = source.take(&format!("{prefix}.bias"), &[output])?;
    Ok(PackedLinear::from_rows(&weight, input, bias, format))
}

/// The products of one transformer layer.
#[derive(Debug)]
pub(super) struct Block {
    /// To query, key and value side by side.
    pub qkv: PackedLinear,
    pub attention_output: PackedLinear,
    pub hidden: PackedLinear,
    pub output: PackedLinear,
    pub first_norm: Norm,
    pub second_norm: Norm,
    pub activation: Activation,
    /// Whether the norms stand before the two halves (`ViT`) or after them (BERT).
    pub norm_first: bool,
    pub heads: usize,
    pub hidden_width: usize,
}

/// Buffers that live from block to block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    normed: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    hidden: Vec<f32>,
}

impl Block {
    /// Transforms `x` `[tokens, width]` in place. With `first_only` each item leaves its first token alone:
    /// `x` becomes `[items, width]`, and what the other tokens would have become is never computed.
    pub(super) fn forward(
        &self,
        x: &mut Vec<f32>,
        width: usize,
        lengths: &[usize],
        tokens: Option<&[u32]>,
        first_only: bool,
        scratch: &mut Scratch,
    ) {
        let queries = if first_only { 1 } else { usize::MAX };
        let attention = SelfAttention { lengths, heads: self.heads, queries, tokens };
        let input = if self.norm_first {
            self.first_norm.apply_to(x, &mut scratch.normed);
            &scratch.normed
        } else {
            &*x
        };
        scratch.qkv.resize(x.len() * 3, 0.0);
        self.qkv.multiply(Rows::dense(input, width), &mut scratch.qkv, Output::Write(Activation::Identity));
        scratch.context.resize(attention.output_rows() * width, 0.0);
        attention.run(&scratch.qkv, width, &mut scratch.context);
        if first_only {
            *x = first_rows(x, width, lengths);
        }
        self.attention_output.multiply(Rows::dense(&scratch.context, width), x, Output::Add);
        let input = if self.norm_first {
            self.second_norm.apply_to(x, &mut scratch.normed);
            &scratch.normed
        } else {
            self.first_norm.apply(x);
            &*x
        };
        scratch.hidden.resize(input.len() / width * self.hidden_width, 0.0);
        self.hidden.multiply(Rows::dense(input, width), &mut scratch.hidden, Output::Write(self.activation));
        self.output.multiply(Rows::dense(&scratch.hidden, self.hidden_width), x, Output::Add);
        if !self.norm_first {
            self.second_norm.apply(x);
        }
    }
}

fn first_rows(x: &[f32], width: usize, lengths: &[usize]) -> Vec<f32> {
    let starts = lengths.iter().scan(0, |next, length| {
        let start = *next;
        *next += length;
        Some(start)
    });
    starts.flat_map(|start| &x[start * width..][..width]).copied().collect()
}
