//! Integer products of 8-bit codes, for the first pass of a search; the second page of this room that is `unsafe`.
//!
//! One side is unsigned (code + 128): the queries of a tile, the rows that stand alone. The sums are whole numbers, so every instruction set gives the same.
#![expect(unsafe_code, reason = "SIMD kernels read through pointers after the bounds were checked once per call")]
use super::kernel::{TILE_COLUMNS, TILE_ROWS, vectorized};

/// Bytes of a panel per four elements: 32 columns of four codes.
pub(in crate::model) const QUAD_BYTES: usize = 4 * TILE_COLUMNS;
/// A tile of sums.
pub(in crate::model) type IntegerTile = [[i32; TILE_COLUMNS]; TILE_ROWS];
/// Rows of codes that stand alone are padded to this many bytes.
pub(in crate::model) const ROW_ALIGNMENT: usize = 64;

/// Whether products of 8-bit codes run at more than the speed of f32 here.
pub fn has_fast_i8() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// `start` + products of `rows` queries (`stride` bytes apart, `4 quads` long) with a panel `[quads][32][4]` of documents.
pub(in crate::model) fn tile_i8(
    queries: &[u8],
    stride: usize,
    rows: usize,
    quads: usize,
    panel: &[u8],
    start: &[i32; TILE_COLUMNS],
    tile: &mut IntegerTile,
) {
    assert!((1..=TILE_ROWS).contains(&rows) && panel.len() == quads * QUAD_BYTES);
    assert!(queries.len() >= (rows - 1) * stride + 4 * quads);
    #[cfg(target_arch = "x86_64")]
    if has_fast_i8() {
        // SAFETY: the instruction set was detected, and the bounds of `queries` and `panel` were checked above.
        return unsafe { x86::tile(queries.as_ptr(), stride, rows, quads, panel.as_ptr(), start, tile) };
    }
    plain_tile(queries, stride, quads, panel, start, &mut tile[..rows]);
}

fn plain_tile(
    queries: &[u8],
    stride: usize,
    quads: usize,
    panel: &[u8],
    start: &[i32; TILE_COLUMNS],
    tile: &mut [[i32; TILE_COLUMNS]],
) {
    vectorized(|| {
        for (row, out) in tile.iter_mut().enumerate() {
            let mut sums = *start;
            let query = queries[row * stride..][..4 * quads].as_chunks::<4>().0;
            for (query, columns) in query.iter().zip(panel.chunks_exact(QUAD_BYTES)) {
                for (sum, codes) in sums.iter_mut().zip(columns.as_chunks::<4>().0) {
                    let products = query.iter().zip(codes).map(|(q, c)| i32::from(*q) * i32::from(c.cast_signed()));
                    *sum += products.sum::<i32>();
                }
            }
            *out = sums;
        }
    });
}

