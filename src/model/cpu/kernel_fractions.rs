//! Numbers as Python writes most of an embedding, read eight at a time; the fourth page of this room that is `unsafe`.
//!
//! A first loop finds in each 64 bytes where digits, points, signs, commas and spaces stand, and that they stand as in
//! `-0.0123456789012345, `; a second makes values of the first sixteen digits of eight numbers. Other numbers and other
//! processors have the slower ways of whoever calls.
#![expect(unsafe_code, reason = "a SIMD kernel reads through pointers after the bounds were checked once per block")]

/// Bits of an f64 that an f32 has no place for, and half of their range.
const DROPPED: u64 = (1 << 29) - 1;
const HALFWAY: u64 = 1 << 28;
/// From this number of units of 1e-16 on, sixteen digits of a fraction are enough: what is cut off is less than one of
/// them, 2^53 / 10^12 = 9,008 units in the last place of an f64, and the roundings are fewer than eight more.
const FEWEST_UNITS: u64 = 1_000_000_000_000;
const CUT_SLACK: u64 = 9_016;

/// Whether all that is less than `slack` units in the last place away from `value` rounds to the same f32.
#[inline]
pub fn rounds_alike(value: f64, slack: u64) -> bool {
    (value.to_bits() & DROPPED).abs_diff(HALFWAY) > slack
}

/// The f32 nearest to a fraction of which the first sixteen digits are given, where they decide it.
#[inline]
pub fn fraction_f32(units: u64) -> Option<f32> {
    let value = units as i64 as f64 * 1e-16;
    (units >= FEWEST_UNITS && rounds_alike(value, CUT_SLACK)).then_some(value as f32)
}

