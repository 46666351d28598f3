//! Encoding on the CPU without Burn: weights packed once, products with fused ends, no padding, no gradients.
//!
//! Training, CUDA and the convolutional tower go through Burn; the golden tests hold both against the same numbers.

mod attention;
mod bert;
mod elementwise;
mod kernel;
mod kernel_dots;
mod kernel_fractions;
mod kernel_i8;
mod kernel_select;
mod layer;
mod product;
mod vit;

pub use kernel::{has_fast_bf16, vectorized};
pub use kernel_fractions::{fraction_f32, fractions_f32, has_fast_fractions, rounds_alike};
pub use kernel_i8::has_fast_i8;

pub(super) use bert::CpuBert;
pub(super) use kernel::{InLanes, Lane, TILE_COLUMNS, TILE_ROWS, Tile, tile_f32};
pub(super) use kernel_dots::{dots_f32, quick_dots_f32};
pub(super) use kernel_i8::{IntegerTile, QUAD_BYTES, ROW_ALIGNMENT, rows_i8, tile_i8};
pub(super) use kernel_select::{Reached, kth_of_columns};
pub(super) use product::WeightFormat;
pub(super) use vit::CpuVisionTransformer;

/// Rows of activations that are in work at a time; more gain nothing and cost memory.
const ROWS_AT_A_TIME: usize = 1_600;
