//! Inner products of one query with rows that lie anywhere, sixteen side by side; the third page of this room that is `unsafe`.
//!
//! The sum of each is taken in the order of the dimensions, with one rounding for each, as [`super::tile_f32`] takes it.
#![expect(unsafe_code, reason = "a SIMD kernel reads through pointers after the bounds were checked once per call")]
use super::kernel::{InstructionSet, instruction_set, vectorized};

/// Rows at a time.
const LANES: usize = 16;
/// Rows at a time where the order does not matter.
const QUICK: usize = 4;

/// Inner products of a query with up to 16 rows of `documents`; what stands in `out` behind them means nothing.
pub(in crate::model) fn dots_f32(query: &[f32], documents: &[f32], rows: &[u32], out: &mut [f32; LANES]) {
    let k = query.len();
    let Some(first) = rows.first() else { return };
    let row = |lane: usize| &documents[*rows.get(lane).unwrap_or(first) as usize * k..][..k];
    let chosen: [&[f32]; LANES] = std::array::from_fn(row);
    #[cfg(target_arch = "x86_64")]
    if matches!(instruction_set(), InstructionSet::Avx512Bf16 | InstructionSet::Avx512) {
        // SAFETY: the instruction set was detected, and every row is as long as the query.
        return unsafe { x86::dots(query, &chosen, out) };
    }
    plain_dots(query, &chosen, 0, out);
}

/// Appends the inner products of a query with rows of `documents`, summed in another order.
pub(in crate::model) fn quick_dots_f32(query: &[f32], documents: &[f32], rows: &[u32], out: &mut Vec<f32>) {
    let k = query.len();
    let row = |number: u32| &documents[number as usize * k..][..k];
    #[cfg(target_arch = "x86_64")]
    if matches!(instruction_set(), InstructionSet::Avx512Bf16 | InstructionSet::Avx512) {
        for rows in rows.chunks(QUICK) {
            let chosen: [&[f32]; QUICK] = std::array::from_fn(|place| row(*rows.get(place).unwrap_or(&rows[0])));
            // SAFETY: the instruction set was detected, and every row is as long as the query.
            let sums = unsafe { x86::quick_dots(query, &chosen) };
            out.extend_from_slice(&sums[..rows.len()]);
        }
        return;
    }
    out.extend(rows.iter().map(|number| query.iter().zip(row(*number)).map(|(q, x)| q * x).sum::<f32>()));
}

