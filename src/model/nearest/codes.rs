//! Vectors as 8-bit codes, with what is needed to bound the error of every product.
//!
//! A document `x` is `centre + scale * c + e` with whole numbers `c` in -127..=127, a query `q` is `scale * c + e`. The product of
//! the codes misses `<x, q>` by at most `|scale c| |e_q| + |e_x| |q|` (Cauchy and Schwarz), and the 32-bit sum misses `<x, q>` by at
//! most `2 (d + 2) 2^-24 |x| |q|` (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
#![expect(clippy::inline_always, reason = "a loop gets the vectors of the function that it is inlined into")]
use rayon::prelude::*;

use crate::model::ModelError;
use crate::model::cpu::{InLanes, QUAD_BYTES, ROW_ALIGNMENT, TILE_COLUMNS, vectorized};

/// Code 0 of a query.
pub(super) const ZERO: u8 = 128;
/// What 32-bit sums of up to 16,000 squares may lose in a norm, and more.
const UP: f64 = 1.0 + 1e-4;

/// Vectors that are not worth another thread.
const FEW: usize = 64;

/// Documents as codes in panels of 32; borrowed from memory or from a file.
#[derive(Debug, Clone, Copy)]
pub struct CodePanels<'a> {
    /// `[panels][dimension / 4][32][4]`.
    pub codes: &'a [u8],
    /// `[panels][32]`: -128 times the sum of a document's codes.
    pub start: &'a [[i32; TILE_COLUMNS]],
    /// `[panels][32]`; zero where there is no document.
    pub scale: &'a [[f32; TILE_COLUMNS]],
    /// For each panel the largest `|scale c|` and the largest error.
    pub bounds: &'a [[f32; 2]],
}

/// Codes in memory.
#[derive(Debug, Default)]
pub struct CodeBuffer {
    pub codes: Vec<u8>,
    pub start: Vec<[i32; TILE_COLUMNS]>,
    pub scale: Vec<[f32; TILE_COLUMNS]>,
    pub bounds: Vec<[f32; 2]>,
}

/// One panel to be filled.
#[derive(Debug)]
pub struct PanelSlot<'a> {
    codes: &'a mut [u8],
    start: &'a mut [i32; TILE_COLUMNS],
    scale: &'a mut [f32; TILE_COLUMNS],
    bounds: &'a mut [f32; 2],
}

/// Queries as codes, `[count][stride]`.
#[derive(Debug)]
pub struct QueryCodes {
    pub stride: usize,
    pub codes: Vec<u8>,
    pub scale: Vec<f32>,
    /// `|q|`, rounded up.
    pub norm: Vec<f32>,
    /// `|e_q|` and what rounding the sum of codes to 32 bits may lose, as a factor of `|scale c|` of the document.
    pub error: Vec<f32>,
}

/// A vector on its way to codes.
pub(super) struct Coded {
    pub(super) scale: f32,
    /// `|scale c|`.
    length: f64,
    error: f64,
}

/// Bytes of the codes of one panel.
pub fn panel_bytes(dimension: usize) -> usize {
    dimension.div_ceil(4) * QUAD_BYTES
}

impl CodeBuffer {
    /// Room for `panels` empty panels.
    pub fn new(panels: usize, dimension: usize) -> Self {
        Self {
            codes: vec![0; panels * panel_bytes(dimension)],
            start: vec![[0; TILE_COLUMNS]; panels],
            scale: vec![[0.0; TILE_COLUMNS]; panels],
            bounds: vec![[0.0; 2]; panels],
        }
    }

    /// Codes of `[rows, dimension]` values around `centre`, in row order.
    pub fn encode(values: &[f32], centre: &[f32]) -> Self {
        let dimension = centre.len();
        let rows = values.len() / dimension.max(1);
        let mut buffer = Self::new(rows.div_ceil(TILE_COLUMNS), dimension);
        buffer.slots(dimension).enumerate().for_each(|(panel, mut slot)| {
            let first = panel * TILE_COLUMNS;
            let members = values[first * dimension..].chunks_exact(dimension).take(TILE_COLUMNS);
            members.enumerate().for_each(|(lane, row)| slot.set(lane, row, centre));
        });
        buffer
    }