/// Products of one signed query with the rows `numbers` of unsigned `codes` (`[rows][stride]`), each as long as the query.
pub(in crate::model) fn rows_i8(query: &[i8], codes: &[u8], numbers: &[u32], out: &mut [i32]) {
    let stride = query.len();
    let last = numbers.iter().max().map_or(0, |row| (*row as usize + 1) * stride);
    assert!(stride.is_multiple_of(ROW_ALIGNMENT) && codes.len() >= last && out.len() >= numbers.len());
    #[cfg(target_arch = "x86_64")]
    if has_fast_i8() {
        // SAFETY: the instruction set was detected, and the largest row and both lengths were checked above.
        return unsafe { x86::rows(query, codes.as_ptr(), numbers, out) };
    }
    vectorized(|| {
        for (number, out) in numbers.iter().zip(out) {
            let row = &codes[*number as usize * stride..][..stride];
            *out = query.iter().zip(row).map(|(q, c)| i32::from(*q) * i32::from(*c)).sum();
        }
    });
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32,
        _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{IntegerTile, QUAD_BYTES, TILE_COLUMNS};

    /// Rows that are asked for ahead of their use.
    const AHEAD: usize = 3;

    /// # Safety
    /// `queries` holds `rows` rows of `4 quads` bytes, `stride` apart; `panel` holds `quads` times 128 bytes.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn tile(
        queries: *const u8,
        stride: usize,
        rows: usize,
        quads: usize,
        panel: *const u8,
        start: &[i32; TILE_COLUMNS],
        tile: &mut IntegerTile,
    ) {
        macro_rules! by_rows {
            ($($count:literal)*) => {
                // SAFETY: the caller's own contract, passed on.
                match rows { $($count => unsafe { fixed::<$count>(queries, stride, quads, panel, start, tile) },)* _ => {} }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// # Safety
    /// As [`tile`].
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn fixed<const ROWS: usize>(
        queries: *const u8,
        stride: usize,
        quads: usize,
        panel: *const u8,
        start: &[i32; TILE_COLUMNS],
        tile: &mut IntegerTile,
    ) {
        // SAFETY: `start` holds 32 numbers.
        let first = unsafe {
            let at = start.as_ptr();
            [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(16).cast())]
        };
        let mut sums = [first; ROWS];
        for quad in 0..quads {
            // SAFETY: `quad < quads`.
            let (left, right) = unsafe {
                let at = panel.add(quad * QUAD_BYTES);
                (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast()))
            };
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `quad < quads`.
                let four = unsafe { queries.add(row * stride + 4 * quad).cast::<i32>().read_unaligned() };
                let query = _mm512_set1_epi32(four);
                sum[0] = _mm512_dpbusd_epi32(sum[0], query, left);
                sum[1] = _mm512_dpbusd_epi32(sum[1], query, right);
            }
        }
        for (sum, out) in sums.iter().zip(tile) {
            // SAFETY: a row of the tile holds 32 numbers.
            unsafe {
                _mm512_storeu_si512(out.as_mut_ptr().cast(), sum[0]);
                _mm512_storeu_si512(out.as_mut_ptr().add(16).cast(), sum[1]);
            }
        }
    }

    /// # Safety
    /// `codes` holds every row of `numbers`, as long as `query`, whose length is a multiple of 64; `out` is as long as `numbers`.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn rows(query: &[i8], codes: *const u8, numbers: &[u32], out: &mut [i32]) {
        let stride = query.len();
        let ask = |number: u32| {
            for line in (0..stride).step_by(64) {
                // SAFETY: the row is inside `codes`.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(codes.add(number as usize * stride + line).cast()) };
            }
        };
        numbers.iter().take(AHEAD).for_each(|number| ask(*number));
        for (position, (number, out)) in numbers.iter().zip(out).enumerate() {
            if let Some(next) = numbers.get(position + AHEAD) {
                ask(*next);
            }
            let mut sums = [_mm512_setzero_si512(); 2];
            for line in (0..stride).step_by(64) {
                // SAFETY: `line < stride`, and the row is inside `codes`.
                let (a, b) = unsafe {
                    let row = codes.add(*number as usize * stride + line);
                    (_mm512_loadu_si512(query.as_ptr().add(line).cast()), _mm512_loadu_si512(row.cast()))
                };
                let half = line / 64 % 2;
                sums[half] = _mm512_dpbusd_epi32(sums[half], b, a);
            }
            *out = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(index: usize) -> u8 {
        (index * 97 % 251) as u8
    }

    #[test]
    fn every_number_of_rows_equals_the_plain_sums() {
        let (quads, stride) = (13, 60);
        let queries: Vec<u8> = (0..TILE_ROWS * stride).map(byte).collect();
        let panel: Vec<u8> = (0..quads * QUAD_BYTES).map(|i| byte(i + 5)).collect();
        let start = std::array::from_fn(|i| i as i32 * 1_000 - 7);
        for rows in 1..=TILE_ROWS {
            let (mut found, mut expected) = ([[0; TILE_COLUMNS]; TILE_ROWS], [[0; TILE_COLUMNS]; TILE_ROWS]);
            tile_i8(&queries, stride, rows, quads, &panel, &start, &mut found);
            plain_tile(&queries, stride, quads, &panel, &start, &mut expected[..rows]);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn scattered_rows_equal_the_definition() {
        let codes: Vec<u8> = (0..9 * 128).map(byte).collect();
        let query: Vec<i8> = (0..128).map(|i| byte(i + 3) as i8).collect();
        let numbers = [8, 0, 3, 3, 7];
        let mut found = [0; 5];
        rows_i8(&query, &codes, &numbers, &mut found);
        for (number, found) in numbers.iter().zip(found) {
            let row = &codes[*number as usize * 128..][..128];
            let expected: i32 = query.iter().zip(row).map(|(q, c)| i32::from(*q) * i32::from(*c)).sum();
            assert_eq!(found, expected);
        }
    }
}
