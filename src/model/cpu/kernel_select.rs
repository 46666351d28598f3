//! Which products of a query with many documents reach a cut, sixteen at a time; one of the pages of this room that are `unsafe`.
#![expect(unsafe_code, reason = "a SIMD kernel writes through pointers after the room was made once per call")]
use super::kernel::TILE_COLUMNS;
#[cfg(target_arch = "x86_64")]
use super::kernel::has_avx512;
use super::kernel_i8::IntegerTile;

/// Products that reached a cut.
#[derive(Debug, Default)]
pub(in crate::model) struct Reached {
    /// Times the scale of the document.
    pub products: Vec<f32>,
    /// Number of the tile times 32, and the column.
    pub places: Vec<u32>,
}

impl Reached {
    /// Takes the products of one row of tiles that are at least `cut`, in the order of their places; `scale` and `masks`
    /// have a number and a bit for each column of every tile.
    pub fn take(&mut self, tiles: &[IntegerTile], row: usize, scale: &[[f32; TILE_COLUMNS]], masks: &[u32], cut: f32) {
        self.products.clear();
        self.places.clear();
        assert!(tiles.len() == scale.len() && tiles.len() == masks.len());
        #[cfg(target_arch = "x86_64")]
        if has_avx512() && is_x86_feature_detected!("popcnt") {
            // SAFETY: the instruction sets were detected, and there are as many scales and masks as tiles.
            return unsafe { x86::take(self, tiles, row, scale, masks, cut) };
        }
        self.plain_take(tiles, row, scale, masks, cut);
    }

    fn plain_take(
        &mut self,
        tiles: &[IntegerTile],
        row: usize,
        scale: &[[f32; TILE_COLUMNS]],
        masks: &[u32],
        cut: f32,
    ) {
        for (number, ((tile, scale), mask)) in tiles.iter().zip(scale).zip(masks).enumerate() {
            for (column, (sum, scale)) in tile[row].iter().zip(scale).enumerate() {
                let product = *sum as f32 * scale;
                if mask >> column & 1 == 1 && product >= cut {
                    self.products.push(product);
                    self.places.push((number * TILE_COLUMNS + column) as u32);
                }
            }
        }
    }
}

/// The highest product of each of the 32 columns of one row of those tiles that have all their documents; the `k`th highest
/// of those 32, minus infinity without such a tile. `k` is in 1..=32.
pub(in crate::model) fn kth_of_columns(
    tiles: &[IntegerTile],
    row: usize,
    scale: &[[f32; TILE_COLUMNS]],
    masks: &[u32],
    k: usize,
) -> f32 {
    assert!(tiles.len() == scale.len() && tiles.len() == masks.len() && (1..=TILE_COLUMNS).contains(&k));
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the instruction set was detected, and there are as many scales and masks as tiles.
        return unsafe { x86::kth_of_columns(tiles, row, scale, masks, k) };
    }
    plain_kth_of_columns(tiles, row, scale, masks, k)
}