/// Whether [`fractions_f32`] reads anything here.
pub fn has_fast_fractions() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::kernel::has_avx512()
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("lzcnt")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Appends the fractions from `at` on, where a number starts, as the nearest f32, and returns where the first number
/// starts that is left: one that is written in another way, that the digits behind the sixteenth might round to
/// another f32, or that ends within the last hundred bytes.
pub fn fractions_f32(bytes: &[u8], at: usize, out: &mut Vec<f32>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_fast_fractions() {
        // SAFETY: the instruction sets were detected.
        return unsafe { x86::fractions(bytes, at, out) };
    }
    let _ = (bytes, out);
    at
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm256_add_epi16, _mm256_and_si256, _mm256_castps_si256,
        _mm256_cvtepu8_epi16, _mm256_cvtepu16_epi32, _mm256_or_si256, _mm256_set1_epi16, _mm256_slli_epi16,
        _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512,
        _mm512_castpd_si512, _mm512_castsi128_si512, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
        _mm512_cmpgt_epu8_mask, _mm512_cmple_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_cvtepi64_pd, _mm512_cvtpd_ps,
        _mm512_inserti32x4, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_mask_add_epi8,
        _mm512_maskz_compress_epi8, _mm512_mul_epu32, _mm512_mul_pd, _mm512_packus_epi32, _mm512_set1_epi8,
        _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_pd, _mm512_srli_epi64, _mm512_sub_epi8,
        _mm512_sub_epi64,
    };

    use super::{CUT_SLACK, DROPPED, FEWEST_UNITS, HALFWAY};

    /// Blocks of 64 bytes that are looked through before values are made: what is known of them stays in the first cache.
    const BLOCKS: usize = 24;
    /// A block holds at most 16 points: no number is shorter than `0., `. One block more, for whole stores.
    const PLACES: usize = 16 * (BLOCKS + 1);
    /// The sixteen bytes behind the last point of a block end before this.
    const MARGIN: usize = 64 + 32;
    const LANES: usize = 8;
    const INDICES: [u8; 64] = {
        let mut indices = [0; 64];
        let mut i = 0;
        while i < 64 {
            indices[i] = i as u8;
            i += 1;
        }
        indices
    };

    /// What a look through some blocks found.
    struct Found {
        /// Where the points of the numbers stand; the highest bit is the sign of the number.
        points: [u16; PLACES],
        /// Numbers that are whole: a comma and a space stand behind them.
        count: usize,
        /// Where the first number starts that is not.
        end: usize,
        /// Whether more of the same may follow there.
        more: bool,
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    pub(super) fn fractions(bytes: &[u8], mut at: usize, out: &mut Vec<f32>) -> usize {
        let mut found = Found { points: [0; PLACES], count: 0, end: 0, more: true };
        while found.more && at < bytes.len() {
            let rest = &bytes[at..];
            look(rest, &mut found);
            let taken = if found.count == 0 { 0 } else { values(rest, &mut found, out) };
            if taken < found.count {
                let signed = usize::from(found.points[taken] >> 15);
                return at + place(found.points[taken]) - 1 - signed;
            }
            at += found.end;
        }
        at
    }

    /// Where a point stands.
    fn place(point: u16) -> usize {
        usize::from(point & 0x7FFF)
    }

    /// Finds the numbers that stand one after another from the start of `bytes` on.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    fn look(bytes: &[u8], found: &mut Found) {
        // SAFETY: there are 64 indices.
        let indices = unsafe { _mm512_loadu_si512(INDICES.as_ptr().cast()) };
        let every = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
        let (mut commas, mut spaces, mut zeros, mut minuses) = (0u64, 1u64, 0u64, 0u64);
        (found.count, found.end, found.more) = (0, 0, false);
        for block in 0..BLOCKS {
            let first = 64 * block;
            if first + MARGIN > bytes.len() {
                break;
            }
            // SAFETY: 64 bytes from `first` on are inside.
            let text = unsafe { _mm512_loadu_si512(bytes.as_ptr().add(first).cast()) };
            let [comma, space, minus, point, zero] =
                [b',', b' ', b'-', b'.', b'0'].map(|byte| _mm512_cmpeq_epi8_mask(text, every(byte)));
            let other = _mm512_cmpgt_epu8_mask(_mm512_sub_epi8(text, every(b'0')), every(9));
            // What must stand behind what; the highest bits of the block before reach into this one.
            let space_due = comma << 1 | commas;
            let start = space_due << 1 | spaces;
            let negative = minus & start;
            let zero_due = start & !minus | negative << 1 | minuses >> 1;
            let point_due = zero_due << 1 | zeros;
            let below_zero = (negative << 2 | minuses) & point;
            let bad = (space ^ space_due)
                | (minus & !start)
                | (point ^ point_due)
                | (zero_due & !zero)
                | (other ^ (comma | space | minus | point));
            (commas, spaces, zeros, minuses) = (comma >> 63, space_due >> 63, zero_due >> 63, negative >> 62);
            let (good, reached) =
                if bad == 0 { (u64::MAX, u64::MAX) } else { ((bad ^ (bad - 1)) >> 1, bad ^ (bad - 1)) };
            let (point, start) = (point & good, start & reached);
            if start != 0 {
                found.end = first + 63 - start.leading_zeros() as usize;
            }
            // Places of the points, with the sign in the highest bit of the byte, one behind another.
            let marked = _mm512_mask_add_epi8(indices, below_zero, indices, every(128));
            let places = _mm256_cvtepu8_epi16(_mm512_castsi512_si128(_mm512_maskz_compress_epi8(point, marked)));
            let inside = _mm256_and_si256(places, _mm256_set1_epi16(63));
            let signs = _mm256_slli_epi16::<8>(_mm256_and_si256(places, _mm256_set1_epi16(128)));
            let points = _mm256_add_epi16(_mm256_or_si256(inside, signs), _mm256_set1_epi16(first as i16));
            // SAFETY: at most 16 points were counted for each block before, and there is room for one block more.
            unsafe { _mm256_storeu_si256(found.points.as_mut_ptr().add(found.count).cast(), points) };
            found.count += point.count_ones() as usize;
            if bad != 0 {
                break;
            }
            found.more = block + 1 == BLOCKS && found.end > 0;
        }
        // The last may not be whole.
        found.count -= usize::from(found.count > 0 && place(found.points[found.count - 1]) > found.end);
    }

    /// Appends the values of the numbers up to the first that sixteen digits do not decide; how many.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    fn values(bytes: &[u8], found: &mut Found, out: &mut Vec<f32>) -> usize {
        let count = found.count;
        // Eight are read at a time: the last is read again where fewer are left.
        let last = found.points[count - 1];
        found.points[count..count + LANES].fill(last);
        assert!(place(last) + 17 <= bytes.len());
        out.reserve(count + LANES);
        let mut done = 0;
        while done < count {
            let points = &found.points[done..done + LANES];
            // SAFETY: points ascend, and sixteen bytes behind the last are inside.
            let digits = |lane: usize| unsafe { _mm_loadu_si128(bytes.as_ptr().add(place(points[lane]) + 1).cast()) };
            let even = four([digits(0), digits(2), digits(4), digits(6)]);
            let odd = four([digits(1), digits(3), digits(5), digits(7)]);
            let nine = _mm512_set1_epi8(9);
            let no_digits = _mm512_cmpgt_epu8_mask(even, nine) | _mm512_cmpgt_epu8_mask(odd, nine);
            // Four digits as one, eight as one, then all sixteen, for all numbers in their order.
            let fours = _mm512_packus_epi32(four_digits(even), four_digits(odd));
            let eights = _mm512_madd_epi16(fours, _mm512_set1_epi32((1 << 16) + 10_000));
            let high = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
            let units = _mm512_add_epi64(high, _mm512_srli_epi64::<32>(eights));
            let value = _mm512_mul_pd(_mm512_cvtepi64_pd(units), _mm512_set1_pd(1e-16));
            let rest = _mm512_and_si512(_mm512_castpd_si512(value), all(DROPPED));
            let undecided =
                _mm512_cmple_epu64_mask(_mm512_sub_epi64(rest, all(HALFWAY - CUT_SLACK)), all(2 * CUT_SLACK))
                    | _mm512_cmplt_epu64_mask(units, all(FEWEST_UNITS));
            // SAFETY: there are eight points, and there is room for eight values.
            unsafe {
                let points = _mm256_cvtepu16_epi32(_mm_loadu_si128(points.as_ptr().cast()));
                let signs = _mm256_slli_epi32::<31>(_mm256_srli_epi32::<15>(points));
                let signed = _mm256_or_si256(_mm256_castps_si256(_mm512_cvtpd_ps(value)), signs);
                _mm256_storeu_si256(out.as_mut_ptr().add(out.len()).cast(), signed);
            }
            let left = (count - done).min(LANES);
            let good = if no_digits == 0 && undecided == 0 { left } else { leading(even, odd, undecided).min(left) };
            // SAFETY: that many values were written.
            unsafe { out.set_len(out.len() + good) };
            done += good;
            if good < left {
                break;
            }
        }
        done
    }

    /// Four times sixteen digits, as values.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn four([a, b, c, d]: [__m128i; 4]) -> __m512i {
        let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
        let all = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, c), d);
        _mm512_sub_epi8(all, _mm512_set1_epi8(b'0'.cast_signed()))
    }

    /// Numbers of four digits, 32 bits each.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn four_digits(digits: __m512i) -> __m512i {
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16((1 << 8) + 10));
        _mm512_madd_epi16(pairs, _mm512_set1_epi32((1 << 16) + 100))
    }

    #[target_feature(enable = "avx512f")]
    fn all(value: u64) -> __m512i {
        _mm512_set1_epi64(value.cast_signed())
    }

    /// How many of eight numbers come before the first that is not read here.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[cold]
    fn leading(even: __m512i, odd: __m512i, undecided: u8) -> usize {
        let nine = _mm512_set1_epi8(9);
        let no_digits = [_mm512_cmpgt_epu8_mask(even, nine), _mm512_cmpgt_epu8_mask(odd, nine)];
        let bad = |lane: &usize| undecided >> lane & 1 == 1 || no_digits[lane % 2] >> (16 * (lane / 2)) & 0xFFFF != 0;
        (0..LANES).find(bad).unwrap_or(LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a text from its second byte on, and what is left.
    fn read(text: &str) -> (Vec<f32>, &str) {
        let mut out = vec![7.0];
        let end = fractions_f32(text.as_bytes(), 1, &mut out);
        (out.split_off(1), &text[end..])
    }

    #[test]
    fn numbers_are_read_up_to_the_first_that_is_written_in_another_way() {
        let plain = ["0.1234567890123456", "-0.98765432109876543210", "0.0001000000000000001", "-0.5000000000000000"];
        let behind = format!("0.1, {}", "0".repeat(200));
        for other in [
            "0.123456789012345",
            "1.1234567890123456",
            "0.00001234567890123456",
            "-0.12345678901234567e-1",
            "NaN",
            "",
            "0.1234567890123456,0.5",
            "0.1234567890123456 , ",
            "--0.1234567890123456",
            "0,1234567890123456",
            "]",
            " 0.1234567890123456",
            "-.1234567890123456",
            "+0.1234567890123456",
            "0.1234567890.123456",
            "0 .1",
            "00.1234567890123456",
            "0.12345678901234-6",
            "0.30000002682209014892",
            "-0",
            "0.1234567890123456]",
        ] {
            for count in (0..40).chain([65, 66, 67, 68, 90, 1_000]) {
                let mut texts: Vec<&str> = (0..count).map(|i| plain[i * 7 % 5 % 4]).collect();
                let expected: Vec<f32> = texts.iter().map(|text| text.parse::<f64>().unwrap() as f32).collect();
                let rest = format!("{other}, {behind}");
                texts.push(&rest);
                let text = format!("[{}", texts.join(", "));
                let (found, left) = read(&text);
                if has_fast_fractions() {
                    assert_eq!(found, expected, "{other}");
                    assert_eq!(left, rest);
                } else {
                    assert_eq!((found.len(), left), (0, &text[1..]));
                }
            }
        }
    }

    #[test]
    fn what_is_left_at_the_end_of_a_text_is_less_than_a_hundred_bytes_and_a_number() {
        let number = "-0.12345678901234567, ";
        for length in 0..400 {
            let text = format!("[{}", &number.repeat(20)[..length]);
            let (found, left) = read(&text);
            assert_eq!(text.len() - 1 - left.len(), found.len() * number.len());
            assert!(!has_fast_fractions() || left.len() < 100 + number.len(), "{length}: {left}");
        }
    }

    #[test]
    fn every_digit_and_sign_counts_and_what_sixteen_digits_do_not_decide_is_left() {
        let mut state = 3u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        let (mut read_here, mut all) = (0, 0);
        for _ in 0..2_000 {
            let text = |_| {
                let sign = if next() % 2 == 0 { "" } else { "-" };
                let single = f32::from_bits((0x3880_0000 + next() % 0x0700_0000) as u32);
                let exact = match next() % 8 {
                    // Close to the middle between two singles.
                    0 => f64::midpoint(f64::from(single), f64::from(single.next_up())),
                    1 => f64::midpoint(f64::from(single), f64::from(single.next_up())).next_down(),
                    2 => (next() % 1_000_000_007) as f64 / 1_000_000_007.0,
                    _ => f64::from(single),
                };
                format!("{sign}{exact:.*}", (16 + next() % 20) as usize)
            };
            let texts: Vec<String> = (0..50).map(text).collect();
            let line = format!("[{}, {}", texts.join(", "), "0".repeat(200));
            let mut at = 1;
            for text in &texts {
                let mut found = Vec::new();
                // From every number on, so that blocks begin anywhere.
                let end = fractions_f32(line.as_bytes(), at, &mut found);
                for (found, text) in found.iter().zip(line[at..end].split(", ")) {
                    assert_eq!(found.to_bits(), (text.parse::<f64>().unwrap() as f32).to_bits(), "{text}");
                }
                read_here += usize::from(!found.is_empty());
                all += 1;
                at += text.len() + 2;
            }
        }
        assert!(!has_fast_fractions() || read_here * 10 > all * 6, "{read_here} of {all}");
    }
}
