//! Micro-kernels of the matrix product, one per instruction set; like its neighbours `kernel_*` it is `unsafe`.
//!
//! A tile is up to [`TILE_ROWS`] rows by [`TILE_COLUMNS`] columns of the product. All kernels add the products of an
//! element in the order of `k`, each with one rounding (FMA), so that every instruction set gives the same 32-bit result
//! and a row's result does not depend on its neighbours.
#![expect(unsafe_code, reason = "SIMD kernels read through pointers after the bounds were checked once per tile")]
use std::sync::OnceLock;

/// Rows of a tile.
pub(in crate::model) const TILE_ROWS: usize = 12;
/// Columns of a tile, and of a panel of packed weights.
pub(in crate::model) const TILE_COLUMNS: usize = 32;

/// Sixteen floats on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(in crate::model) struct Lane(pub [f32; 16]);

/// Sixteen pairs of bf16, the first of a pair in the low half, on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(in crate::model) struct PairLane(pub [u32; 16]);

/// A tile of results.
pub(in crate::model) type Tile = [[f32; TILE_COLUMNS]; TILE_ROWS];

/// What the processor offers, as far as the kernels use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstructionSet {
    /// AVX-512 with products of bf16 pairs.
    Avx512Bf16,
    Avx512,
    Avx2,
    Portable,
}

/// `rows` × 32 products of `a` (`rows` rows, `stride` apart, `k` long) with a panel `[k][2]` of lanes.
pub(in crate::model) fn tile_f32(a: &[f32], stride: usize, rows: usize, k: usize, panel: &[Lane], tile: &mut Tile) {
    assert!((1..=TILE_ROWS).contains(&rows) && panel.len() == 2 * k && a.len() >= (rows - 1) * stride + k);
    #[cfg(target_arch = "x86_64")]
    match instruction_set() {
        // SAFETY: the instruction set was detected, and the bounds of `a` and `panel` were checked above.
        InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => {
            return unsafe { x86::f32_avx512(a.as_ptr(), stride, rows, k, panel.as_ptr(), tile) };
        }
        // SAFETY: as above.
        InstructionSet::Avx2 => return unsafe { x86::f32_avx2(a.as_ptr(), stride, rows, k, panel.as_ptr(), tile) },
        InstructionSet::Portable => {}
    }
    for (row, out) in tile.iter_mut().take(rows).enumerate() {
        let mut sum = [0.0; TILE_COLUMNS];
        for (x, lanes) in a[row * stride..][..k].iter().zip(panel.as_chunks::<2>().0) {
            let weights = lanes[0].0.iter().chain(&lanes[1].0);
            sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
        *out = sum;
    }
}

/// `rows` × 32 products of bf16 pairs: `a` holds `rows` rows of `pairs` pairs, the panel is `[pairs][2]`; sums in f32.
pub(in crate::model) fn tile_bf16(a: &[u32], rows: usize, pairs: usize, panel: &[PairLane], tile: &mut Tile) {
    assert!((1..=TILE_ROWS).contains(&rows) && panel.len() == 2 * pairs && a.len() >= rows * pairs);
    #[cfg(target_arch = "x86_64")]
    if instruction_set() == InstructionSet::Avx512Bf16 {
        // SAFETY: the instruction set was detected, and the bounds of `a` and `panel` were checked above.
        return unsafe { x86::bf16_avx512(a.as_ptr(), rows, pairs, panel.as_ptr(), tile) };
    }
    vectorized(|| {
        let (low, high) = (|pair: u32| f32::from_bits(pair << 16), |pair: u32| f32::from_bits(pair & 0xffff_0000));
        for (row, out) in tile.iter_mut().take(rows).enumerate() {
            let mut sum = [0.0; TILE_COLUMNS];
            for (x, lanes) in a[row * pairs..][..pairs].iter().zip(panel.as_chunks::<2>().0) {
                for (half, lane) in lanes.iter().enumerate() {
                    let sum = &mut sum[16 * half..][..16];
                    sum.iter_mut().zip(&lane.0).for_each(|(sum, w)| *sum += low(*x) * low(*w) + high(*x) * high(*w));
                }
            }
            *out = sum;
        }
    });
}

/// Runs `body` compiled for the widest vectors of this processor; loops that inline into it are vectorised by the compiler.
pub fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    match instruction_set() {
        // SAFETY: the instruction set was detected.
        InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => return unsafe { x86::with_avx512(body) },
        // SAFETY: as above.
        InstructionSet::Avx2 => return unsafe { x86::with_avx2(body) },
        InstructionSet::Portable => {}
    }
    body()
}