fn plain_kth_of_columns(
    tiles: &[IntegerTile],
    row: usize,
    scale: &[[f32; TILE_COLUMNS]],
    masks: &[u32],
    k: usize,
) -> f32 {
    let mut highest = [f32::NEG_INFINITY; TILE_COLUMNS];
    for ((tile, scale), _) in tiles.iter().zip(scale).zip(masks).filter(|(_, mask)| **mask == u32::MAX) {
        let products = tile[row].iter().zip(scale).map(|(sum, scale)| *sum as f32 * scale);
        highest.iter_mut().zip(products).for_each(|(highest, product)| *highest = highest.max(product));
    }
    *highest.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _CMP_GE_OQ, _CMP_GT_OQ, _mm512_add_epi32, _mm512_cmp_ps_mask, _mm512_cmplt_epi32_mask, _mm512_cvtepi32_ps,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_add_epi32, _mm512_mask_blend_ps, _mm512_maskz_compress_epi32,
        _mm512_maskz_compress_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_min_ps, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_storeu_ps, _mm512_storeu_si512,
    };

    use super::{IntegerTile, Reached, TILE_COLUMNS};

    const LANES: usize = 16;

    /// # Safety
    /// There are as many scales and masks as tiles.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn kth_of_columns(
        tiles: &[IntegerTile],
        row: usize,
        scale: &[[f32; TILE_COLUMNS]],
        masks: &[u32],
        k: usize,
    ) -> f32 {
        let mut highest = [_mm512_set1_ps(f32::NEG_INFINITY); 2];
        for ((tile, scale), mask) in tiles.iter().zip(scale).zip(masks) {
            if *mask == u32::MAX {
                for (half, highest) in highest.iter_mut().enumerate() {
                    // SAFETY: both hold 32 numbers.
                    let (sums, scale) = unsafe {
                        let sums = _mm512_loadu_si512(tile[row].as_ptr().add(half * LANES).cast());
                        (_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scale.as_ptr().add(half * LANES)))
                    };
                    *highest = _mm512_max_ps(*highest, _mm512_mul_ps(sums, scale));
                }
            }
        }
        let mut values = [0.0f32; TILE_COLUMNS];
        // SAFETY: there is room for 32 numbers.
        unsafe {
            _mm512_storeu_ps(values.as_mut_ptr(), highest[0]);
            _mm512_storeu_ps(values.as_mut_ptr().add(LANES), highest[1]);
        }
        // The `k`th is the lowest of those that fewer than `k` are above.
        let (one, mut above) = (_mm512_set1_epi32(1), [_mm512_setzero_si512(); 2]);
        for value in values {
            let value = _mm512_set1_ps(value);
            for (above, highest) in above.iter_mut().zip(highest) {
                let higher = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, highest);
                *above = _mm512_mask_add_epi32(*above, higher, *above, one);
            }
        }
        let k = _mm512_set1_epi32(k as i32);
        let infinity = _mm512_set1_ps(f32::INFINITY);
        let [left, right] = [0, 1].map(|half| {
            let among = _mm512_cmplt_epi32_mask(above[half], k);
            _mm512_mask_blend_ps(among, infinity, highest[half])
        });
        _mm512_reduce_min_ps(_mm512_min_ps(left, right))
    }

    /// # Safety
    /// There are as many scales and masks as tiles.
    #[target_feature(enable = "avx512f,popcnt")]
    pub(super) unsafe fn take(
        reached: &mut Reached,
        tiles: &[IntegerTile],
        row: usize,
        scale: &[[f32; TILE_COLUMNS]],
        masks: &[u32],
        cut: f32,
    ) {
        let room = tiles.len() * TILE_COLUMNS + LANES;
        reached.products.reserve(room);
        reached.places.reserve(room);
        let (products, places) = (reached.products.as_mut_ptr(), reached.places.as_mut_ptr());
        let cut = _mm512_set1_ps(cut);
        let (step, mut place) =
            (_mm512_set1_epi32(LANES as i32), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        let mut count = 0;
        for ((tile, scale), mask) in tiles.iter().zip(scale).zip(masks) {
            let halves = tile[row].as_chunks::<LANES>().0.iter().zip(scale.as_chunks::<LANES>().0);
            for ((sums, scale), mask) in halves.zip([*mask as u16, (*mask >> LANES) as u16]) {
                // SAFETY: both hold 16 numbers, and no more than 16 are written behind those of the halves before.
                unsafe {
                    let sums = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.as_ptr().cast()));
                    let product = _mm512_mul_ps(sums, _mm512_loadu_ps(scale.as_ptr()));
                    let found = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(product, cut) & mask;
                    _mm512_storeu_ps(products.add(count), _mm512_maskz_compress_ps(found, product));
                    _mm512_storeu_si512(places.add(count).cast(), _mm512_maskz_compress_epi32(found, place));
                    count += found.count_ones() as usize;
                }
                place = _mm512_add_epi32(place, step);
            }
        }
        // SAFETY: there was room for so many, and they were written.
        unsafe {
            reached.products.set_len(count);
            reached.places.set_len(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cpu::TILE_ROWS;

    #[test]
    fn what_is_taken_equals_the_plain_comparison() {
        let sum = |i: usize| (i * 7919 % 10_007) as i32 - 5_000;
        for count in [0, 1, 3, 32] {
            let tiles: Vec<IntegerTile> = (0..count)
                .map(|tile| std::array::from_fn(|row| std::array::from_fn(|i| sum(tile * 999 + row * 41 + i))))
                .collect();
            let scale: Vec<[f32; TILE_COLUMNS]> =
                (0..count).map(|tile| std::array::from_fn(|i| (tile + i) as f32 / 50.0)).collect();
            let masks: Vec<u32> = (0..count).map(|tile| u32::MAX >> (tile % 3 * 7) & !(tile as u32)).collect();
            for cut in [f32::NEG_INFINITY, -100.0, 0.0, 1_234.5, 6_000.0, f32::INFINITY] {
                for row in [0, 5, TILE_ROWS - 1] {
                    let (mut found, mut expected) = (Reached::default(), Reached::default());
                    found.take(&tiles, 3, &scale, &masks, 0.0);
                    found.take(&tiles, row, &scale, &masks, cut);
                    expected.plain_take(&tiles, row, &scale, &masks, cut);
                    assert_eq!((found.products, found.places), (expected.products, expected.places), "{cut}");
                }
            }
        }
    }

    #[test]
    fn the_kth_of_the_columns_is_that_of_sorted_ones_ties_and_masked_tiles_included() {
        for (count, modulus) in [(0, 7), (1, 7), (5, 10_007), (32, 101)] {
            let sum = |i: usize| (i * 7919 % modulus) as i32 - modulus as i32 / 2;
            let tiles: Vec<IntegerTile> = (0..count)
                .map(|tile| std::array::from_fn(|row| std::array::from_fn(|i| sum(tile * 999 + row * 41 + i))))
                .collect();
            let scale: Vec<[f32; TILE_COLUMNS]> =
                (0..count).map(|tile| std::array::from_fn(|i| ((tile + i) % 5) as f32 / 4.0)).collect();
            let masks: Vec<u32> = (0..count).map(|tile| u32::MAX >> u32::from(tile % 4 == 3)).collect();
            for k in 1..=TILE_COLUMNS {
                let found = kth_of_columns(&tiles, 5, &scale, &masks, k);
                assert_eq!(found, plain_kth_of_columns(&tiles, 5, &scale, &masks, k), "{count} tiles, k = {k}");
            }
        }
    }
}
