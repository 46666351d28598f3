//! Products of activations with weights that were packed once, with bias, activation and residual in the same pass.
#![expect(clippy::inline_always, reason = "a kernel gets the vectors of the function that it is inlined into")]
use half::bf16;
use rayon::prelude::*;

use super::elementwise::Activation;
use super::kernel::{Lane, PairLane, TILE_COLUMNS, TILE_ROWS, Tile, tile_bf16, tile_f32, vectorized};

/// Bytes of activations that one task works on at a time, about half a second-level cache.
const BLOCK_BYTES: usize = 512 << 10;
/// Below this many rows the columns are divided among threads instead of the rows, so that each weight is read once.
const FEW_ROWS: usize = 128;

/// A weight matrix `[k, n]` in panels of 32 columns, and its bias.
#[derive(Debug)]
pub(super) struct PackedLinear {
    panels: Panels,
    bias: Vec<f32>,
    k: usize,
    n: usize,
}

#[derive(Debug)]
enum Panels {
    F32(Vec<Lane>),
    Bf16(Vec<PairLane>),
}

/// The number format of packed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightFormat {
    F32,
    /// Weights and activations rounded to bf16, sums in 32 bits.
    Bf16,
}

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// It replaces what was there.
    Write(Activation),
    /// It is added to what was there.
    Add,
}

/// Rows of floats, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

impl<'a> Rows<'a> {
    /// Rows without gaps.
    pub(super) fn dense(values: &'a [f32], width: usize) -> Self {
        Self { values, stride: width, count: values.len() / width }
    }
}

/// A part of the product: some columns of some rows.
struct Task<'a> {
    first_row: usize,
    first_panel: usize,
    /// One slice for each row.
    rows: Vec<&'a mut [f32]>,
}

impl PackedLinear {
    /// Packs `weight(column, k)`; an empty `bias` stands for zeros.
    pub(super) fn pack(
        k: usize,
        n: usize,
        bias: Vec<f32>,
        format: WeightFormat,
        weight: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let bias = if bias.is_empty() { vec![0.0; n] } else { bias };
        let panel_count = n.div_ceil(TILE_COLUMNS);
        let at = |panel: usize, half: usize, lane: usize, p: usize| {
            let column = panel * TILE_COLUMNS + half * 16 + lane;
            if column < n && p < k { weight(column, p) } else { 0.0 }
        };
        let panels = match format {
            WeightFormat::F32 => {
                let lane = |panel, row, half| Lane(std::array::from_fn(|lane| at(panel, half, lane, row)));
                Panels::F32(pack_panels(panel_count, k, lane))
            }
            WeightFormat::Bf16 => {
                let lane = |panel, row, half| {
                    let pair = |lane| pair(at(panel, half, lane, 2 * row), at(panel, half, lane, 2 * row + 1));
                    PairLane(std::array::from_fn(pair))
                };
                Panels::Bf16(pack_panels(panel_count, k.div_ceil(2), lane))
            }
        };
        Self { panels, bias, k, n }
    }

    /// Packs a weight `[n, k]`, as linear layers store it.
    pub(super) fn from_rows(weight: &[f32], k: usize, bias: Vec<f32>, format: WeightFormat) -> Self {
        Self::pack(k, weight.len() / k, bias, format, |column, p| weight[column * k + p])
    }

    /// Packs a weight `[k, n]`, as projections store it.
    pub(super) fn from_columns(weight: &[f32], n: usize, format: WeightFormat) -> Self {
        Self::pack(weight.len() / n, n, Vec::new(), format, |column, p| weight[p * n + column])
    }

    /// `out` `[rows, n]` from `a` `[rows, k]`.
    pub(super) fn multiply(&self, a: Rows<'_>, out: &mut [f32], output: Output) {
        let pairs = match self.panels {
            Panels::F32(_) => Vec::new(),
            Panels::Bf16(_) => pairs(a, self.k),
        };
        let tasks = self.tasks(a.count, out);
        tasks.into_par_iter().for_each(|task| self.run(a, &pairs, task, output));
    }