/// Adds the products from dimension `from` on to what `out` holds; `from` 0 starts anew.
fn plain_dots(query: &[f32], rows: &[&[f32]; LANES], from: usize, out: &mut [f32; LANES]) {
    let fused = instruction_set() != InstructionSet::Portable;
    vectorized(|| {
        let mut sums = if from == 0 { [0.0; LANES] } else { *out };
        for (p, x) in query.iter().enumerate().skip(from) {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = if fused { x.mul_add(row[p], *sum) } else { *sum + x * row[p] };
            }
        }
        *out = sums;
    });
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
        _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps,
        _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, QUICK, plain_dots};

    /// # Safety
    /// Every row is as long as the query.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn dots(query: &[f32], rows: &[&[f32]; LANES], out: &mut [f32; LANES]) {
        let whole = query.len() / LANES * LANES;
        let mut sums = _mm512_setzero_ps();
        for at in (0..whole).step_by(LANES) {
            let mut block = [sums; LANES];
            for (values, row) in block.iter_mut().zip(rows) {
                // SAFETY: 16 values from `at` on are inside the row.
                *values = unsafe { _mm512_loadu_ps(row.as_ptr().add(at)) };
            }
            for (column, x) in turned(&block).into_iter().zip(&query[at..]) {
                sums = _mm512_fmadd_ps(_mm512_set1_ps(*x), column, sums);
            }
        }
        // SAFETY: `out` holds 16 values.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sums) };
        if whole < query.len() {
            plain_dots(query, rows, whole, out);
        }
    }

    /// # Safety
    /// Every row is as long as the query.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn quick_dots(query: &[f32], rows: &[&[f32]; QUICK]) -> [f32; QUICK] {
        let mut sums = [_mm512_setzero_ps(); QUICK];
        for at in (0..query.len()).step_by(LANES) {
            let left = (query.len() - at).min(LANES);
            let mask = if left == LANES { u16::MAX } else { (1 << left) - 1 };
            // SAFETY: as many values as the mask has bits are inside the query and the rows.
            unsafe {
                let query = _mm512_maskz_loadu_ps(mask, query.as_ptr().add(at));
                for (sum, row) in sums.iter_mut().zip(rows) {
                    *sum = _mm512_fmadd_ps(query, _mm512_maskz_loadu_ps(mask, row.as_ptr().add(at)), *sum);
                }
            }
        }
        sums.map(|sum| _mm512_reduce_add_ps(sum))
    }

    /// Sixteen rows as sixteen columns: pairs, fours, then quarters of a register.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn turned(rows: &[__m512; LANES]) -> [__m512; LANES] {
        let zero = _mm512_setzero_ps();
        let mut fours = [zero; LANES];
        for group in 0..4 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[4 * group + row]);
            let low = [_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpacklo_ps(c, d))];
            let high = [_mm512_castps_pd(_mm512_unpackhi_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(c, d))];
            fours[group] = _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1]));
            fours[4 + group] = _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1]));
            fours[8 + group] = _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1]));
            fours[12 + group] = _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1]));
        }
        let mut columns = [zero; LANES];
        for place in 0..4 {
            // Columns place, 4 + place, 8 + place and 12 + place, of four rows each.
            let [a, b, c, d] = [0, 1, 2, 3].map(|group| fours[4 * place + group]);
            let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
            let (ab_high, cd_high) = (_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(c, d));
            columns[place] = _mm512_shuffle_f32x4::<0x88>(ab, cd);
            columns[4 + place] = _mm512_shuffle_f32x4::<0xDD>(ab, cd);
            columns[8 + place] = _mm512_shuffle_f32x4::<0x88>(ab_high, cd_high);
            columns[12 + place] = _mm512_shuffle_f32x4::<0xDD>(ab_high, cd_high);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_number_of_rows_equals_the_definition_to_the_bit() {
        let value = |index: usize| (index * 7919 % 10_007) as f32 / 5_003.0 - 1.0;
        let fused = instruction_set() != InstructionSet::Portable;
        for k in [1, 5, 15, 16, 17, 64, 130, 512] {
            let documents: Vec<f32> = (0..40 * k).map(value).collect();
            let query: Vec<f32> = (0..k).map(|p| value(p + 77)).collect();
            for count in [0, 1, 2, 7, 15, 16] {
                let rows: Vec<u32> = (0..count).map(|lane| (lane * 29 + 3) % 40).collect();
                let mut out = [f32::NAN; LANES];
                dots_f32(&query, &documents, &rows, &mut out);
                for (row, found) in rows.iter().zip(out) {
                    let row = &documents[*row as usize * k..][..k];
                    let add = |sum: f32, (q, x): (&f32, &f32)| if fused { q.mul_add(*x, sum) } else { sum + q * x };
                    let expected = query.iter().zip(row).fold(0.0f32, add);
                    assert_eq!(found.to_bits(), expected.to_bits(), "{k} dimensions, {count} rows");
                }
            }
        }
    }

    #[test]
    fn sums_in_another_order_miss_the_exact_product_by_less_than_their_bound() {
        let value = |index: usize| (index * 7919 % 10_007) as f32 / 5_003.0 - 1.0;
        for k in [1, 5, 16, 17, 130, 512] {
            let documents: Vec<f32> = (0..40 * k).map(value).collect();
            let query: Vec<f32> = (0..k).map(|p| value(p + 77)).collect();
            let length = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            for count in [0, 1, 4, 7, 30] {
                let rows: Vec<u32> = (0..count).map(|lane| (lane * 29 + 3) % 40).collect();
                let mut found = vec![7.0];
                quick_dots_f32(&query, &documents, &rows, &mut found);
                assert_eq!((found[0], found.len()), (7.0, rows.len() + 1));
                for (row, found) in rows.iter().zip(&found[1..]) {
                    let row = &documents[*row as usize * k..][..k];
                    let exact: f64 = query.iter().zip(row).map(|(q, x)| f64::from(*q) * f64::from(*x)).sum();
                    let bound = 2.0 * (k + 2) as f64 * 2f64.powi(-24) * length(&query) * length(row);
                    assert!((f64::from(*found) - exact).abs() <= bound, "{k} dimensions: {found} is not {exact}");
                }
            }
        }
    }
}
