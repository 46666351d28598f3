//! Encoding on the CPU without Burn: weights packed once, products with fused ends, no padding, no gradients.
//!
//! Training, CUDA and the convolutional tower go through Burn; the golden tests hold both against the same numbers.

mod attention;
mod bert;
mod elementwise;
mod kernel;
mod layer;
mod product;
mod vit;

pub use kernel::{has_fast_bf16, vectorized};

pub(super) use bert::CpuBert;
pub(super) use product::WeightFormat;
pub(super) use vit::CpuVisionTransformer;

/// Rows of activations that are in work at a time; more gain nothing and cost memory.
const ROWS_AT_A_TIME: usize = 1_600;