    /// The panels, to be filled side by side.
    pub fn slots(&mut self, dimension: usize) -> impl IndexedParallelIterator<Item = PanelSlot<'_>> {
        let codes = self.codes.par_chunks_mut(panel_bytes(dimension));
        let rest = self.start.par_iter_mut().zip(&mut self.scale).zip(&mut self.bounds);
        codes.zip(rest).map(|(codes, ((start, scale), bounds))| PanelSlot { codes, start, scale, bounds })
    }

    pub fn view(&self) -> CodePanels<'_> {
        CodePanels { codes: &self.codes, start: &self.start, scale: &self.scale, bounds: &self.bounds }
    }
}

impl PanelSlot<'_> {
    /// Puts a document into a lane of the panel.
    pub fn set(&mut self, lane: usize, row: &[f32], centre: &[f32]) {
        let mut codes = vec![0i8; row.len().next_multiple_of(4)];
        let coded = code(row, centre, &mut codes);
        let bytes: &[u8] = bytemuck::cast_slice(&codes);
        for (quad, columns) in bytes.as_chunks::<4>().0.iter().zip(self.codes.chunks_exact_mut(QUAD_BYTES)) {
            columns[4 * lane..4 * lane + 4].copy_from_slice(quad);
        }
        self.start[lane] = -i32::from(ZERO) * codes.iter().map(|code| i32::from(*code)).sum::<i32>();
        self.scale[lane] = coded.scale;
        let rounding = 2.0 * (row.len() + 2) as f64 * 2f64.powi(-24) * (norm(row) + norm(centre));
        let [length, error] = self.bounds;
        *length = length.max(round_up(coded.length));
        *error = error.max(round_up(coded.error + rounding));
    }
}

impl QueryCodes {
    /// Codes of `[count, dimension]` values.
    pub fn encode(values: &[f32], dimension: usize) -> Self {
        let stride = dimension.next_multiple_of(ROW_ALIGNMENT);
        let count = values.len() / dimension.max(1);
        let mut codes = vec![ZERO; count * stride];
        let centre = vec![0.0; dimension];
        let rows = codes.par_chunks_mut(stride).zip(values.par_chunks_exact(dimension.max(1)));
        let coded = rows.with_min_len(FEW).map(|(out, row)| {
            let mut signed = vec![0i8; dimension];
            let coded = code(row, &centre, &mut signed);
            out.iter_mut().zip(&signed).for_each(|(out, code)| *out = code.cast_unsigned().wrapping_add(ZERO));
            let scale = if coded.scale > 0.0 { coded.scale } else { 1.0 };
            (scale, round_up(norm(row)), round_up(coded.error + 1e-6 * coded.length))
        });
        let coded: Vec<(f32, f32, f32)> = coded.collect();
        let column = |choose: fn(&(f32, f32, f32)) -> f32| coded.iter().map(choose).collect();
        Self { stride, scale: column(|c| c.0), norm: column(|c| c.1), error: column(|c| c.2), codes }
    }

    pub fn row(&self, query: usize) -> &[u8] {
        &self.codes[query * self.stride..][..self.stride]
    }
}

/// Rounds `(row - centre) / scale` to whole numbers, with the scale that makes the largest of them 127.
pub(super) fn code(row: &[f32], centre: &[f32], codes: &mut [i8]) -> Coded {
    Code(row, centre, codes).run()
}

/// The sums of squares are taken in 32 bits; what that may lose is added to both lengths.
/// A row, the centre and room for its codes.
struct Code<'a>(&'a [f32], &'a [f32], &'a mut [i8]);