    fn tasks<'a>(&self, rows: usize, out: &'a mut [f32]) -> Vec<Task<'a>> {
        let threads = rayon::current_num_threads();
        let panels = self.n.div_ceil(TILE_COLUMNS);
        if rows < FEW_ROWS {
            let span = panels.div_ceil(4 * threads);
            let mut tasks: Vec<Task<'a>> = (0..panels.div_ceil(span))
                .map(|part| Task { first_row: 0, first_panel: part * span, rows: Vec::with_capacity(rows) })
                .collect();
            for row in out.chunks_mut(self.n) {
                tasks.iter_mut().zip(row.chunks_mut(span * TILE_COLUMNS)).for_each(|(task, part)| task.rows.push(part));
            }
            return tasks;
        }
        let fitting = (BLOCK_BYTES / (4 * self.k)).clamp(TILE_ROWS, 192);
        let span = fitting.min(rows.div_ceil(2 * threads)).next_multiple_of(TILE_ROWS);
        let parts = out.chunks_mut(span * self.n).enumerate();
        let task = |(part, rows): (usize, &'a mut [f32])| Task {
            first_row: part * span,
            first_panel: 0,
            rows: rows.chunks_mut(self.n).collect(),
        };
        parts.map(task).collect()
    }

    fn run(&self, a: Rows<'_>, pairs: &[u32], mut task: Task<'_>, output: Output) {
        let columns = task.rows.first().map_or(0, |row| row.len());
        let mut tile: Tile = [[0.0; TILE_COLUMNS]; TILE_ROWS];
        for panel in 0..columns.div_ceil(TILE_COLUMNS) {
            let from = panel * TILE_COLUMNS;
            let to = (from + TILE_COLUMNS).min(columns);
            let first_column = (task.first_panel + panel) * TILE_COLUMNS;
            let bias = &self.bias[first_column..][..to - from];
            for (block, rows) in task.rows.chunks_mut(TILE_ROWS).enumerate() {
                let row = task.first_row + block * TILE_ROWS;
                self.tile(a, pairs, row, rows.len(), task.first_panel + panel, &mut tile);
                vectorized(|| {
                    for (sums, out) in tile.iter_mut().zip(rows.iter_mut()) {
                        finish(sums, bias, &mut out[from..to], output);
                    }
                });
            }
        }
    }

    fn tile(&self, a: Rows<'_>, pairs: &[u32], row: usize, rows: usize, panel: usize, tile: &mut Tile) {
        match &self.panels {
            Panels::F32(panels) => {
                let panel = &panels[panel * 2 * self.k..][..2 * self.k];
                tile_f32(&a.values[row * a.stride..], a.stride, rows, self.k, panel, tile);
            }
            Panels::Bf16(panels) => {
                let count = self.k.div_ceil(2);
                tile_bf16(&pairs[row * count..], rows, count, &panels[panel * 2 * count..][..2 * count], tile);
            }
        }
    }
}

/// Adds the bias to a row of a tile, applies the activation, and puts it where it belongs.
#[inline(always)]
fn finish(sums: &mut [f32; TILE_COLUMNS], bias: &[f32], out: &mut [f32], output: Output) {
    sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
    match output {
        Output::Write(activation) => {
            activation.apply(sums);
            out.copy_from_slice(&sums[..out.len()]);
        }
        Output::Add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += *sum),
    }
}

/// `count` panels of `rows` × 2 lanes.
fn pack_panels<L: Send + Copy>(count: usize, rows: usize, lane: impl Fn(usize, usize, usize) -> L + Sync) -> Vec<L> {
    let lane = &lane;
    let panel = |panel| (0..rows).flat_map(move |row| (0..2).map(move |half| lane(panel, row, half)));
    (0..count).into_par_iter().flat_map_iter(panel).collect()
}

/// The rows of `a` as pairs of bf16, `[rows, k / 2]`.
fn pairs(a: Rows<'_>, k: usize) -> Vec<u32> {
    let count = k.div_ceil(2);
    let mut pairs = vec![0; a.count * count];
    pairs.par_chunks_mut(count).enumerate().with_min_len(32).for_each(|(row, out)| {
        let values = &a.values[row * a.stride..][..k];
        vectorized(|| {
            let (whole, rest) = values.as_chunks::<2>();
            out.iter_mut().zip(whole).for_each(|(out, [low, high])| *out = pair(*low, *high));
            if let (Some(out), [last]) = (out.last_mut(), rest) {
                *out = pair(*last, 0.0);
            }
        });
    });
    pairs
}

/// Two floats rounded to bf16.
#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    u32::from(round(low)) | u32::from(round(high)) << 16
}

/// To the nearest bf16, ties to even; not-a-number stays one.
#[inline(always)]
fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if value.is_nan() { bf16::NAN.to_bits() } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(index: usize) -> f32 {
        (index * 37 % 101) as f32 / 50.0 - 1.0
    }

    fn product(rows: usize, k: usize, n: usize, format: WeightFormat) -> (Vec<f32>, Vec<f32>) {
        let a: Vec<f32> = (0..rows * k).map(value).collect();
        let weight: Vec<f32> = (0..n * k).map(|i| value(i + 11)).collect();
        let bias: Vec<f32> = (0..n).map(|i| value(i + 3)).collect();
        let mut out = vec![1.0; rows * n];
        let packed = PackedLinear::from_rows(&weight, k, bias.clone(), format);
        packed.multiply(Rows::dense(&a, k), &mut out, Output::Add);
        let element = |row: usize, column: usize| {
            (0..k).map(|p| a[row * k + p] * weight[column * k + p]).sum::<f32>() + bias[column] + 1.0
        };
        (out, (0..rows * n).map(|i| element(i / n, i % n)).collect())
    }

    #[test]
    fn shapes_that_fill_no_tile_equal_the_definition() {
        for (rows, k, n) in [(1, 7, 5), (13, 16, 33), (130, 31, 70), (200, 64, 96)] {
            let (found, expected) = product(rows, k, n, WeightFormat::F32);
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{rows} x {k} x {n}: {worst}");
            let (narrow, _) = product(rows, k, n, WeightFormat::Bf16);
            let worst = narrow.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.1 && worst > 0.0, "{rows} x {k} x {n} in bf16: {worst}");
        }
    }

    #[test]
    fn bf16_rounds_as_the_half_crate_does() {
        for value in [0.1f32, -3.3e-5, 1.0, 65_504.7, f32::MIN_POSITIVE, 1.003_906_2, 1.011_718_8, f32::INFINITY] {
            assert_eq!(round(value), bf16::from_f32(value).to_bits(), "{value}");
        }
        assert!(bf16::from_bits(round(f32::NAN)).is_nan());
    }
}
