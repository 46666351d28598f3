//! Numbers as Python writes most of an embedding, read eight at a time; the fourth page of this room that is `unsafe`.
//!
//! A first loop finds the points in each 64 bytes, and that nothing but digits stands where no number begins; a second makes
//! values of the first sixteen digits of eight numbers and sees that `, 0` or `, -0` stands before the point of the next.
//! Other numbers and other processors have the slower ways of whoever calls.
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
/// another f32, that ends within the last hundred bytes, or that stands before such a number.
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
        __m128i, __m256i, __m512i, _mm_add_epi16, _mm_cvtepu8_epi16, _mm_loadu_si128, _mm_set1_epi16, _mm_storeu_si128,
        _mm256_castps_si256, _mm256_cmpeq_epi32_mask, _mm256_cmple_epu32_mask, _mm256_mask_xor_epi32,
        _mm256_set1_epi32, _mm256_setr_epi32, _mm256_storeu_si256, _mm256_sub_epi32, _mm512_add_epi64,
        _mm512_and_si512, _mm512_castpd_si512, _mm512_castsi128_si512, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
        _mm512_cmpgt_epu8_mask, _mm512_cmple_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_cvtepi64_pd, _mm512_cvtpd_ps,
        _mm512_inserti32x4, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_maskz_compress_epi8,
        _mm512_mul_epu32, _mm512_mul_pd, _mm512_packus_epi32, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32,
        _mm512_set1_epi64, _mm512_set1_pd, _mm512_srli_epi64, _mm512_sub_epi8, _mm512_sub_epi64,
    };

    use super::{CUT_SLACK, DROPPED, FEWEST_UNITS, HALFWAY};

    const LANES: usize = 8;
    /// Blocks that are looked through before values are made.
    const BLOCKS: usize = 24;
    /// A block of 64 bytes ends with the first four of the next: what stands before a point is explained by the point.
    const STEP: usize = 60;
    /// The sixteen bytes behind the last point of a block end before this.
    const MARGIN: usize = 64 + 32;
    /// More points than a block of such numbers holds.
    const MANY: usize = 8;
    const PLACES: usize = MANY * (BLOCKS + 2) + LANES;
    /// What stands before the point of a negative number.
    const NEGATIVE: i32 = i32::from_le_bytes(*b", -0");
    /// The same of another: a digit, the least of which this is, a comma, a space and a zero.
    const POSITIVE: i32 = i32::from_le_bytes(*b"0, 0");
    const INDICES: [u8; 64] = {
        let mut indices = [0; 64];
        let mut i = 0;
        while i < 64 {
            indices[i] = i as u8;
            i += 1;
        }
        indices
    };

    /// Appends the fractions from `at` on, where a number starts, and returns where the first starts that is left.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    pub(super) fn fractions(bytes: &[u8], mut at: usize, out: &mut Vec<f32>) -> usize {
        let mut points = [0; PLACES];
        loop {
            let rest = &bytes[at..];
            let negative = rest.first() == Some(&b'-');
            let sign = usize::from(negative);
            let count = look(rest, &mut points);
            // The first number has no other before it.
            let begins = count > 1 && usize::from(points[0]) == sign + 1 && rest[sign] == b'0' && points[1] > 8;
            if !begins {
                return at;
            }
            let (taken, negative) = values(rest, &mut points, count, negative, out);
            at += usize::from(points[taken]) - 1 - usize::from(negative);
            if taken + 1 < count {
                return at;
            }
        }
    }

    /// Finds points; how many.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    fn look(bytes: &[u8], points: &mut [u16; PLACES]) -> usize {
        // SAFETY: there are 64 indices.
        let indices = unsafe { _mm512_loadu_si512(INDICES.as_ptr().cast()) };
        let every = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
        let (mut count, mut fresh) = (0, u64::MAX);
        for block in 0..BLOCKS {
            let first = STEP * block;
            if first + MARGIN > bytes.len() {
                break;
            }
            // SAFETY: 64 bytes from `first` on are inside.
            let text = unsafe { _mm512_loadu_si512(bytes.as_ptr().add(first).cast()) };
            let point = _mm512_cmpeq_epi8_mask(text, every(b'.'));
            let other = _mm512_cmpgt_epu8_mask(_mm512_sub_epi8(text, every(b'0')), every(9));
            let bad = other & !(point | point >> 2 | point >> 3 | point >> 4) & (u64::MAX >> (64 - STEP));
            // The first four bytes were the last of the block before.
            let mut point = point & fresh;
            fresh = u64::MAX << (64 - STEP);
            if bad != 0 {
                point &= (bad & bad.wrapping_neg()) - 1;
            }
            let found = point.count_ones() as usize;
            if found > MANY {
                break;
            }
            let places = _mm_cvtepu8_epi16(_mm512_castsi512_si128(_mm512_maskz_compress_epi8(point, indices)));
            // SAFETY: at most eight points were counted for each block before, and there is room for one block more.
            unsafe {
                let out = points.as_mut_ptr().add(count);
                _mm_storeu_si128(out.cast(), _mm_add_epi16(places, _mm_set1_epi16(first as i16)));
            }
            count += found;
            if bad != 0 {
                break;
            }
        }
        count
    }

    /// Appends the values of the numbers at all points but the last, up to the first that is odd; how many, and whether the
    /// number behind them is negative. `negative` is whether the first is.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    fn values(
        bytes: &[u8],
        points: &mut [u16; PLACES],
        count: usize,
        mut negative: bool,
        out: &mut Vec<f32>,
    ) -> (usize, bool) {
        let last = points[count - 1];
        points[count..=count + LANES].fill(last);
        assert!(usize::from(last) + 17 <= bytes.len() && points[1] >= 4);
        out.reserve(count + LANES);
        let mut done = 0;
        while done + 1 < count {
            let (own, next) = (&points[done..done + LANES], &points[done + 1..=done + LANES]);
            // SAFETY: points ascend; sixteen bytes behind the last are inside, and four before the second.
            let (read, four): (Eight, [i32; LANES]) = unsafe {
                let before = |lane: usize| {
                    let at = bytes.as_ptr().add(usize::from(next[lane])).sub(4);
                    at.cast::<i32>().read_unaligned()
                };
                (Eight::read(bytes.as_ptr(), own), std::array::from_fn(before))
            };
            let before = _mm256_setr_epi32(four[0], four[1], four[2], four[3], four[4], four[5], four[6], four[7]);
            let negatives = _mm256_cmpeq_epi32_mask(before, _mm256_set1_epi32(NEGATIVE));
            let positives =
                _mm256_cmple_epu32_mask(_mm256_sub_epi32(before, _mm256_set1_epi32(POSITIVE)), _mm256_set1_epi32(9));
            let whole = negatives | positives;
            let left = (count - 1 - done).min(LANES);
            let good = if read.all_good() && whole == u8::MAX {
                left
            } else {
                left.min(read.leading()).min(whole.trailing_ones() as usize)
            };
            let signs = negatives << 1 | u8::from(negative);
            // SAFETY: there is room for eight values.
            unsafe {
                let minus = _mm256_set1_epi32(i32::MIN);
                let signed = _mm256_mask_xor_epi32(read.bits, signs, read.bits, minus);
                _mm256_storeu_si256(out.as_mut_ptr().add(out.len()).cast(), signed);
                out.set_len(out.len() + good);
            }
            negative = if good == 0 { negative } else { negatives >> (good - 1) & 1 == 1 };
            done += good;
            if good < left {
                break;
            }
        }
        (done, negative)
    }

    /// Eight numbers of sixteen digits.
    struct Eight {
        /// The values, as 32-bit floats.
        bits: __m256i,
        /// A bit for each that sixteen digits do not decide.
        undecided: u8,
        /// Sixteen bits for each that are not digits: of numbers 0, 2, 4, 6, and of the others.
        no_digits: [u64; 2],
    }

    impl Eight {
        /// Reads the digits behind the points, whatever they are.
        ///
        /// # Safety
        /// Sixteen bytes behind each point are inside of `bytes`.
        #[inline]
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
        unsafe fn read(bytes: *const u8, points: &[u16]) -> Self {
            // SAFETY: the caller's own contract.
            let digits = |lane: usize| unsafe { _mm_loadu_si128(bytes.add(usize::from(points[lane]) + 1).cast()) };
            let even = four([digits(0), digits(2), digits(4), digits(6)]);
            let odd = four([digits(1), digits(3), digits(5), digits(7)]);
            let nine = _mm512_set1_epi8(9);
            // Four digits as one, eight as one, then all sixteen, for all numbers in their order.
            let fours = _mm512_packus_epi32(four_digits(even), four_digits(odd));
            let eights = _mm512_madd_epi16(fours, _mm512_set1_epi32((1 << 16) + 10_000));
            let high = _mm512_mul_epu32(eights, _mm512_set1_epi64(100_000_000));
            let units = _mm512_add_epi64(high, _mm512_srli_epi64::<32>(eights));
            let value = _mm512_mul_pd(_mm512_cvtepi64_pd(units), _mm512_set1_pd(1e-16));
            let rest = _mm512_and_si512(_mm512_castpd_si512(value), all(DROPPED));
            let near = _mm512_cmple_epu64_mask(_mm512_sub_epi64(rest, all(HALFWAY - CUT_SLACK)), all(2 * CUT_SLACK));
            Self {
                bits: _mm256_castps_si256(_mm512_cvtpd_ps(value)),
                undecided: near | _mm512_cmplt_epu64_mask(units, all(FEWEST_UNITS)),
                no_digits: [_mm512_cmpgt_epu8_mask(even, nine), _mm512_cmpgt_epu8_mask(odd, nine)],
            }
        }

        #[inline]
        fn all_good(&self) -> bool {
            self.no_digits[0] | self.no_digits[1] == 0 && self.undecided == 0
        }

        /// How many come before the first that is not read here.
        #[cold]
        fn leading(&self) -> usize {
            let no_digits = |lane: usize| self.no_digits[lane % 2] >> (16 * (lane / 2)) & 0xFFFF != 0;
            (0..LANES).find(|lane| self.undecided >> lane & 1 == 1 || no_digits(*lane)).unwrap_or(LANES)
        }
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
                    // The last of them may be left.
                    assert!(found.len() + 1 >= expected.len() && expected.starts_with(&found), "{other}");
                    assert_eq!(left, [&texts[found.len()..].join(", "), ""].concat());
                } else {
                    assert_eq!((found.len(), left), (0, &text[1..]));
                }
            }
        }
    }

    #[test]
    fn what_is_left_at_the_end_of_a_text_is_less_than_a_hundred_bytes_and_two_numbers() {
        let number = "-0.12345678901234567, ";
        for length in 0..400 {
            let text = format!("[{}", &number.repeat(20)[..length]);
            let (found, left) = read(&text);
            assert_eq!(text.len() - 1 - left.len(), found.len() * number.len());
            assert!(!has_fast_fractions() || left.len() < 100 + 2 * number.len(), "{length}: {left}");
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