impl InLanes for Code<'_> {
    type Out = Coded;

    #[inline(always)]
    fn body(self) -> Coded {
        let Self(row, centre, codes) = self;
        let mut shifted = vec![0.0f32; row.len().next_multiple_of(16)];
        shifted.iter_mut().zip(row).zip(centre).for_each(|((out, x), c)| *out = x - c);
        // Bits of floats that are not negative order as they do.
        let largest = shifted.iter().fold(0, |most: u32, value| most.max(value.abs().to_bits()));
        let largest = f32::from_bits(largest);
        let scale = if largest < 1e-30 { 0.0 } else { largest / 127.0 };
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let (mut lengths, mut errors) = ([0.0f32; 16], [0.0f32; 16]);
        for values in shifted.as_chunks_mut::<16>().0 {
            for ((value, length), error) in values.iter_mut().zip(&mut lengths).zip(&mut errors) {
                // To the nearest whole number, ties to even: adding 1.5 * 2^23 leaves no bits for fractions.
                let moved = (*value * inverse).clamp(-127.0, 127.0) + 12_582_912.0;
                let found = scale * (moved - 12_582_912.0);
                let missed = *value - found;
                *length += found * found;
                *error += missed * missed;
                *value = moved;
            }
        }
        // The last bits of a moved number are the whole number itself.
        codes.iter_mut().zip(&shifted).for_each(|(code, moved)| *code = moved.to_bits() as i8);
        let (length, error) = (root(&lengths), root(&errors));
        Coded { scale, length, error: error + (length + error) * 2f64.powi(-21) }
    }
}

/// `|row|`, a little more.
pub fn norm(row: &[f32]) -> f64 {
    Norm(row).run()
}

/// A row, for its length.
struct Norm<'a>(&'a [f32]);

impl InLanes for Norm<'_> {
    type Out = f64;

    #[inline(always)]
    fn body(self) -> f64 {
        let Self(row) = self;
        let mut sums = [0.0f32; 16];
        let (whole, rest) = row.as_chunks::<16>();
        for values in whole {
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x * x);
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x * x);
        root(&sums)
    }
}

/// Root of a sum of squares, rounded up.
#[inline(always)]
fn root(parts: &[f32; 16]) -> f64 {
    let mut parts = *parts;
    for half in [8, 4, 2, 1] {
        (0..half).for_each(|lane| parts[lane] += parts[lane + half]);
    }
    f64::from(parts[0]).sqrt() * UP
}

fn round_up(value: f64) -> f32 {
    (value as f32).next_up()
}

/// Mean of `[rows, dimension]` values; the sum of each 1,024 rows first, so that threads do not change it.
pub fn mean(values: &[f32], dimension: usize) -> Vec<f32> {
    let add = |sums: &mut Vec<f64>, row: &[f32]| {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    };
    let block = |rows: &[f32]| {
        let mut sums = vec![0.0; dimension];
        vectorized(|| rows.chunks_exact(dimension).for_each(|row| add(&mut sums, row)));
        sums
    };
    let blocks: Vec<Vec<f64>> = values.par_chunks(1024 * dimension.max(1)).map(block).collect();
    let mut total = vec![0.0; dimension];
    blocks.iter().for_each(|sums| total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum));
    let rows = (values.len() / dimension.max(1)).max(1) as f64;
    total.into_iter().map(|sum| (sum / rows) as f32).collect()
}

/// Checks that values are whole vectors that codes can bound.
pub fn check_vectors(values: &[f32], dimension: usize) -> Result<(), ModelError> {
    if dimension == 0 || !values.len().is_multiple_of(dimension) {
        return Err(ModelError::VectorLength { dimension, found: values.len() });
    }
    let bad = values.par_chunks_exact(dimension).with_min_len(FEW).position_first(|row| {
        let norm = norm(row);
        !(norm == 0.0 || (1e-12..=1e12).contains(&norm))
    });
    bad.map_or(Ok(()), |row| Err(ModelError::VectorRange { row }))
}