/// What runs in the widest vectors of this processor, however long it is: a closure of some length stays a function of its own,
/// and one of the narrowest vectors.
pub(in crate::model) trait InLanes: Sized {
    type Out;

    /// Is `#[inline(always)]`.
    fn body(self) -> Self::Out;

    /// Runs the body.
    fn run(self) -> Self::Out {
        #[cfg(target_arch = "x86_64")]
        match instruction_set() {
            // SAFETY: the instruction set was detected.
            InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => return unsafe { x86::body_avx512(self) },
            // SAFETY: as above.
            InstructionSet::Avx2 => return unsafe { x86::body_avx2(self) },
            InstructionSet::Portable => {}
        }
        self.body()
    }
}

/// Whether products of bf16 run at more than the speed of f32 here.
pub fn has_fast_bf16() -> bool {
    instruction_set() == InstructionSet::Avx512Bf16
}

/// Whether the foundation of AVX-512 and what operates on bytes, quads and short vectors is here.
pub(super) fn has_avx512() -> bool {
    matches!(instruction_set(), InstructionSet::Avx512Bf16 | InstructionSet::Avx512)
}

pub(super) fn instruction_set() -> InstructionSet {
    static FOUND: OnceLock<InstructionSet> = OnceLock::new();
    *FOUND.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> InstructionSet {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    match (avx2, avx512) {
        (_, true) if is_x86_feature_detected!("avx512bf16") => InstructionSet::Avx512Bf16,
        (_, true) => InstructionSet::Avx512,
        (true, _) => InstructionSet::Avx2,
        _ => InstructionSet::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> InstructionSet {
    InstructionSet::Portable
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512bh, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_load_si512, _mm512_set1_epi32, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{Lane, PairLane, TILE_COLUMNS, Tile};

    /// Calls a kernel with its number of rows as a constant, so that the sums stay in registers.
    macro_rules! for_rows {
        ($rows:expr, $kernel:ident $arguments:tt, [$($count:literal)*]) => {
            // SAFETY: the caller's own contract, passed on.
            match $rows { $($count => unsafe { $kernel::<$count> $arguments },)* _ => {} }
        };
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi1,bmi2")]
    pub(super) fn with_avx512<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi1,bmi2")]
    pub(super) fn body_avx512<B: super::InLanes>(body: B) -> B::Out {
        body.body()
    }

    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    pub(super) fn body_avx2<B: super::InLanes>(body: B) -> B::Out {
        body.body()
    }

    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    pub(super) fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    /// # Safety
    /// `a` holds `rows` rows of `k` floats, `stride` apart; `panel` holds `2 k` lanes.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn f32_avx512(
        a: *const f32,
        stride: usize,
        rows: usize,
        k: usize,
        panel: *const Lane,
        tile: &mut Tile,
    ) {
        for_rows!(rows, f32_rows(a, stride, k, panel.cast(), tile), [1 2 3 4 5 6 7 8 9 10 11 12]);
    }

    /// # Safety
    /// As [`f32_avx512`].
    #[target_feature(enable = "avx512f")]
    unsafe fn f32_rows<const ROWS: usize>(a: *const f32, stride: usize, k: usize, panel: *const f32, tile: &mut Tile) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for p in 0..k {
            // SAFETY: `p < k`, and the panel is aligned to its lanes.
            let (left, right) = unsafe {
                let lanes = panel.add(p * TILE_COLUMNS);
                (_mm512_load_ps(lanes), _mm512_load_ps(lanes.add(16)))
            };
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `p < k`.
                let x = _mm512_set1_ps(unsafe { *a.add(row * stride + p) });
                sum[0] = _mm512_fmadd_ps(x, left, sum[0]);
                sum[1] = _mm512_fmadd_ps(x, right, sum[1]);
            }
        }
        for (sum, out) in sums.iter().zip(tile) {
            // SAFETY: a row of the tile holds 32 floats.
            unsafe {
                _mm512_storeu_ps(out.as_mut_ptr(), sum[0]);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), sum[1]);
            }
        }
    }

    /// # Safety
    /// `a` holds `rows` rows of `pairs` pairs; `panel` holds `2 pairs` lanes.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn bf16_avx512(
        a: *const u32,
        rows: usize,
        pairs: usize,
        panel: *const PairLane,
        tile: &mut Tile,
    ) {
        for_rows!(rows, bf16_rows(a, pairs, panel.cast(), tile), [1 2 3 4 5 6 7 8 9 10 11 12]);
    }

    /// # Safety
    /// As [`bf16_avx512`].
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn bf16_rows<const ROWS: usize>(a: *const u32, pairs: usize, panel: *const u32, tile: &mut Tile) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for p in 0..pairs {
            // SAFETY: `p < pairs`, the panel is aligned to its lanes, and both types are 512 plain bits.
            let (left, right): (__m512bh, __m512bh) = unsafe {
                let lanes = panel.add(p * TILE_COLUMNS);
                let load = |at: *const u32| std::mem::transmute(_mm512_load_si512(at.cast()));
                (load(lanes), load(lanes.add(16)))
            };
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `p < pairs`; both types are 512 plain bits.
                let x: __m512bh = unsafe {
                    let pair = *a.add(row * pairs + p);
                    std::mem::transmute(_mm512_set1_epi32(pair.cast_signed()))
                };
                sum[0] = _mm512_dpbf16_ps(sum[0], x, left);
                sum[1] = _mm512_dpbf16_ps(sum[1], x, right);
            }
        }
        for (sum, out) in sums.iter().zip(tile) {
            // SAFETY: a row of the tile holds 32 floats.
            unsafe {
                _mm512_storeu_ps(out.as_mut_ptr(), sum[0]);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), sum[1]);
            }
        }
    }

    /// # Safety
    /// As [`f32_avx512`].
    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    pub(super) unsafe fn f32_avx2(
        a: *const f32,
        stride: usize,
        rows: usize,
        k: usize,
        panel: *const Lane,
        tile: &mut Tile,
    ) {
        for first in (0..rows).step_by(6) {
            for half in 0..2 {
                // SAFETY: `first < rows`, and half a panel starts 16 floats into it.
                let (a, panel) = unsafe { (a.add(first * stride), panel.cast::<f32>().add(16 * half)) };
                let part = &mut tile[first..];
                for_rows!((rows - first).min(6), f32_rows_avx2(a, stride, k, panel, part, 16 * half), [1 2 3 4 5 6]);
            }
        }
    }

    /// Sixteen columns of `ROWS` rows.
    ///
    /// # Safety
    /// As [`f32_avx512`]; `panel` points at half a panel.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    unsafe fn f32_rows_avx2<const ROWS: usize>(
        a: *const f32,
        stride: usize,
        k: usize,
        panel: *const f32,
        tile: &mut [[f32; TILE_COLUMNS]],
        column: usize,
    ) {
        let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
        for p in 0..k {
            // SAFETY: `p < k`.
            let (left, right) = unsafe {
                let lanes = panel.add(p * TILE_COLUMNS);
                (_mm256_loadu_ps(lanes), _mm256_loadu_ps(lanes.add(8)))
            };
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `p < k`.
                let x = _mm256_set1_ps(unsafe { *a.add(row * stride + p) });
                sum[0] = _mm256_fmadd_ps(x, left, sum[0]);
                sum[1] = _mm256_fmadd_ps(x, right, sum[1]);
            }
        }
        for (sum, out) in sums.iter().zip(tile) {
            let out = &mut out[column..column + 16];
            // SAFETY: `out` holds 16 floats.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr(), sum[0]);
                _mm256_storeu_ps(out.as_mut_ptr().add(8), sum[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(index: usize) -> f32 {
        (index * 37 % 101) as f32 / 50.0 - 1.0
    }

    #[test]
    fn every_number_of_rows_equals_the_definition() {
        let (k, stride) = (45, 50);
        let a: Vec<f32> = (0..TILE_ROWS * stride).map(value).collect();
        let panel: Vec<Lane> = (0..2 * k).map(|lane| Lane(std::array::from_fn(|i| value(lane * 16 + i + 7)))).collect();
        for rows in 1..=TILE_ROWS {
            let mut tile = [[0.0; TILE_COLUMNS]; TILE_ROWS];
            tile_f32(&a, stride, rows, k, &panel, &mut tile);
            for (row, found) in tile.iter().take(rows).enumerate() {
                for (column, found) in found.iter().enumerate() {
                    let weight = |p: usize| panel[2 * p + column / 16].0[column % 16];
                    let expected = (0..k).fold(0.0f32, |sum, p| a[row * stride + p].mul_add(weight(p), sum));
                    assert!((found - expected).abs() < 1e-5, "row {row}, column {column}: {found} for {expected}");
                }
            }
        }
    }
}
